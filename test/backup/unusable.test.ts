// Snapshots that are damaged, by their record or by what a verification found: they are shown as what they are, and
// neither `latest` nor retention takes an older or a damaged one for a sound newest one.

import { afterAll, beforeEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";
import { buildSnapshot, type Built } from "../support/snapshot-builder.ts";

const dayMs = 86_400_000;
let root: string;
let source: string;
let repository: string;
let first: Built;
let second: Built;
const made: string[] = [];
beforeEach(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/unusable-`));
  made.push(root);
  source = `${root}/mnt/citadel-models/active`;
  repository = `${root}/mnt/citadel-backup`;
  fs.mkdirSync(source, { recursive: true });
  fs.writeFileSync(`${source}/weights`, Buffer.alloc(50_000, 5));
  first = buildSnapshot(repository, source, { atMs: Date.now() - 60 * dayMs });
  fs.writeFileSync(`${source}/added`, "later");
  second = buildSnapshot(repository, source, { atMs: Date.now() - 50 * dayMs });
});
afterAll(() => {
  for (const path of made) fs.rmSync(path, { recursive: true, force: true });
});

const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args]);

function flip(path: string, at = 10): void {
  const bytes = fs.readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  const fd = fs.openSync(path, "r+");
  fs.writeSync(fd, bytes);
  fs.closeSync(fd);
}

interface Listed {
  snapshots: { id: string; state: string; why: string | null; skipped: number }[];
}
const states = async () =>
  (await agent("list", "--json")).json<Listed>().snapshots.map(({ id, state }) => [id, state]);

const breaks: [string, (directory: string) => void][] = [
  ["flipped", (directory) => flip(`${directory}/snapshot.json`)],
  ["deleted", (directory) => fs.rmSync(`${directory}/snapshot.json`)],
];
for (const [how, harm] of breaks) {
  test(`with the newest snapshot.json ${how}, latest is never an older one without a word`, async () => {
    harm(second.directory);
    const verified = await agent("verify", "latest", "--json");
    expect(verified.exitCode).toBe(3);
    expect(verified.json()).toMatchObject({ snapshot: second.id, valid: false });
    // list and verify give the same reason
    const listed = (await agent("list", "--json")).json<Listed>().snapshots;
    const why = listed.find(({ id }) => id === second.id)?.why;
    expect(verified.json()["remarks"]).toEqual([`${second.id}: ${why}`]);
    expect((await agent("verify", "latest:active")).stdout).toContain(`${second.id}: NOT VALID`);
    expect((await agent("repair", "latest")).exitCode).toBe(3);
    const run = await agent("restore", "latest", "--to", "/restored", "--json");
    expect(run.exitCode).toBe(0);
    const { snapshot, remarks } = run.json<{ snapshot: string; remarks: string[] }>();
    expect(snapshot).toBe(first.id);
    expect(remarks[0]).toContain(`the newer ${second.id} is damaged`);
    expect(run.stderr).toContain(`warning: ${first.id} is used: the newer ${second.id} is damaged`);
    const at = await agent("restore", "--at", new Date().toISOString(), "--to", "/then");
    expect(at.stderr).toContain(`the newer ${second.id} is damaged`);
    expect(at.stdout).toContain(first.id);
    const diff = await agent("diff", first.id, "latest");
    expect(diff.stderr).toContain(`the newer ${second.id} is damaged`);
  }, 60_000);
}

test("where no snapshot is sound, latest names the damaged one and not an unknown name", async () => {
  for (const { directory } of [first, second]) flip(`${directory}/snapshot.json`);
  const run = await agent("restore", "latest", "--to", "/restored", "--json");
  expect(run.exitCode).toBe(3);
  const { error } = run.json<{ error: { code: string; message: string } }>();
  expect(error.code).toBe("SNAPSHOT_DAMAGED");
  expect(error.message).toContain(second.id);
}, 60_000);

test("damage that a verification found is shown until a whole one has passed, and keeps nothing else away", async () => {
  expect((await agent("verify", "--all", "--mode", "full")).exitCode).toBe(0);
  flip(`${second.directory}/data/weights`);
  expect((await agent("verify", "latest", "--mode", "full")).exitCode).toBe(3);
  // neither a look at the structure nor the page cache proves that it is well again
  expect((await agent("verify", "latest", "--sample", "0")).exitCode).toBe(0);
  const listed = (await agent("list", "--json")).json<Listed>().snapshots;
  expect(listed.map(({ id, state }) => [id, state])).toEqual([
    [first.id, "complete"],
    [second.id, "damaged"],
  ]);
  expect(listed[1]?.why).toContain("1 path is not as backed up");
  expect((await agent("list")).stdout).toContain(`damaged ${second.id}: verified `);
  const restored = await agent("restore", "latest", "--to", "/restored");
  expect(restored.exitCode).toBe(4);
  expect(restored.stderr).toContain(`warning: ${second.id} is damaged`);
  const status = await agent("status", "--json");
  expect(status.exitCode).toBe(3);
  expect(status.json()).toMatchObject({ snapshots: 1, damaged: [second.id] });
  const third = buildSnapshot(repository, source, { atMs: Date.now() - 40 * dayMs });
  const plan = await agent("cleanup", "--dry-run", "--json");
  const { keep, remove } = plan.json<{
    keep: { id: string; reasons: string[] }[];
    remove: { id: string }[];
  }>();
  // the damaged one has the younger proof: it must not take the place of the sound one
  expect(keep.map(({ id, reasons }) => [id, reasons])).toEqual([
    [first.id, ["newest verified"]],
    [second.id, ["damaged: for a person to judge"]],
    [third.id, ["newest"]],
  ]);
  expect(remove).toEqual([]);
  flip(`${second.directory}/data/weights`);
  expect((await agent("verify", second.id)).exitCode).toBe(0);
  expect((await states())[1]).toEqual([second.id, "complete"]);
}, 60_000);

test("a catalogue that cannot be read is said, and nothing is called never verified for it", async () => {
  expect((await agent("verify", "--all")).exitCode).toBe(0);
  const path = `${root}/var/lib/citadel-agent/catalog.db`;
  for (const name of [path, `${path}-wal`, `${path}-shm`]) fs.rmSync(name, { force: true });
  fs.writeFileSync(path, Buffer.alloc(8192, 0x5a));
  for (const [words, unproved] of [
    [["list"], second.id],
    [["status"], "last verified whole unknown"],
    [["cleanup", "--dry-run"], second.id],
  ] as const) {
    const run = await agent(...words);
    expect(run.stderr).toContain("warning: what was done and verified is not all known");
    expect(run.stdout).toContain(unproved);
    expect(run.stdout).not.toContain("never");
  }
  const list = (await agent("list", "--json")).json<{ catalogue: string }>();
  expect(list.catalogue).toContain("catalog");
  expect((await agent("verify", "--rolling", "--dry-run")).exitCode).toBe(75);
}, 60_000);

test("what a repair mended beside stays damaged until it is proved, and repair says how", async () => {
  const third = buildSnapshot(repository, source, { linkTo: second.directory });
  flip(`${second.directory}/data/weights`);
  expect((await agent("verify", "--all")).exitCode).toBe(3);
  const repaired = await agent("repair", "latest");
  expect(repaired.exitCode).toBe(0);
  expect(repaired.stdout).toContain("prove those too");
  const of = async (state: string) =>
    (await states()).flatMap(([id, is]) => (is === state ? [id] : []));
  expect(await of("damaged")).toEqual([second.id]);
  expect((await agent("verify", "--all")).exitCode).toBe(0);
  expect(await of("complete")).toEqual([first.id, second.id, third.id]);
}, 60_000);

test("a catalogue that takes no entry fails no verification, backup or restore, and that is said", async () => {
  expect((await agent("verify", "--all")).exitCode).toBe(0);
  const { Database } = await import("bun:sqlite");
  const path = `${root}/var/lib/citadel-agent/catalog.db`;
  for (const [table, event] of [
    ["content", "INSERT"],
    ["verifications", "INSERT"],
    ["jobs", "UPDATE"],
    ["jobs", "INSERT"],
  ]) {
    using database = new Database(path);
    database.run(
      `CREATE TRIGGER stop_${table}_${event} BEFORE ${event} ON ${table} BEGIN SELECT RAISE(ABORT, 'no room'); END`,
    );
    for (const words of [
      ["verify", "latest", "--mode", "full"],
      ["create", "--type", "full"],
      ["restore", "latest", "--to", `/restored-${table}-${event}`],
    ]) {
      const run = await agent(...words);
      expect({ words, event, exitCode: run.exitCode }).toEqual({ words, event, exitCode: 0 });
      const writes = words[0] !== "restore" || table === "jobs";
      if (writes) expect(run.stderr).toContain("could not be recorded");
    }
  }
}, 60_000);

test("a catalogue whose jobs are damaged still says which snapshots are", async () => {
  flip(`${second.directory}/data/weights`);
  expect((await agent("verify", "--all")).exitCode).toBe(3);
  const path = `${root}/var/lib/citadel-agent/catalog.db`;
  const { Database } = await import("bun:sqlite");
  const database = new Database(path);
  const page = database
    .query<{ rootpage: number }, []>("SELECT rootpage FROM sqlite_schema WHERE name = 'jobs'")
    .get();
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
  const fd = fs.openSync(path, "r+");
  fs.writeSync(fd, Buffer.alloc(4096, 0x5a), 0, 4096, ((page?.rootpage ?? 0) - 1) * 4096);
  fs.closeSync(fd);
  const status = await agent("status", "--json");
  expect(status.exitCode).toBe(3);
  expect(status.stderr).toContain("list the jobs failed");
  expect(status.json()).toMatchObject({ damaged: [second.id], jobs: [] });
}, 60_000);

test("a snapshot that lacks paths says how many, in list and in the jobs of status", async () => {
  const counts = { skipped: 3 };
  const lacking = `${repository}/models`;
  const { id, directory } = buildSnapshot(repository, source, { atMs: Date.now() - dayMs });
  const record = JSON.parse(fs.readFileSync(`${directory}/snapshot.json`, "utf8"));
  fs.rmSync(`${lacking}/${id}`, { recursive: true });
  const whole = { ...record.counts, ...counts };
  const built = buildSnapshot(repository, source, {
    atMs: Date.now() - dayMs,
    record: { counts: whole },
  });
  const run = await agent("list", "--json");
  expect(run.json<Listed>().snapshots.map(({ skipped }) => skipped)).toEqual([0, 0, 3]);
  const line = (await agent("list")).stdout.split("\n").find((each) => each.includes(built.id));
  expect(line).toContain("complete, 3 skipped");
  await agent("verify", built.id); // makes the catalogue, with the jobs of what lies on the disk
  const { jobs } = (await agent("status", "--json")).json<{
    jobs: { kind: string; snapshot: string; skipped: number | null }[];
  }>();
  const job = jobs.find(({ kind, snapshot }) => kind === "create" && snapshot === built.id);
  expect(job?.skipped).toBe(3);
  expect((await agent("status")).stdout).toContain(`${built.id}, 3 paths skipped`);
  const restored = await agent("restore", built.id, "--to", "/lacking", "--json");
  expect(restored.json<{ remarks: string[] }>().remarks.join()).toContain("lacks 3 paths");
  expect(restored.stderr).toContain(`warning: ${built.id} lacks 3 paths of its source`);
}, 60_000);

test("a partial is known by the id that list shows, and good for nothing", async () => {
  const { id, directory } = buildSnapshot(repository, source, { atMs: Date.now() - dayMs });
  fs.rmSync(`${directory}/snapshot.json`);
  fs.renameSync(directory, `${directory}.partial`);
  expect(await states()).toContainEqual([id, "partial"]);
  for (const name of [id, `${id}.partial`]) {
    const verified = await agent("verify", name, "--json");
    expect(verified.exitCode).toBe(3);
    expect(verified.json()).toMatchObject({ valid: false, failures: [{ reason: "partial" }] });
    const restored = await agent("restore", name, "--to", "/of-a-partial", "--json");
    expect(restored.exitCode).toBe(3);
    expect(restored.json()).toMatchObject({ error: { code: "SNAPSHOT_DAMAGED" } });
    expect(restored.json<{ error: { message: string } }>().error.message).toContain("not complete");
  }
}, 60_000);

test("list --source of one that was never backed up says that there are others; damaged ones stay in sight", async () => {
  const none = await agent("list", "--source", "/nope");
  expect(none.stdout.trim()).toBe(
    "no snapshot of /nope; 2 snapshots of other sources: citadel-agent backup list",
  );
  flip(`${second.directory}/snapshot.json`);
  const run = await agent("list", "--source", "/mnt/citadel-models/active", "--json");
  expect(run.json<Listed>().snapshots.map(({ id, state }) => [id, state])).toEqual([
    [first.id, "complete"],
    [second.id, "damaged"],
  ]);
}, 60_000);

test("what the check after create finds is recorded, and a damaged parent is named by who builds on it", async () => {
  const env = { BACKUP_VERIFICATION_SAMPLE_RATE: "1" };
  const create = () => runCli(["--root", root, "backup", "create", "--plain", "--json"], { env });
  interface Made {
    snapshot: string;
    directory: string;
    warnings: string[];
  }
  const parent = await create();
  expect(parent.exitCode).toBe(0);
  const { snapshot: damagedId } = parent.json<Made>();
  const verifiedOf = async (id: string) =>
    (await agent("list", "--json"))
      .json<{ snapshots: { id: string; state: string; verified_at: string | null }[] }>()
      .snapshots.find((one) => one.id === id);
  expect((await verifiedOf(damagedId))?.verified_at).not.toBeNull();
  expect((await states()).at(-1)).toEqual([damagedId, "complete"]);
  flip(`${repository}/models/${damagedId}/data/weights`);
  expect((await agent("verify", damagedId)).exitCode).toBe(3);
  const child = await create();
  expect(child.exitCode).toBe(0);
  const { snapshot, warnings } = child.json<Made>();
  expect(warnings.join("\n")).toContain(`the parent ${damagedId} was found damaged: 1 file of it`);
  expect(await verifiedOf(snapshot)).toMatchObject({ state: "complete" });
  const { jobs } = (await agent("status", "--json")).json<{
    jobs: { kind: string; snapshot: string | null }[];
  }>();
  expect(jobs.filter((job) => job.snapshot === snapshot).map(({ kind }) => kind)).toEqual([
    "create",
  ]);
}, 60_000);
