// The repository lies below a directory of the service user's: snapshots that he forges, renames or plants there.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { latestSource } from "../../src/app/backup-repository.ts";
import { applyRetention } from "../../src/backup/cleanup.ts";
import { repairSnapshot } from "../../src/backup/repair/repair.ts";
import { listSnapshots, ownSnapshots, resolveSnapshot } from "../../src/backup/repository.ts";
import { restoreSnapshot } from "../../src/backup/restore/restore.ts";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { DirectoryTree } from "../../src/system/directory-tree.ts";
import { systemClock } from "../../src/system/index.ts";
import { keepReserve } from "../../src/system/reserve-file.ts";
import { isFreshStage } from "../../src/system/restore-target.ts";
import { readSmallStored } from "../../src/system/stored-files.ts";
import { assertTrustedProgram } from "../../src/system/trusted-directory.ts";
import { openBackupWorld } from "../support/create-snapshot.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

const attackerUid = 12_345;
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("skipped: giving directories to another user takes root");

function found(repository: string, id: string) {
  const snapshot = listSnapshots(repository).find((each) => each.id === id);
  if (snapshot === undefined) throw new Error(`no ${id}`);
  return snapshot;
}

test.skipIf(!isRoot)(
  "a forged snapshot, though the newest, is neither latest nor counted by retention",
  async () => {
    using world = openBackupWorld();
    fs.writeFileSync(`${world.source}/unit`, "ExecStart=/usr/bin/true");
    const own = await world.create();
    fs.writeFileSync(`${world.source}/unit`, "ExecStart=/home/evil");
    const forged = buildSnapshot(world.repository, world.source, { atMs: Date.now() + 60_000 });
    fs.chownSync(forged.directory, attackerUid, attackerUid);
    expect(resolveSnapshot(world.repository, "latest", [world.source]).snapshot.id).toBe(
      own.snapshot,
    );
    expect(ownSnapshots(listSnapshots(world.repository)).map(({ id }) => id)).toEqual([
      own.snapshot,
    ]);
  },
);

test.skipIf(!isRoot)(
  "who owns the area chooses neither which source latest means, nor by its link a forged snapshot",
  async () => {
    using world = openBackupWorld();
    const repository = world.repository as AbsolutePath;
    const link = `${repository}/models/latest`;
    const point = (id: string, uid: number) => {
      fs.rmSync(link, { force: true });
      fs.symlinkSync(id, link);
      fs.lchownSync(link, uid, uid);
    };
    fs.writeFileSync(`${world.source}/unit`, "ExecStart=/usr/bin/true");
    const own = await world.create();
    const other = buildSnapshot(repository, world.source, { source: "/etc/other" });
    const forged = buildSnapshot(repository, world.source, { atMs: Date.now() + 60_000 });
    fs.chownSync(forged.directory, attackerUid, attackerUid);
    point(own.snapshot, 0);
    expect(latestSource(repository)).toEqual([world.source]);
    point(other.id, attackerUid);
    expect(latestSource(repository)).toEqual([]);
    point(forged.id, 0);
    expect(latestSource(repository)).toEqual([]);
    point(forged.id, attackerUid);
    expect(resolveSnapshot(repository, link, [world.source]).snapshot.id).toBe(own.snapshot);
  },
);

test.skipIf(!isRoot)(
  "where the record that latest leads to is damaged, the source is that of its elder sisters",
  () => {
    using world = openBackupWorld();
    const repository = world.repository as AbsolutePath;
    buildSnapshot(repository, world.source, { atMs: Date.now() - 60_000 });
    const newest = buildSnapshot(repository, world.source);
    fs.symlinkSync(newest.id, `${repository}/models/latest`);
    fs.rmSync(`${newest.directory}/snapshot.json`);
    expect(latestSource(repository)).toEqual([world.source]);
    const judged = resolveSnapshot(repository, "latest", latestSource(repository), "newest");
    expect(judged.snapshot.id).toBe(newest.id);
  },
);

test("where no snapshot is ours, as with root mapped to nobody, all count", () => {
  using world = openBackupWorld();
  const { directory, id } = buildSnapshot(world.repository, world.source);
  fs.chmodSync(directory, 0o777);
  expect(ownSnapshots(listSnapshots(world.repository)).map((each) => each.id)).toEqual([id]);
});

test.skipIf(!isRoot)(
  "repair does not write into a snapshot that somebody else prepared",
  async () => {
    using world = openBackupWorld();
    const victim = `${world.root}/victim`;
    fs.mkdirSync(victim);
    fs.mkdirSync(`${world.source}/sub`);
    fs.writeFileSync(`${world.source}/sub/evil`, "payload");
    const { directory, id } = buildSnapshot(world.repository, world.source);
    fs.rmSync(`${directory}/data/sub`, { recursive: true });
    fs.symlinkSync(victim, `${directory}/data/sub`);
    fs.chownSync(directory, attackerUid, attackerUid);
    const snapshot = found(world.repository, id);
    const options = { mode: "full", cached: true, sampleRate: 1, seed: 1, cores: 1 } as const;
    const verified = await verifySnapshot(snapshot, options, { clock: systemClock });
    expect(verified.valid).toBe(false);
    await expect(repairSnapshot(snapshot, verified, { others: [] })).rejects.toMatchObject({
      code: "SNAPSHOT_NOT_OURS",
    });
    expect(fs.readdirSync(victim)).toEqual([]);
  },
);

