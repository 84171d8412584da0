// The judgement of the source where the walk that builds the snapshot counts as well: nothing is copied before it, and
// nothing stays where it is against the backup.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { createSnapshot } from "../../../src/backup/create/create-snapshot.ts";
import type { CreateOptions, CreateProgress } from "../../../src/backup/create/options.ts";
import { type Survey, SurveyGate } from "../../../src/backup/create/survey.ts";
import { createSystem } from "../../../src/system/index.ts";
import {
  type BackupWorld,
  createOptions,
  letSourceSettle,
  manifestOf,
  openBackupWorld,
  verifyWhole,
} from "../../support/create-snapshot.ts";

function writeMany(world: BackupWorld, from: number, to: number, text: string): void {
  for (let at = from; at < to; at += 1) {
    const folder = `${world.source}/d${Math.floor(at / 400)}`;
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(`${folder}/f${String(at).padStart(5, "0")}`, `${text} ${at}`);
  }
}

async function progressOf(world: BackupWorld, options: Partial<CreateOptions> = {}) {
  const seen: CreateProgress[] = [];
  const report = await createSnapshot(
    { ...createOptions(world.source, world.repository), ...options },
    {
      system: createSystem(),
      signal: new AbortController().signal,
      onProgress: (progress) => void seen.push(progress),
    },
  );
  return { report, seen };
}

async function expectSound(directory: string): Promise<void> {
  expect((await verifyWhole(directory)).failures).toEqual([]);
}

test("a source that shrank is refused when the walk has ended: the links made by then go again", async () => {
  using world = openBackupWorld();
  writeMany(world, 0, 2000, "weight");
  await letSourceSettle();
  const { directory } = await world.create();
  for (const folder of ["d1", "d2", "d3"])
    fs.rmSync(`${world.source}/${folder}`, { recursive: true });
  const before = fs.readdirSync(`${world.repository}/models`);
  expect(await world.create().catch((error: unknown) => error)).toMatchObject({
    code: "SOURCE_SHRUNK",
    details: { files: 800 },
  });
  expect(fs.readdirSync(`${world.repository}/models`)).toEqual(before);
  expect(fs.statSync(`${directory}/data/d0/f00000`).nlink).toBe(1);
  const accepted = await world.create({ acceptShrink: true });
  expect(accepted).toMatchObject({ files: 800, linked_files: 800, copied_files: 0 });
  expect(fs.statSync(`${directory}/data/d0/f00000`).nlink).toBe(2);
  await expectSound(directory);
}, 60_000);

test("a refused run takes nothing away from the partial of a killed one", async () => {
  using world = openBackupWorld();
  writeMany(world, 0, 1200, "weight");
  await letSourceSettle();
  await world.create();
  writeMany(world, 1200, 1300, "new");
  const controller = new AbortController();
  const options = { ...createOptions(world.source, world.repository) };
  const killed = createSnapshot(options, {
    system: createSystem(),
    signal: controller.signal,
    onProgress: ({ activity }) => {
      if (activity === "copying") controller.abort(new Error("enough"));
    },
  });
  expect(await killed.catch((error: Error) => error.message)).toBe("enough");
  const partials = () =>
    fs.readdirSync(`${world.repository}/models`).filter((name) => name.endsWith(".partial"));
  expect(partials()).toHaveLength(1);
  for (const folder of ["d1", "d2"]) fs.rmSync(`${world.source}/${folder}`, { recursive: true });
  expect(await world.create().catch((error: unknown) => error)).toMatchObject({
    code: "SOURCE_SHRUNK",
  });
  expect(partials()).toHaveLength(1);
  const accepted = await world.create({ acceptShrink: true });
  expect(partials()).toEqual([]);
  await expectSound(accepted.directory);
}, 60_000);

test("what has to be copied waits until all was counted, however much of it there is", async () => {
  using world = openBackupWorld();
  writeMany(world, 0, 3000, "weight");
  await letSourceSettle();
  await world.create();
  writeMany(world, 100, 2900, "changed"); // more than may wait: the rest is counted ahead
  const { report, seen } = await progressOf(world);
  expect(report).toMatchObject({ files: 3000, copied_files: 2800, linked_files: 200, skipped: [] });
  await expectSound(report.directory);
  const copying = seen.filter(({ activity }) => activity === "copying");
  expect(new Set(copying.map(({ totalItems }) => totalItems))).toEqual(new Set([3009]));
  expect(seen.findLastIndex(({ activity }) => activity === "looking")).toBeLessThan(
    seen.findIndex(({ activity }) => activity === "copying"),
  );
  writeMany(world, 2990, 3000, "once more"); // few enough to wait for the end of the walk
  await letSourceSettle();
  const few = await world.create();
  expect(few).toMatchObject({ copied_files: 10, linked_files: 2990 });
  await expectSound(few.directory);
}, 60_000);

test("what was looked at never gets less, though all is looked at anew before the first copy", async () => {
  using world = openBackupWorld();
  writeMany(world, 0, 5600, "weight");
  await letSourceSettle();
  await world.create();
  writeMany(world, 2800, 4000, "changed"); // d7 to d9, the last of the walk: too much waits to be copied by then
  const { seen } = await progressOf(world);
  const looked = seen.flatMap(({ activity, doneItems = 0 }) =>
    activity === "looking" ? [doneItems] : [],
  );
  expect(looked.some((count) => count > 4096)).toBe(true);
  expect(looked).toEqual(looked.toSorted((left, right) => left - right));
}, 60_000);

