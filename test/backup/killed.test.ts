// kill -9 at moments spread over a restore and a clean-up: what has its final name is whole, and the next run ends well.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { readSnapshot, listSnapshots } from "../../src/backup/repository.ts";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import { systemClock } from "../../src/system/index.ts";
import { createRandom } from "../../src/core/index.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { cliCommand, runCli } from "../support/run-cli.ts";
import { buildSnapshot, type Built } from "../support/snapshot-builder.ts";

const rounds = 6;
let root: string;
let repository: string;
let source: string;
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/killed-`));
  source = `${root}/mnt/citadel-models/active`;
  repository = `${root}/mnt/citadel-backup`;
  fs.mkdirSync(`${source}/sub`, { recursive: true });
  for (let at = 0; at < 300; at += 1)
    fs.writeFileSync(`${source}/sub/f${at}`, Buffer.alloc(5000, at));
  fs.writeFileSync(`${source}/big`, Buffer.alloc(30_000_000, 1));
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

/** Runs a command, killed after `delayMs`. @returns whether it came to its end before */
async function runKilled(args: readonly string[], delayMs: number): Promise<boolean> {
  const child = Bun.spawn([...cliCommand(), "--root", root, "backup", ...args], {
    stdout: "ignore",
    stderr: "ignore",
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), delayMs);
  const exitCode = await child.exited;
  clearTimeout(timer);
  return exitCode === 0;
}

const quick = {
  mode: "quick",
  cached: true,
  sampleRate: 1,
  seed: 0,
  cores: 2,
  workers: 0,
} as const;
const isSound = async (directory: string) => {
  const snapshot = readSnapshot(directory as AbsolutePath, "models");
  if (snapshot === undefined) return false;
  return (await verifySnapshot(snapshot, quick, { clock: systemClock })).valid;
};

/** How long one undisturbed run takes, start of the program included. */
async function timeOf(args: readonly string[]): Promise<number> {
  const started = performance.now();
  const { exitCode } = await runCli(["--root", root, "backup", ...args]);
  expect(exitCode).toBe(0);
  return performance.now() - started;
}

test("a restore that is killed leaves no target or a whole one, and the next restore works", async () => {
  const { directory } = buildSnapshot(repository, source, { atMs: Date.UTC(2026, 0, 1) });
  const whole = await timeOf(["restore", "latest", "--to", "/first"]);
  const random = createRandom(7);
  for (let round = 0; round < rounds; round += 1) {
    const target = `${root}/target`;
    await runKilled(["restore", "latest", "--to", "/target"], random() * whole);
    if (fs.existsSync(target)) {
      expect(Bun.spawnSync(["diff", "-r", source, target]).exitCode).toBe(0);
      fs.rmSync(target, { recursive: true });
    }
  }
  expect(
    (await runCli(["--root", root, "backup", "restore", "latest", "--to", "/target"])).exitCode,
  ).toBe(0);
  expect(Bun.spawnSync(["diff", "-r", source, `${root}/target`]).exitCode).toBe(0);
  expect(fs.readdirSync(root).filter((name) => name.startsWith(".citadel"))).toEqual([]);
  expect(await isSound(directory)).toBe(true);
}, 120_000);

test("a restore in place that is killed leaves each file old or new, never half", async () => {
  const target = `${root}/in-place`;
  expect(
    (await runCli(["--root", root, "backup", "restore", "latest", "--to", "/in-place"])).exitCode,
  ).toBe(0);
  const args = ["restore", "latest", "--in-place", "--force", "--yes", "--to", "/in-place"];
  const random = createRandom(8);
  const spoil = () => {
    for (let at = 0; at < 300; at += 10) fs.writeFileSync(`${target}/sub/f${at}`, "old");
    fs.writeFileSync(`${target}/big`, "old");
  };
  spoil();
  const whole = await timeOf(args);
  for (let round = 0; round < rounds / 2; round += 1) {
    spoil();
    await runKilled(args, random() * whole);
    for (const name of ["big", ...Array.from({ length: 300 }, (_, at) => `sub/f${at}`)]) {
      const found = fs.readFileSync(`${target}/${name}`);
      expect(found.equals(fs.readFileSync(`${source}/${name}`)) || found.toString() === "old").toBe(
        true,
      );
    }
  }
  expect((await runCli(["--root", root, "backup", ...args])).exitCode).toBe(0);
  expect(fs.readFileSync(`${target}/big`).length).toBe(30_000_000);
}, 120_000);

test("a restore in place takes up what a killed one left: temporaries, files set aside, half-made directories", async () => {
  const target = `${root}/left`;
  const to = ["--in-place", "--force", "--yes", "--to", "/left"];
  const restore = () => runCli(["--root", root, "backup", "restore", "latest", ...to]);
  fs.mkdirSync(target);
  expect((await restore()).exitCode).toBe(0);
  const { snapshot } = (
    await runCli(["--root", root, "--json", "backup", "restore", "latest", ...to])
  ).json<{ snapshot: string }>();
  // killed between setting aside and replacing: two names of one file
  fs.writeFileSync(`${target}/big`, "old");
  fs.linkSync(`${target}/big`, `${target}/big.before-${snapshot}`);
  // killed after replacing, and changed again since
  fs.writeFileSync(`${target}/sub/f1.before-${snapshot}`, "older");
  fs.writeFileSync(`${target}/sub/f1`, "newer");
  const marker = Bun.CryptoHasher.hash("sha256", snapshot, "hex").slice(0, 12);
  fs.writeFileSync(`${target}/sub/.citadel-agent.restore-${marker}-00.tmp`, "half");
  fs.writeFileSync(`${target}/sub/f2.before-${snapshot}-and-more`, "not ours");
  const { exitCode, stderr } = await restore();
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  const left = [...fs.readdirSync(target), ...fs.readdirSync(`${target}/sub`)];
  expect(left.filter((name) => name.includes("citadel") || name.includes("before"))).toEqual([
    `f2.before-${snapshot}-and-more`,
  ]);
  fs.rmSync(`${target}/sub/f2.before-${snapshot}-and-more`);
  expect(Bun.spawnSync(["diff", "-r", source, target]).exitCode).toBe(0);
  fs.rmSync(`${target}/sub`, { recursive: true });
  fs.mkdirSync(`${target}/sub`, { mode: 0o700 });
  expect((await restore()).exitCode).toBe(0);
  expect(fs.statSync(`${target}/sub`).mode & 0o777).toBe(fs.statSync(`${source}/sub`).mode & 0o777);
}, 60_000);

test("a clean-up that is killed leaves only whole snapshots under their names", async () => {
  const random = createRandom(9);
  let whole = 0;
  for (let round = 0; round < rounds / 2; round += 1) {
    const old: Built[] = [];
    for (let at = 0; at < 3; at += 1) {
      old.push(buildSnapshot(repository, source, { atMs: Date.UTC(2025, round, 1 + at) }));
    }
    const args = ["cleanup", "30", "--force", "--yes"];
    if (round === 0) whole = await timeOf(args);
    else await runKilled(args, random() * whole);
    for (const snapshot of listSnapshots(repository))
      expect(await isSound(snapshot.directory)).toBe(true);
  }
  expect(
    (await runCli(["--root", root, "backup", "cleanup", "30", "--force", "--yes"])).exitCode,
  ).toBe(0);
  expect(listSnapshots(repository)).toHaveLength(1);
  expect(
    fs.readdirSync(`${repository}/models`).filter((name) => name.startsWith(".citadel")),
  ).toEqual([]);
}, 120_000);
