// A dry run tells what the real run would refuse, with its exit code, and ends with 0 itself; the real run refuses so.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { neededBytes } from "../../src/backup/create/prepare.ts";
import { cliCommand, runCli } from "../support/run-cli.ts";

interface Plan {
  readonly conflicts: { code: string; exit_code: number; hint: string }[];
  readonly plan_hash: string;
  readonly create: number;
  readonly steps: { op: string }[];
}

let root: string;
let source: string;
beforeAll(async () => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-dry-`));
  fs.chmodSync(root, 0o755);
  source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(`${source}/m`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  fs.writeFileSync(`${source}/m/one`, "one");
  fs.writeFileSync(`${source}/m/two`, "second");
  expect((await runCli(["--root", root, "backup", "create"])).exitCode).toBe(0);
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const agent = (...args: string[]) => runCli(["--root", root, "--json", "backup", ...args]);

/** What the dry run foresees, beside what the real run does. */
async function both(...words: string[]) {
  const planned = await agent(...words, "--dry-run");
  expect(planned.exitCode).toBe(0);
  const real = await agent(...words);
  const { conflicts } = planned.json<Plan>();
  return {
    foreseen: conflicts.map(({ code, exit_code: exit }) => [code, exit]),
    done: [real.json<{ error?: { code: string } }>().error?.code, real.exitCode],
  };
}

test("restore --dry-run foresees a target that is not empty, a missing parent, nothing to match", async () => {
  const filled = await both("restore", "latest", "--to", source);
  expect(filled).toEqual({
    foreseen: [["RESTORE_TARGET_NOT_EMPTY", 6]],
    done: ["RESTORE_TARGET_NOT_EMPTY", 6],
  });
  const orphan = await both("restore", "latest", "--to", "/nowhere/x");
  expect(orphan).toEqual({
    foreseen: [["RESTORE_PARENT_MISSING", 1]],
    done: ["RESTORE_PARENT_MISSING", 1],
  });
  const nothing = await both("restore", "latest", "--to", "/x", "--path", "nope/**");
  expect(nothing).toEqual({
    foreseen: [["RESTORE_NOTHING_MATCHES", 1]],
    done: ["RESTORE_NOTHING_MATCHES", 1],
  });
  const said = await runCli([
    "--root",
    root,
    "backup",
    "restore",
    "latest",
    "--to",
    source,
    "--dry-run",
  ]);
  expect(said.stdout).toContain("refused:");
  expect(said.stdout).toContain("exit code 6");
  expect(said.stdout).toMatch(/plan [0-9a-f]{64}\. Nothing was changed\.\n$/);
}, 60_000);

test("restore --in-place --dry-run foresees what --force would be needed for, and a tree that is not there", async () => {
  fs.writeFileSync(`${source}/m/one`, "0ne");
  const differs = await both("restore", "latest", "--in-place", "--to", source);
  expect(differs).toEqual({
    foreseen: [["RESTORE_WOULD_REPLACE", 6]],
    done: ["RESTORE_WOULD_REPLACE", 6],
  });
  const forced = await agent("restore", "latest", "--in-place", "--force", "--to", source, "-n");
  expect(forced.json()).toMatchObject({ replace: 1, conflicts: [], steps: [{ op: "replace" }] });
  fs.writeFileSync(`${source}/m/one`, "one");
  const absent = await both("restore", "latest", "--in-place", "--to", "/mnt/absent");
  expect(absent.foreseen).toEqual([absent.done as [string, number]]);
}, 60_000);

test("restore --plan-hash runs that plan and no other", async () => {
  const words = ["restore", "latest", "--to", "/restored"];
  const { plan_hash: hash, create } = (await agent(...words, "--dry-run")).json<Plan>();
  expect(create).toBe(3);
  expect((await agent("restore", "latest", "--to", "/other", "--plan-hash", hash)).exitCode).toBe(
    6,
  );
  expect(fs.existsSync(`${root}/other`)).toBe(false);
  expect((await agent(...words, "--plan-hash", hash)).exitCode).toBe(0);
  expect(fs.readFileSync(`${root}/restored/m/two`, "utf8")).toBe("second");
}, 60_000);

test("a file that is one hole needs no room, in the plan and beside a parent", async () => {
  fs.writeFileSync(`${source}/hole`, "");
  fs.truncateSync(`${source}/hole`, 2 ** 41);
  const planned = (await agent("create", "--dry-run")).json<Plan & { needed_bytes: number }>();
  fs.truncateSync(`${source}/hole`, 40_000_000);
  expect(planned.conflicts).toEqual([]);
  const made = (await agent("create")).json<{ bytes: number; stored_bytes: number }>();
  expect(made.bytes).toBeGreaterThan(40_000_000);
  expect(made.stored_bytes).toBeLessThan(100_000);
  fs.rmSync(`${source}/hole`);
}, 60_000);

test("the room needed beside a parent is the growth in blocks; one without that count is judged by sizes", () => {
  const counts = { bytes: 1000 } as never;
  const survey = { bytes: 2 ** 41, storedBytes: 5000 };
  const record = (more: object) => ({
    record: { counts: { ...(counts as object), ...more } as never },
  });
  expect(neededBytes(survey, record({ source_blocks_bytes: 4000 }))).toBe(1000);
  expect(neededBytes(survey, record({}))).toBe(5000);
  expect(neededBytes({ bytes: 3000, storedBytes: 5000 }, record({}))).toBe(2000);
  expect(neededBytes(survey, record({ source_blocks_bytes: 9000 }))).toBe(50);
  expect(neededBytes(survey, undefined)).toBe(5000);
});

const isRoot = process.geteuid?.() === 0;

test.skipIf(!isRoot)(
  "a read-only disk is READ_ONLY (7) for root too, foreseen by the dry run",
  async () => {
    const disk = `${root}/mnt/citadel-backup`;
    const mount = (...words: string[]) => Bun.spawnSync(["mount", ...words]).exitCode === 0;
    if (!mount("-t", "tmpfs", "-o", "size=8g", "none", disk)) {
      console.log("skipped: cannot mount here");
      return;
    }
    try {
      expect((await agent("create")).exitCode).toBe(0);
      expect((await agent("create", "--type", "full")).exitCode).toBe(0);
      expect(mount("-o", "remount,ro", disk)).toBe(true);
      const refused = { foreseen: [["READ_ONLY", 7]], done: ["READ_ONLY", 7] };
      expect(await both("create")).toEqual(refused as never);
      expect(await both("create", "--configs")).toEqual(refused as never);
      expect(await both("restore", "latest", "--to", `${disk}/x`)).toEqual(refused as never);
      const cleaned = await agent("cleanup", "0", "--yes", "--force");
      expect(cleaned.json()).toMatchObject({ error: { code: "READ_ONLY" } });
      expect(cleaned.exitCode).toBe(7);
      const logs = `${root}/opt/citadel/logs`;
      fs.mkdirSync(logs, { recursive: true });
      fs.writeFileSync(`${logs}/early.log`, "early");
      fs.utimesSync(`${logs}/early.log`, 1_000_000_000, 1_000_000_000);
      const archived = await agent("archive-logs");
      expect(archived.json()).toMatchObject({ error: { code: "READ_ONLY" } });
      expect(archived.exitCode).toBe(7);
      expect(fs.readdirSync(logs)).toContain("early.log");
    } finally {
      Bun.spawnSync(["umount", disk]);
    }
  },
  60_000,
);

test.skipIf(!isRoot)(
  "who has no rights is told so, in the plan and in the run, and nothing is called a bug",
  async () => {
    const asNobody = (...words: string[]) =>
      runCli(["--root", root, "--json", "backup", ...words], {
        command: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...cliCommand()],
      });
    const planned = await asNobody("create", "--dry-run");
    expect(planned.json()).toMatchObject({ conflicts: [{ code: "PERMISSION", exit_code: 1 }] });
    for (const words of [["create"], ["create", "--configs"]]) {
      const made = await asNobody(...words);
      expect(made.json()).toMatchObject({
        error: { code: expect.not.stringContaining("INTERNAL") },
      });
      expect(made.json<{ error: { code: string } }>().error.code).toMatch(/PERMISSION|NOT_TRUSTED/);
      expect(made.exitCode).toBe(1);
    }
  },
  60_000,
);

test("an absent backup root is said: by create, which makes it, and by list and status, which look", async () => {
  const env = { CITADEL_BACKUP_ROOT: "/mnt/other" };
  const run = (...words: string[]) => runCli(["--root", root, "backup", ...words], { env });
  const warning = `there is no ${root}/mnt/other`;
  expect((await run("list")).stderr).toContain(warning);
  expect((await run("status")).stderr).toContain(warning);
  expect((await run("create", "--dry-run")).stderr).toContain(warning);
  expect(fs.existsSync(`${root}/mnt/other`)).toBe(false);
  const made = await run("create");
  expect(made.stderr).toContain(warning);
  expect(made.exitCode).toBe(0);
  expect((await run("list")).stderr).not.toContain("there is no");
}, 60_000);

test("disks that are not mounted are foreseen, and nothing is written", async () => {
  fs.mkdirSync(`${root}/proc/self`, { recursive: true });
  fs.writeFileSync(`${root}/proc/self/mountinfo`, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
  try {
    const env = { CITADEL_REQUIRE_MOUNTS: "yes" };
    const run = (...words: string[]) =>
      runCli(["--root", root, "--json", "backup", "create", ...words], { env });
    for (const words of [[], ["--configs"]]) {
      const planned = await run(...words, "--dry-run");
      expect(planned.exitCode).toBe(0);
      const [first] = planned.json<Plan>().conflicts;
      const place = `${root}/mnt/citadel-backup`;
      expect(first).toMatchObject({ code: "NOT_MOUNTED", path: place, exit_code: 7 });
      const made = await run(...words);
      expect(made.json()).toMatchObject({ error: { code: "NOT_MOUNTED" } });
      expect(made.exitCode).toBe(7);
    }
  } finally {
    fs.rmSync(`${root}/proc`, { recursive: true });
  }
}, 60_000);

test("without the backup disk nothing is moved onto the root disk, and nothing looks like no backups", async () => {
  const logs = `${root}/opt/citadel/logs`;
  const empty = `${root}/elsewhere`;
  fs.mkdirSync(`${root}/proc/self`, { recursive: true });
  fs.mkdirSync(logs, { recursive: true });
  fs.mkdirSync(empty);
  fs.writeFileSync(`${logs}/old.log`, "old");
  fs.utimesSync(`${logs}/old.log`, 1_000_000_000, 1_000_000_000);
  fs.writeFileSync(`${root}/proc/self/mountinfo`, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
  try {
    const env = { CITADEL_REQUIRE_MOUNTS: "yes", CITADEL_BACKUP_ROOT: "/elsewhere" };
    const run = (...words: string[]) =>
      runCli(["--root", root, "--json", "backup", ...words], { env });
    for (const words of [["archive-logs"], ["cleanup", "--yes"], ["verify", "--rolling"]]) {
      const made = await run(...words);
      expect({ words, ...made.json() }).toMatchObject({ words, error: { code: "NOT_MOUNTED" } });
      expect(made.exitCode).toBe(7);
    }
    for (const words of [["archive-logs"], ["cleanup"]]) {
      const planned = await run(...words, "--dry-run");
      expect(planned.exitCode).toBe(0);
      expect(planned.stderr).toContain("the backup disk is not mounted");
    }
    for (const words of [
      ["restore", "latest", "--to", "/r"],
      ["repair", "latest"],
      ["diff", "a", "b"],
    ]) {
      const made = await run(...words);
      const { error } = made.json<{ error: { code: string; message: string } }>();
      expect(error.code).toBe("SNAPSHOT_UNKNOWN");
      expect(error.message).toContain("the backup disk is not mounted");
    }
    const verified = await run("verify");
    expect(verified.exitCode).toBe(3);
    expect(verified.stderr).toContain("the backup disk is not mounted");
    const listed = await runCli(["--root", root, "backup", "list"], { env });
    expect(listed.stdout).not.toContain("no snapshots yet");
    expect(fs.readdirSync(empty)).toEqual([]);
    expect(fs.readdirSync(logs)).toContain("old.log");
  } finally {
    fs.rmSync(`${root}/proc`, { recursive: true });
  }
}, 60_000);

test("a relative SOURCE counts from the working directory, which has to lie below --root", async () => {
  const create = (cwd: string, path: string) =>
    runCli(["--root", root, "--json", "backup", "create", path, "--dry-run"], { cwd });
  const inside = await create(`${root}/mnt/citadel-models`, "active");
  expect(inside.json()).toMatchObject({ source }); // printed paths are the real ones
  expect((await create(source, ".")).json()).toMatchObject({ source });
  const outside = await create("/", "mnt/citadel-models/active");
  expect(outside.json()).toMatchObject({ error: { code: "PATH_NOT_ABSOLUTE" } });
  expect(outside.exitCode).toBe(2);
  const to = ["restore", "latest", "--to", "here", "--dry-run"];
  const restore = (cwd: string) => runCli(["--root", root, "--json", "backup", ...to], { cwd });
  expect((await restore(source)).json()).toMatchObject({ to: `${source}/here` });
  expect((await restore("/")).exitCode).toBe(2);
}, 60_000);

test("verify refuses what contradicts itself, restore in place says what it leaves", async () => {
  for (const words of [
    ["latest", "--all"],
    ["latest", "--rolling"],
    ["latest", "0.5", "--sample", "0.2"],
  ]) {
    const made = await agent("verify", ...words);
    expect(made.json()).toMatchObject({ error: { code: "ARGUMENTS_CONFLICT" } });
    expect(made.exitCode).toBe(2);
  }
  expect((await agent("restore", "latest", "--to", "/as-it-is")).exitCode).toBe(0);
  fs.chmodSync(`${root}/as-it-is/m/one`, 0o600);
  const words = ["restore", "latest", "--in-place", "--to", "/as-it-is"];
  const again = await runCli(["--root", root, "backup", ...words]);
  expect(again.stdout).toMatch(
    /^nothing to restore: .* content of .*: left with modes, owners and times/,
  );
  expect(fs.statSync(`${root}/as-it-is/m/one`).mode & 0o777).toBe(0o600);
}, 60_000);

test("flags that would be heard by nobody are refused", async () => {
  for (const [words, code] of [
    [["--with-secrets"], "FLAG_REQUIRED"],
    [["--configs", "--cross-filesystems"], "ARGUMENTS_CONTRADICT"],
    [["/etc", "--configs"], "ARGUMENTS_CONTRADICT"],
  ] as const) {
    const made = await agent("create", ...words);
    expect(made.json()).toMatchObject({ error: { code } });
    expect(made.exitCode).toBe(2);
  }
}, 60_000);

test("a tag is one word; a word that retention does not count goes with its snapshot", async () => {
  const wrong = await agent("create", "--tag", "a b");
  expect(wrong.exitCode).toBe(2);
  expect(wrong.json()).toMatchObject({ error: { code: "VALUE_INVALID" } });
  const { snapshot } = (await agent("create", "--tag", "hourly", "--accept-shrink")).json<{
    snapshot: string;
  }>();
  const link = `${root}/mnt/citadel-backup/models/hourly/${snapshot}`;
  expect(fs.readlinkSync(link)).toBe(`../${snapshot}`);
  await agent("create");
  const cleaned = await agent("cleanup", "0", "--yes", "--force");
  expect(cleaned.json<{ removed: string[] }>().removed).toContain(snapshot);
  expect(fs.lstatSync(link, { throwIfNoEntry: false })).toBeUndefined();
}, 60_000);
