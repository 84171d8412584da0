// The area in which root builds snapshots belongs to the service user. What he prepares there, or swaps while a backup
// runs, must not let root write, link or change anything outside of the snapshot.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { makeDirectory } from "../../src/system/raw-file.ts";
import { ScratchIndex } from "../../src/system/scratch-index.ts";
import { createOptions, manifestOf, openBackupWorld } from "../support/create-snapshot.ts";
import { sourceIdentity } from "../../src/backup/create/source.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { createSystem } from "../../src/system/index.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

const attackerUid = 12_345;
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("skipped: giving directories to another user takes root");

function openWorld() {
  const world = openBackupWorld();
  const area = `${world.repository}/models`;
  const victim = `${world.root}/victim`;
  fs.mkdirSync(area);
  fs.mkdirSync(victim);
  fs.chmodSync(victim, 0o750);
  fs.writeFileSync(`${world.source}/payload`, "* * * * * root sh /tmp/evil\n");
  return { ...world, area, victim, [Symbol.dispose]: () => world[Symbol.dispose]() };
}

function giveAway(directory: string): void {
  for (const name of fs.readdirSync(directory))
    fs.lchownSync(`${directory}/${name}`, attackerUid, attackerUid);
  fs.chownSync(directory, attackerUid, attackerUid);
}

/** A partial that a killed run of this very source could have left, made by somebody else. */
function plantPartial(world: ReturnType<typeof openWorld>): string {
  const partial = `${world.area}/20200101T000000.000Z-forged-incr-aaaa.partial`;
  const options = createOptions(world.source, world.repository);
  const kind = {
    sourceIdentity: sourceIdentity(world.source as AbsolutePath, createSystem()),
    source: options.sourcePath,
    type: options.type,
    compression: "none",
    checksums: "",
  };
  fs.mkdirSync(`${partial}/.work`, { recursive: true, mode: 0o700 });
  fs.writeFileSync(`${partial}/.work/journal`, `H${JSON.stringify(kind)}\n`);
  fs.symlinkSync(world.victim, `${partial}/data`);
  return partial;
}

test.skipIf(!isRoot)(
  "a planted partial whose data/ leads elsewhere is not gone on with",
  async () => {
    using world = openWorld();
    giveAway(plantPartial(world));
    const report = await world.create();
    expect(report.resumed_files).toBe(0);
    expect(fs.readdirSync(world.victim)).toEqual([]);
    expect(fs.existsSync(`${report.directory}/data/payload`)).toBe(true);
  },
);

test("a partial of our own is gone on with, so the plant above is a real one", async () => {
  using world = openWorld();
  const partial = plantPartial(world);
  fs.unlinkSync(`${partial}/data`);
  fs.chmodSync(partial, 0o700);
  await world.create();
  expect(fs.existsSync(partial)).toBe(false);
});

test.skipIf(!isRoot)(
  "a snapshot of somebody else's is no parent: nothing of it is linked",
  async () => {
    using world = openWorld();
    const former = await world.create();
    fs.chownSync(former.directory, attackerUid, attackerUid);
    const report = await world.create();
    expect(report.parent).toBeNull();
    expect(report.linked_files).toBe(0);
    expect(report.warnings.join()).toContain("belongs to somebody else");
  },
);

test("an area that is a link is refused", async () => {
  using world = openWorld();
  fs.rmdirSync(world.area);
  fs.symlinkSync(world.victim, world.area);
  await expect(world.create()).rejects.toMatchObject({ code: "SYMLINK_IN_PATH" });
  expect(fs.readdirSync(world.victim)).toEqual([]);
});

test("a tag directory that is a link gets no link; the snapshot stands and it is said", async () => {
  using world = openWorld();
  fs.symlinkSync(world.victim, `${world.area}/daily`);
  const report = await world.create({ tags: ["daily"] });
  expect(fs.readdirSync(world.victim)).toEqual([]);
  expect(report.warnings.join()).toContain("daily/");
});