test("a first name that goes before it is copied takes none of the further names with it", async () => {
  using world = openBackupWorld();
  const { source } = world;
  fs.mkdirSync(`${source}/a`);
  const large = Buffer.alloc(3 * 1024 * 1024, "large");
  fs.writeFileSync(`${source}/a/gone`, "small");
  fs.writeFileSync(`${source}/a/gone-too`, large);
  writeMany(world, 0, 1200, "weight");
  await world.create(); // with a parent, copies wait until the walk has passed everything
  fs.writeFileSync(`${source}/a/gone`, "small, changed");
  fs.linkSync(`${source}/a/gone`, `${source}/a/second`);
  fs.linkSync(`${source}/a/gone`, `${source}/a/third`);
  fs.appendFileSync(`${source}/a/gone-too`, "changed");
  for (const name of ["x", "y", "z"]) fs.linkSync(`${source}/a/gone-too`, `${source}/a/${name}`);
  let isGone = false;
  const report = await createSnapshot(createOptions(source, world.repository), {
    system: createSystem(),
    signal: new AbortController().signal,
    onProgress: ({ activity, doneItems = 0 }) => {
      if (isGone || activity !== "looking" || doneItems < 1000) return;
      isGone = true; // all of a/ was walked
      for (const name of ["gone", "gone-too", "x"]) fs.rmSync(`${source}/a/${name}`);
    },
  });
  expect(isGone).toBe(true);
  const reasons = report.skipped.map(({ path, reason }) => [path, reason]);
  expect(reasons.toSorted()).toEqual(
    ["gone", "gone-too", "x"].map((name) => [`a/${name}`, "vanished"]),
  );
  const entries = manifestOf(report.directory);
  expect(entries.get("a/third")).toMatchObject({ type: "file", hardlink: "a/second" });
  expect(entries.get("a/z")).toMatchObject({ type: "file", hardlink: "a/y" });
  expect(fs.readFileSync(`${report.directory}/data/a/second`, "utf8")).toBe("small, changed");
  expect(fs.statSync(`${report.directory}/data/a/y`).size).toBe(large.length + 7);
  await expectSound(report.directory);
}, 60_000);

const counted: Survey = { entries: 3, files: 2, bytes: 5, storedBytes: 4096 };

test("the gate opens once, and stays shut where the judgement is against it", async () => {
  const judged: Survey[] = [];
  const gate = new SurveyGate(
    async () => counted,
    (survey) => void judged.push(survey),
  );
  expect([gate.isOpen, gate.survey.entries]).toEqual([false, 0]);
  await gate.lookAhead();
  await gate.lookAhead();
  gate.endOfWalk();
  expect([gate.isOpen, gate.isRefused, gate.survey]).toEqual([true, false, counted]);
  expect(judged).toEqual([counted]);
  const shut = new SurveyGate(
    async () => counted,
    () => {
      throw new Error("too little");
    },
  );
  expect(() => shut.endOfWalk()).toThrow("too little");
  expect([shut.isOpen, shut.isRefused]).toEqual([false, true]);
});

test("too little room for what changed is known before it is copied, and nothing stays", async () => {
  if (process.getuid?.() !== 0) return console.log("skipped: mounting a small tmpfs needs root");
  using world = openBackupWorld();
  const { source, repository } = world;
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=16m", "none", repository]);
  if (mounted.exitCode !== 0) return console.log("skipped: no tmpfs can be mounted here");
  try {
    writeMany(world, 0, 1000, "weight");
    await letSourceSettle();
    const { directory } = await world.create();
    fs.writeFileSync(`${source}/d0/z`, Buffer.alloc(40 * 1024 * 1024, "x"));
    const before = fs.readdirSync(`${repository}/models`);
    expect(await world.create().catch((error: unknown) => error)).toMatchObject({
      kind: "no-space",
      code: "BACKUP_NO_SPACE",
    });
    expect(fs.readdirSync(`${repository}/models`)).toEqual(before);
    expect(fs.statSync(`${directory}/data/d0/f00000`).nlink).toBe(1);
    fs.rmSync(`${source}/d0/z`);
    fillUp(repository);
    expect(await world.create().catch((error: unknown) => error)).toMatchObject({
      kind: "no-space",
      code: "BACKUP_NO_SPACE",
    });
    expect(fs.readdirSync(`${repository}/models`)).toEqual(before);
  } finally {
    Bun.spawnSync(["umount", "-l", repository]);
  }
}, 60_000);

/** Until not a byte is free. */
function fillUp(directory: string): void {
  const block = Buffer.alloc(64 * 1024);
  const fd = fs.openSync(`${directory}/fill`, "w");
  try {
    for (;;) fs.writeSync(fd, block);
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "ENOSPC" });
  } finally {
    fs.closeSync(fd);
  }
}

test("a run that has no room to begin leaves nothing, however often it is tried", async () => {
  if (process.getuid?.() !== 0) return console.log("skipped: mounting a small tmpfs needs root");
  using world = openBackupWorld();
  const { source, repository } = world;
  const mount = ["mount", "-t", "tmpfs", "-o", "nr_inodes=60", "none", repository];
  if (Bun.spawnSync(mount).exitCode !== 0) return console.log("skipped: no tmpfs can be mounted");
  try {
    fs.writeFileSync(`${source}/weights`, "weights");
    await world.create();
    const before = fs.readdirSync(`${repository}/models`);
    for (const spare of [1, 2, 3]) {
      const fillers: string[] = [];
      while (fs.statfsSync(repository).ffree > spare) {
        fillers.push(`${repository}/i${fillers.length}`);
        fs.writeFileSync(fillers.at(-1) as string, "");
      }
      const end = await world.create().catch((error: unknown) => error);
      expect(end).toMatchObject({ kind: "no-space" });
      expect(fs.readdirSync(`${repository}/models`)).toEqual(before);
      for (const path of fillers) fs.rmSync(path);
    }
  } finally {
    Bun.spawnSync(["umount", "-l", repository]);
  }
}, 60_000);
