import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { openCatalog, readCatalog, type CatalogOptions } from "../../src/backup/catalog/catalog.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { runCli } from "../support/run-cli.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

let root: string;
let source: string;
let count = 0;
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/catalog-`));
  source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(source, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`);
  fs.writeFileSync(`${source}/w`, "weights");
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const options = (more: Partial<CatalogOptions> = {}): CatalogOptions => ({
  stateDir: `${root}/state-${(count += 1)}` as AbsolutePath,
  backupRoot: `${root}/empty` as AbsolutePath,
  clock: new ManualClock(),
  user: "test",
  pid: process.pid,
  ...more,
});
type Json = Record<string, any>;
const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args]);

test("a job is visible to others while it waits and runs, and its outcome stays", () => {
  const places = options();
  using catalog = openCatalog(places);
  const other = () => {
    using seen = readCatalog(places).catalog;
    return seen?.jobs().map(({ state, error_code, files }) => [state, error_code, files]);
  };
  const id = catalog.startJob({ kind: "create", source: "/active", tags: ["daily"] }, "pending");
  expect(other()).toEqual([["pending", null, 0]]);
  catalog.beginJob(id);
  expect(other()).toEqual([["running", null, 0]]);
  catalog.finishJob(id, { files: 5 }, { code: "NO_SPACE", message: "full" });
  expect(other()).toEqual([["failed", "NO_SPACE", 5]]);
}, 60_000);

test("a job whose process died is a failed one, never running for ever", () => {
  const places = options({ pid: Bun.spawnSync(["true"]).pid });
  using catalog = openCatalog(places);
  catalog.startJob({ kind: "restore" });
  expect(catalog.jobs()[0]).toMatchObject({ state: "failed", error_code: "JOB_DIED" });
}, 60_000);

test("a damaged catalogue is kept aside and a new one filled from the snapshots on disk", () => {
  const repository = `${root}/rebuilt` as AbsolutePath;
  const { id } = buildSnapshot(repository, source);
  const places = options({ backupRoot: repository });
  openCatalog(places)[Symbol.dispose]();
  const path = `${places.stateDir}/catalog.db`;
  for (const suffix of ["-wal", "-shm"]) fs.rmSync(path + suffix, { force: true });
  const bytes = fs.readFileSync(path);
  bytes.fill(0x55, 100, 8000);
  fs.writeFileSync(path, bytes);
  using catalog = openCatalog(places);
  expect(catalog.setAside).toContain("catalog.db.damaged-");
  expect(fs.readFileSync(catalog.setAside ?? "").equals(bytes)).toBe(true);
  expect(catalog.jobs().map(({ snapshot, state }) => [snapshot, state])).toEqual([
    [id, "completed"],
  ]);
}, 60_000);

test("failed jobs are recorded with why; status shows them from another process", async () => {
  expect((await agent("create", "/no/such/source")).exitCode).toBe(1);
  const made = await agent("create", "--json");
  expect({ exitCode: made.exitCode, stderr: made.stderr }).toMatchObject({ exitCode: 0 });
  const { snapshot } = made.json<{ snapshot: string }>();
  fs.writeFileSync(`${root}/mnt/blocked`, "");
  await agent("restore", "latest", "--to", "/mnt/blocked");
  const status = (await agent("status", "--json")).json<{
    jobs: Json[];
    snapshots: number;
    sources: Json[];
  }>();
  const jobs = status.jobs.map(({ kind, state, error, snapshot: id }) => [
    kind,
    state,
    error?.code ?? null,
    id,
  ]);
  expect(jobs).toContainEqual(["create", "completed", null, snapshot]);
  expect(jobs).toContainEqual(["create", "failed", "SOURCE_MISSING", null]);
  expect(jobs).toContainEqual(["restore", "failed", "RESTORE_TARGET_NOT_EMPTY", snapshot]);
  expect(status.snapshots).toBe(1);
  expect(status.sources[0]).toMatchObject({ snapshots: 1, bytes: 7 });
  expect((await agent("status")).stdout).toContain(
    "RESTORE_TARGET_NOT_EMPTY".slice(0, 0) + "failed",
  );
}, 60_000);