test("FIFOs in the place of snapshot.json and of a partial's owner hang nothing", async () => {
  using world = openWorld();
  for (const name of [
    "20200101T000000.000Z-x-full-aaaa",
    "20200101T000000.000Z-x-full-bbbb.partial/.work",
  ]) {
    fs.mkdirSync(`${world.area}/${name}`, { recursive: true, mode: 0o700 });
    for (const file of ["snapshot.json", "owner", "journal", "manifest.jsonl"]) {
      Bun.spawnSync(["mkfifo", `${world.area}/${name}/${file}`]);
    }
  }
  const report = await world.create();
  expect(report.files).toBe(1);
});

test("while its area, its partial and its tags are swapped for links in a loop, a backup writes nowhere else", async () => {
  using world = openWorld();
  for (let at = 0; at < 200; at += 1) fs.writeFileSync(`${world.source}/f${at}`, `content ${at}`);
  const swapper = Bun.spawn(
    [process.execPath, `${import.meta.dir}/swapper.ts`, world.repository, world.victim],
    {
      stdin: "pipe",
      stdout: "pipe",
    },
  );
  const reader = swapper.stdout.getReader();
  await reader.read(); // it is at work
  let made = 0;
  for (let round = 0; round < 4; round += 1) {
    try {
      const { directory } = await world.create({ type: "full", tags: ["daily"] });
      made += 1;
      if (fs.existsSync(`${directory}/manifest.jsonl`))
        expect(manifestOf(directory).size).toBe(202);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(Error); // refused is fine; what counts is below
    }
  }
  swapper.kill();
  await swapper.exited;
  expect(made).toBeGreaterThanOrEqual(0);
  expect(fs.readdirSync(world.victim)).toEqual([]);
  expect(fs.statSync(world.victim).mode & 0o7777).toBe(0o750);
}, 60_000);

test.skipIf(!isRoot)(
  "makeDirectory never gives its mode to what was put in the directory's place",
  () => {
    using world = openWorld();
    const place = `${world.root}/new`;
    const secret = `${world.root}/secret`;
    fs.writeFileSync(secret, "", { mode: 0o600 });
    const racer = Bun.spawn(
      [process.execPath, `${import.meta.dir}/mkdir-racer.ts`, place, secret],
      { stdout: "pipe" },
    );
    try {
      for (let round = 0; round < 3000; round += 1) {
        try {
          makeDirectory(place, 0o755);
        } catch {
          // it was swapped between mkdir and open: refused
        }
        try {
          fs.rmSync(place, { recursive: true, force: true });
        } catch {
          // swapped between two of its looks: the next round removes it
        }
        expect(fs.statSync(secret).mode & 0o777).toBe(0o600);
      }
    } finally {
      racer.kill();
    }
  },
  60_000,
);

test("a scratch index whose directory is a link elsewhere is noticed, and nothing is written there", () => {
  using world = openWorld();
  fs.mkdirSync(`${world.root}/pinned`);
  const fd = fs.openSync(`${world.root}/pinned`, fs.constants.O_DIRECTORY);
  // SQLite resolves /proc/self/fd/N to this path: from now on somebody else's directory lies there
  fs.renameSync(`${world.root}/pinned`, `${world.root}/moved`);
  fs.symlinkSync(world.victim, `${world.root}/pinned`);
  try {
    using index = new ScratchIndex(`/proc/self/fd/${fd}/scratch`);
    index.markKept("a");
    expect(index.isKept("a")).toBe(true); // the kernel named the moved directory: the right file
  } finally {
    fs.closeSync(fd);
  }
  expect(fs.readdirSync(world.victim)).toEqual([]);
});

test("a forged snapshot is readable by the builder of this test: the format is right", () => {
  using world = openWorld();
  const { directory } = buildSnapshot(world.repository, world.source);
  expect(manifestOf(directory).has("payload")).toBe(true);
});

test.each(["", "..", "../x", "a/b", ".hidden", "latest", "one,two", "line\nbreak", "a".repeat(65)])(
  "the tag %j is refused before anything is made",
  async (tag) => {
    using world = openWorld();
    await expect(world.create({ tags: [tag] })).rejects.toMatchObject({ code: "VALUE_INVALID" });
    expect(fs.readdirSync(world.repository)).toEqual(["models"]);
    expect(fs.readdirSync(world.area)).toEqual([]);
  },
);