test.skipIf(!isRoot)(
  "a snapshot of root's that was renamed to a layout directory keeps owner and mode",
  () => {
    using world = openBackupWorld();
    const base = world.root as AbsolutePath;
    fs.mkdirSync(`${base}/daily`, { mode: 0o700 });
    fs.writeFileSync(`${base}/daily/snapshot.json`, "{}");
    using tree = new DirectoryTree(base);
    const change = () => tree.open(base).change("daily", { uid: attackerUid, gid: attackerUid });
    expect(change).toThrow(expect.objectContaining({ code: "HOST_CHANGED" }));
    expect(() => tree.open(base).change("daily", { mode: 0o755 })).toThrow();
    const { uid, mode } = fs.statSync(`${base}/daily`);
    expect([uid, mode & 0o777]).toEqual([0, 0o700]);
  },
);

test.each([
  ["a FIFO", (path: string) => void Bun.spawnSync(["mkfifo", path])],
  ["a link to a victim", (path: string, victim: string) => fs.symlinkSync(victim, path)],
  ["a hard link to a victim", (path: string, victim: string) => fs.linkSync(victim, path)],
])("%s in the place of the reserve is taken away, not written", (_, plant) => {
  using world = openBackupWorld();
  const victim = `${world.root}/victim`;
  const reserve = `${world.repository}/.citadel-agent.reserve`;
  fs.writeFileSync(victim, "precious");
  plant(reserve, victim);
  expect(keepReserve(reserve, 4096)).toBe(true);
  expect(fs.readFileSync(victim, "utf8")).toBe("precious");
  const stat = fs.lstatSync(reserve);
  expect([stat.isFile(), stat.size, stat.nlink]).toEqual([true, 4096, 1]);
});

test.skipIf(!isRoot)("a stage that was exchanged before it was opened is told from ours", () => {
  using world = openBackupWorld();
  const look = (prepare: (path: string) => void) => {
    const path = fs.mkdtempSync(`${world.root}/stage-`);
    prepare(path);
    const fd = fs.openSync(path, fs.constants.O_DIRECTORY);
    const isFresh = isFreshStage(fd);
    fs.closeSync(fd);
    return isFresh;
  };
  expect(look(() => {})).toBe(true);
  expect(look((path) => fs.chownSync(path, attackerUid, attackerUid))).toBe(false);
  expect(look((path) => fs.chmodSync(path, 0o777))).toBe(false);
  expect(look((path) => fs.symlinkSync("/etc", `${path}/a`))).toBe(false);
});

test.skipIf(!isRoot)(
  "while the parent of a restore's target is swapped for a link in a loop, nothing is written elsewhere",
  async () => {
    using world = openBackupWorld();
    const victim = `${world.root}/victim`;
    const parent = `${world.root}/parent`;
    for (const path of [victim, parent]) fs.mkdirSync(path);
    for (let at = 0; at < 100; at += 1) fs.writeFileSync(`${world.source}/f${at}`, `content ${at}`);
    const { id } = buildSnapshot(world.repository, world.source);
    const swapper = Bun.spawn(
      [process.execPath, `${import.meta.dir}/parent-swapper.ts`, parent, victim],
      {
        stdout: "pipe",
      },
    );
    await swapper.stdout.getReader().read();
    for (let round = 0; round < 6; round += 1) {
      const to = `${parent}/restored${round}`;
      const options = { to, globs: [], privileged: false, isRoot };
      try {
        await restoreSnapshot(found(world.repository, id), options, { clock: systemClock });
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(Error); // refused is fine; what counts is below
      }
    }
    swapper.kill();
    await swapper.exited;
    expect(fs.readdirSync(victim)).toEqual([]);
  },
  60_000,
);

test("cleanup makes no links behind a tag directory that is one, and removes what is due", async () => {
  using world = openBackupWorld();
  const victim = `${world.root}/victim`;
  fs.mkdirSync(victim);
  fs.writeFileSync(`${world.source}/a`, "a");
  const kept = found(world.repository, (await world.create({ type: "full" })).snapshot);
  const doomed = found(world.repository, (await world.create({ type: "full" })).snapshot);
  fs.symlinkSync(victim, `${world.repository}/models/daily`);
  const plan = { keep: [{ snapshot: kept, reasons: ["daily"] }], remove: [doomed], objections: [] };
  const report = applyRetention(plan, {
    backupRoot: world.repository as AbsolutePath,
    runtimeDir: `${world.root}/run` as AbsolutePath,
    clock: systemClock,
  });
  expect(report.removed.map(({ id }) => id)).toEqual([doomed.id]);
  expect(fs.existsSync(doomed.directory)).toBe(false);
  expect(fs.readdirSync(victim)).toEqual([]);
});

test("an index of shards that is a FIFO hangs nothing", () => {
  using world = openBackupWorld();
  const index = `${world.source}/model.safetensors.index.json`;
  Bun.spawnSync(["mkfifo", index]);
  expect(() => readSmallStored(index, 1000)).toThrow(
    expect.objectContaining({ code: "NOT_A_PLAIN_FILE" }),
  );
});

test.skipIf(!isRoot)("root schedules no program that somebody else could change", () => {
  using world = openBackupWorld();
  const program = `${world.root}/agent`;
  const refused = (path: string) =>
    expect(() => assertTrustedProgram(path)).toThrow(
      expect.objectContaining({ code: "PROGRAM_NOT_TRUSTED" }),
    );
  fs.writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
  assertTrustedProgram(program);
  fs.chmodSync(program, 0o644);
  refused(program);
  assertTrustedProgram(program, true);
  fs.chmodSync(program, 0o775);
  refused(program);
  fs.chmodSync(program, 0o755);
  fs.chownSync(program, attackerUid, 0);
  refused(program);
  fs.chownSync(program, 0, 0);
  fs.chownSync(world.root, attackerUid, 0);
  refused(program);
  fs.chownSync(world.root, 0, 0);
  for (const path of ["/bin/a b", "/bin/a\n* * * * * root id", "/bin/100%", "/bin/missing"])
    refused(path);
});