test("without any state the repository alone suffices: list, verify, restore", async () => {
  fs.rmSync(`${root}/var`, { recursive: true, force: true });
  fs.mkdirSync(`${root}/var`);
  fs.writeFileSync(`${root}/var/lib`, "in the way: no state directory can be made");
  expect((await agent("list", "--json")).json<{ snapshots: Json[] }>().snapshots).toHaveLength(1);
  const verified = await agent("verify", "--json");
  expect(verified.exitCode).toBe(0);
  expect(verified.json<{ remarks: string[] }>().remarks.join()).toContain("could not be recorded");
  expect((await agent("restore", "latest", "--to", "/mnt/again")).exitCode).toBe(0);
  expect(fs.readFileSync(`${root}/mnt/again/w`, "utf8")).toBe("weights");
  fs.rmSync(`${root}/var`, { recursive: true });
}, 60_000);

test("diff names what changed; archive-logs moves old logs only", async () => {
  const before = (await agent("list", "--json")).json<{ snapshots: Json[] }>().snapshots[0]?.[
    "id"
  ] as string;
  fs.writeFileSync(`${source}/w`, "other weights");
  fs.writeFileSync(`${source}/new`, "x");
  await agent("create");
  const diff = (await agent("diff", before, "latest", "--json")).json<{
    changes: Json[];
    bytes: number;
  }>();
  expect(diff.changes.map(({ path, change }) => [path, change])).toEqual([
    ["new", "added"],
    ["w", "content"],
  ]);
  expect(diff.bytes).toBe(7);
  const logs = `${root}/opt/citadel/logs`;
  fs.mkdirSync(logs, { recursive: true });
  fs.writeFileSync(`${logs}/old.log`, "long ago\n");
  fs.utimesSync(`${logs}/old.log`, 1_700_000_000, 1_700_000_000);
  fs.writeFileSync(`${logs}/new.log`, "now\n");
  const archived = (await agent("archive-logs", "--json")).json<{ moved: Json[] }>();
  expect(archived.moved).toHaveLength(1);
  expect(fs.readdirSync(logs)).toContain("new.log");
  expect(fs.existsSync(`${logs}/old.log`)).toBe(false);
  const packed = fs.readFileSync(`${root}/mnt/citadel-backup/system/logs/2023-11-14-old.log.gz`);
  expect(Buffer.from(Bun.gunzipSync(packed)).toString()).toBe("long ago\n");
}, 60_000);

test("status says how far rolling verification is, and when it does not run any more", async () => {
  expect((await agent("verify", "--rolling")).exitCode).toBe(0);
  const shown = async () => (await agent("status")).stdout;
  expect(await shown()).toMatch(
    /^rolling verification: [\d.]+ % of .* proved within 7 days \(as of /m,
  );
  const database = new Database(`${root}/var/lib/citadel-agent/catalog.db`);
  const coverage = JSON.parse(
    (database.query("SELECT value FROM facts WHERE name = 'coverage'").get() as { value: string })
      .value,
  ) as object;
  const set = (more: object) =>
    database.run("UPDATE facts SET value = ? WHERE name = 'coverage'", [
      JSON.stringify({ ...coverage, ...more }),
    ]);
  set({ ratio: 0.9996, lag_s: 7200 });
  expect(await shown()).toContain("verification: 99.9 % of"); // not 100 before it is all
  expect(await shown()).toContain("the oldest is 2 h 0 min late");
  set({ measured_at: "2020-01-01T00:00:00.000Z" });
  expect(await shown()).toMatch(
    /^rolling verification: no slice since .* ago; .* was proved then$/m,
  );
  database.close();
}, 60_000);

test("cleanup forgets content that nobody has read for ten turns of verification", async () => {
  buildSnapshot(`${root}/mnt/citadel-backup`, source);
  expect((await agent("verify", "latest")).exitCode).toBe(0);
  const database = new Database(`${root}/var/lib/citadel-agent/catalog.db`);
  const rows = () => database.query("SELECT inode FROM content WHERE inode IN (7, 8)").values();
  const day = 86_400_000;
  const insert = database.prepare("INSERT INTO content (inode, content, at_ms) VALUES (?, 1, ?)");
  insert.run(7, Date.now() - 71 * day);
  insert.run(8, Date.now() - 69 * day);
  expect((await agent("cleanup", "--dry-run")).exitCode).toBe(0);
  expect(rows()).toEqual([[7], [8]]);
  expect((await agent("cleanup", "--yes")).exitCode).toBe(0);
  expect(rows()).toEqual([[8]]);
  database.close();
});
