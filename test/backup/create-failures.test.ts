// What `backup create` does when things go wrong: kills, full disks, files that change, rights that are missing.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import { listSnapshots } from "../../src/backup/repository.ts";
import type { CreateReport } from "../../src/backup/create/options.ts";
import { statExact } from "../../src/system/native.ts";
import { systemClock } from "../../src/system/index.ts";
import { type BackupWorld, letSourceSettle, openBackupWorld } from "../support/create-snapshot.ts";

const isRoot = process.getuid?.() === 0;
const mounts: string[] = [];
afterAll(() => {
  for (const mount of mounts) Bun.spawnSync(["umount", mount]);
}, 60_000);

function spawnCreate(world: BackupWorld, type = "incremental") {
  const script = `${import.meta.dir}/../support/create-once.ts`;
  return Bun.spawn([process.execPath, script, world.source, world.repository, type], {
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function verifyAll(world: BackupWorld): Promise<number> {
  let complete = 0;
  for (const snapshot of listSnapshots(world.repository)) {
    if (snapshot.state === "partial") continue;
    const options = {
      mode: "full",
      cached: true,
      sampleRate: 1,
      seed: 1,
      workers: 0,
      cores: 1,
    } as const;
    const report = await verifySnapshot(snapshot, options, { clock: systemClock });
    expect(report.failures).toEqual([]);
    expect(report.valid).toBe(true);
    complete += 1;
  }
  return complete;
}

const partials = (world: BackupWorld) =>
  fs.existsSync(`${world.repository}/models`)
    ? fs.readdirSync(`${world.repository}/models`).filter((name) => name.endsWith(".partial"))
    : [];

test("a run that is killed leaves nothing complete that does not verify, and the next one goes on", async () => {
  using world = openBackupWorld();
  const total = 600;
  for (let at = 0; at < total; at += 1) {
    if (at % 100 === 0) fs.mkdirSync(`${world.source}/d${at / 100}`);
    fs.writeFileSync(
      `${world.source}/d${Math.floor(at / 100)}/f${at}`,
      crypto.getRandomValues(new Uint8Array(20_000)),
    );
  }
  fs.writeFileSync(
    `${world.source}/large.bin`,
    Buffer.alloc(40 * 1024 * 1024, crypto.randomUUID()),
  );
  await letSourceSettle();
  let resumed = 0;
  for (const journalBytes of [1, 40_000, 120_000]) {
    const child = spawnCreate(world);
    // wait for a condition of the disk, not for a time: so much was noted, or the run is over
    for (let isOver = false; !isOver;) {
      const [name] = partials(world);
      const journal = `${world.repository}/models/${name}/.work/journal`;
      const size = name !== undefined && fs.existsSync(journal) ? fs.statSync(journal).size : 0;
      isOver = size >= journalBytes || child.exitCode !== null;
      await Bun.sleep(1);
    }
    child.kill("SIGKILL");
    await child.exited;
    await verifyAll(world);
  }
  const report = await world.create();
  resumed += report.resumed_files;
  expect(report.skipped).toEqual([]);
  expect(report.files).toBe(total + 1);
  expect(partials(world)).toEqual([]);
  expect(resumed + report.copied_files + report.linked_files).toBe(total + 1);
  expect(await verifyAll(world)).toBeGreaterThan(0);
}, 60_000);

test("a resumed run copies only what is missing and drops what the source no longer has", async () => {
  using world = openBackupWorld();
  for (let at = 0; at < 50; at += 1) fs.writeFileSync(`${world.source}/f${at}`, `content ${at}`);
  await letSourceSettle();
  // the run dies after everything was copied: its directory is there, without its final name
  const first = await world.create({ type: "full" });
  const work = `${first.directory}/.work`;
  fs.mkdirSync(work);
  const kind = {
    sourceIdentity: JSON.parse(fs.readFileSync(`${first.directory}/snapshot.json`, "utf8"))
      .source_identity,
    source: world.source,
    type: "full",
    compression: "none",
    checksums: "",
  };
  const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const lines = fs.readFileSync(`${first.directory}/manifest.jsonl`, "utf8").trim().split("\n");
  const noted = lines.filter((line) => line.includes('"type":"file"')).map((line) => `U${line}\n`);
  fs.writeFileSync(
    `${work}/journal`,
    `H${JSON.stringify({ ...kind, boot })}\n${noted.join("")}U{"path":"torn`,
  );
  fs.rmSync(`${first.directory}/snapshot.json`);
  fs.writeFileSync(`${first.directory}/data/stray`, "of a file that is gone");
  fs.writeFileSync(`${first.directory}/.citadel-agent.0123456789ab.tmp`, '{"half":');
  fs.renameSync(first.directory, `${first.directory}.partial`);
  const kept = statExact(`${first.directory}.partial/data/f7`).ino;
  fs.writeFileSync(`${world.source}/f3`, "changed meanwhile");
  fs.rmSync(`${world.source}/f4`);
  const report = await world.create({ type: "full" });
  expect(report.resumed_files).toBe(48);
  expect(report.copied_bytes).toBe("changed meanwhile".length);
  // the killed run stored the rest for this snapshot and no other
  const [made] = listSnapshots(world.repository);
  expect(made?.record?.counts).toMatchObject({
    new_bytes: report.bytes,
    new_stored_bytes: report.bytes,
  });
  expect(statExact(`${report.directory}/data/f7`).ino).toBe(kept);
  expect(fs.existsSync(`${report.directory}/data/stray`)).toBe(false);
  expect(fs.existsSync(`${report.directory}/data/f4`)).toBe(false);
  expect(fs.existsSync(`${report.directory}/.work`)).toBe(false);
  await verifyAll(world);
}, 60_000);

test("a file that keeps changing is told, with exit-worthy skips, and the rest is kept", async () => {
  using world = openBackupWorld();
  fs.writeFileSync(`${world.source}/still`, "still");
  fs.writeFileSync(`${world.source}/growing`, Buffer.alloc(8 * 1024 * 1024));
  const script = `while :; do printf x >> '${world.source}/growing'; done`;
  const writer = Bun.spawn(["/bin/sh", "-c", script]);
  try {
    // slow enough that the writer gets its turn during each of the three tries
    const report = await world.create({ jobs: 1, limitBytesPerSecond: 8 * 1024 * 1024 });
    expect(report.skipped).toMatchObject([{ path: "growing", reason: "changed" }]);
    expect(report.skipped_total).toBe(1);
    expect(fs.existsSync(`${report.directory}/data/growing`)).toBe(false);
    expect(fs.readFileSync(`${report.directory}/data/still`, "utf8")).toBe("still");
  } finally {
    writer.kill("SIGKILL");
    await writer.exited;
  }
  await verifyAll(world);
}, 60_000);

test("a disk that fills midway ends the run with NO_SPACE and nothing complete", async () => {
  if (!isRoot) return console.log("skipped: mounting a small tmpfs needs root");
  using world = openBackupWorld();
  const { source, repository } = world;
  if (
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=24m", "none", repository]).exitCode !== 0
  ) {
    return console.log("skipped: no tmpfs can be mounted here");
  }
  mounts.push(repository);
  try {
    const mib = 1024 * 1024;
    fs.writeFileSync(`${source}/a`, Buffer.alloc(40 * mib, "x"));
    const early = await world.create().catch((thrown: unknown) => thrown);
    expect(early).toMatchObject({ kind: "no-space", code: "BACKUP_NO_SPACE" });
    expect(partials(world)).toEqual([]);
    fs.writeFileSync(`${source}/a`, Buffer.alloc(10 * mib, "y"));
    const good = await world.create();
    // replaced without growth: the look at the room passes, the copy does not fit
    fs.writeFileSync(`${source}/a`, Buffer.alloc(10 * mib, "z"));
    fs.writeFileSync(`${repository}/filler`, Buffer.alloc(6 * mib));
    const error = await world.create().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "no-space", code: "NO_SPACE" });
    expect(fs.readlinkSync(`${repository}/models/latest`)).toBe(good.snapshot);
    expect(partials(world)).toHaveLength(1);
    expect(await verifyAll(world)).toBe(1);
    fs.rmSync(`${repository}/filler`);
    const after = await world.create();
    expect(after.skipped).toEqual([]);
    expect(partials(world)).toEqual([]);
    expect(await verifyAll(world)).toBe(2);
  } finally {
    Bun.spawnSync(["umount", "-l", repository]);
  }
}, 60_000);

test("what may not be read is told file by file; the owner that may not be set stays in the manifest", async () => {
  if (!isRoot) return console.log("skipped: becoming another user needs root");
  if (Bun.which("setpriv") === null) return console.log("skipped: no setpriv");
  using world = openBackupWorld("/var/tmp");
  fs.chmodSync(world.root, 0o755);
  for (const directory of [world.source, world.repository]) fs.chownSync(directory, 65534, 65534);
  fs.writeFileSync(`${world.source}/open`, "anyone may");
  fs.writeFileSync(`${world.source}/closed`, "root only", { mode: 0o600 });
  fs.mkdirSync(`${world.source}/shut`, { mode: 0o700 });
  fs.writeFileSync(`${world.source}/shut/inside`, "unseen");
  const script = `${import.meta.dir}/../support/create-once.ts`;
  const child = Bun.spawnSync(
    [
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      process.execPath,
      script,
      world.source,
      world.repository,
    ],
    { cwd: "/", env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent" } },
  );
  if (
    child.exitCode !== 0 &&
    /EACCES|ENOENT|Permission/.test(child.stderr.toString().slice(0, 400))
  ) {
    return console.log("skipped: another user cannot read this checkout");
  }
  expect(child.stderr.toString()).toBe("");
  const report = JSON.parse(child.stdout.toString()) as CreateReport;
  const told = Object.fromEntries(report.skipped.map(({ path, reason }) => [path, reason]));
  expect(told).toEqual({ closed: "unreadable", shut: "unreadable" });
  expect(fs.readFileSync(`${report.directory}/data/open`, "utf8")).toBe("anyone may");
  const line = fs
    .readFileSync(`${report.directory}/manifest.jsonl`, "utf8")
    .match(/.*"path":"open".*/)?.[0];
  expect(JSON.parse(line ?? "{}")).toMatchObject({ uid: 0, gid: 0 });
}, 60_000);

test("a mount point below the source is told, and entered only when asked", async () => {
  if (!isRoot) return console.log("skipped: mounting needs root");
  using world = openBackupWorld();
  const inner = `${world.source}/inner`;
  fs.mkdirSync(inner);
  if (Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m", "none", inner]).exitCode !== 0) {
    return console.log("skipped: no tmpfs can be mounted here");
  }
  mounts.push(inner);
  try {
    fs.writeFileSync(`${inner}/file`, "beyond");
    const report = await world.create({ type: "full" });
    expect(report.skipped).toEqual([{ path: "inner", reason: "mount_point" }]);
    const crossed = await world.create({ type: "full", crossFileSystems: true });
    expect(crossed.skipped).toEqual([]);
    expect(fs.readFileSync(`${crossed.directory}/data/inner/file`, "utf8")).toBe("beyond");
  } finally {
    Bun.spawnSync(["umount", inner]);
  }
}, 60_000);

test("an abort in the middle of a large file ends the run at once and leaves a partial to go on with", async () => {
  using world = openBackupWorld(tmpdir());
  fs.writeFileSync(`${world.source}/large.bin`, Buffer.alloc(64 * 1024 * 1024, "abc"));
  const controller = new AbortController();
  const run = world.create({}, controller.signal).catch((thrown: unknown) => thrown);
  while (partials(world).length === 0) await Bun.sleep(1);
  controller.abort(new Error("stopped by the test"));
  expect(String(await run)).toContain("stopped by the test");
  expect(listSnapshots(world.repository).filter(({ state }) => state === "complete")).toEqual([]);
  const report = await world.create();
  expect(report.files).toBe(1);
}, 60_000);
