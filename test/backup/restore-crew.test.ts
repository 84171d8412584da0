// The threads of a restore: what a worker finds reaches the thread that asked, and an end in the middle of a large file
// comes at once and leaves nothing open or lying about.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import type { CitadelError } from "../../src/core/index.ts";
import { parseManifest } from "../../src/backup/format/index.ts";
import type { FileEntry } from "../../src/backup/format/manifest.ts";
import { readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { RestoreCrew } from "../../src/backup/restore/crew.ts";
import { restoreInPlace } from "../../src/backup/restore/in-place.ts";
import { type RestoreProgress, restoreSnapshot } from "../../src/backup/restore/restore.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { openBackupWorld } from "../support/create-snapshot.ts";

const dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/crew-`));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;
const mib = 1024 * 1024;
const openSnapshot = (directory: string) =>
  readSnapshot(directory as AbsolutePath, "models") as FoundSnapshot;
const to = (path: string) => ({ to: path, globs: [], privileged: false, isRoot });
/** Looks at the progress often; waits are as long as they are. */
const clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms <= 100 ? 1 : ms, signal),
};
const openFiles = () => fs.readdirSync("/proc/self/fd").length;

/** Files that workers take, plain and packed, and what a crew is told of each. */
async function makeLarge(method: "zstd" | "gzip" | "lz4") {
  const world = openBackupWorld(dir);
  const noise = Buffer.alloc(5 * mib + 17);
  for (let at = 0; at < noise.length; at += 65_536) {
    crypto.getRandomValues(noise.subarray(at, at + 65_536));
  }
  fs.writeFileSync(`${world.source}/weights`, noise);
  const text = JSON.stringify(Array.from({ length: 300_000 }, (_, at) => `token ${at}`));
  fs.writeFileSync(`${world.source}/tokenizer.json`, text);
  fs.writeFileSync(`${world.source}/holes`, "");
  fs.truncateSync(`${world.source}/holes`, 9 * mib);
  const { directory } = await world.create({ compression: { method, level: 1 } });
  const entries = [...parseManifest([fs.readFileSync(`${directory}/manifest.jsonl`)])].filter(
    (entry): entry is FileEntry => entry.type === "file",
  );
  return { world, directory, entries, text, noise };
}

for (const method of ["zstd", "gzip", "lz4"] as const) {
  test(`large files, plain and packed by ${method}, come back through workers`, async () => {
    const { world, directory, entries, text, noise } = await makeLarge(method);
    using _world = world;
    expect(entries.find(({ path }) => path === "tokenizer.json")?.packed?.method).toBe(method);
    const target = `${world.root}/back`;
    const report = await restoreSnapshot(openSnapshot(directory), to(target), { clock });
    expect(report).toMatchObject({ files: 3, failed: [] });
    expect(fs.readFileSync(`${target}/tokenizer.json`, "utf8")).toBe(text);
    expect(fs.readFileSync(`${target}/weights`).equals(noise)).toBe(true);
    expect(fs.statSync(`${target}/holes`)).toMatchObject({ size: 9 * mib, blocks: 0 });
  }, 60_000);
}

test("what is wrong in the snapshot is a finding of that file, whichever thread found it", async () => {
  const { world, directory } = await makeLarge("zstd");
  using _world = world;
  fs.writeSync(fs.openSync(`${directory}/data/weights`, "r+"), "flip", 3 * mib);
  fs.truncateSync(`${directory}/packed/tokenizer.json.zst`, 1000);
  const target = `${world.root}/back`;
  const { failed, files } = await restoreSnapshot(openSnapshot(directory), to(target), { clock });
  expect(files).toBe(1);
  expect(failed.map(({ path, reason }) => [path, reason]).sort()).toEqual([
    ["tokenizer.json", expect.stringContaining("its size in the snapshot is 1000")],
    ["weights", "its content does not match the manifest"],
  ] as never);
  expect(fs.readdirSync(target)).toEqual(["holes"]);
}, 60_000);

test("a full disk met by a worker ends the run with NO_SPACE and the file is gone", async () => {
  if (!isRoot) return console.log("skipped: mounting a small tmpfs needs root");
  const { world, directory, entries } = await makeLarge("zstd");
  using _world = world;
  const target = `${world.root}/small`;
  fs.mkdirSync(target);
  if (Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=2m", "none", target]).exitCode !== 0) {
    return console.log("skipped: no tmpfs can be mounted here");
  }
  try {
    using crew = new RestoreCrew(clock, undefined, () => {});
    const entry = entries.find(({ path }) => path === "weights") as FileEntry;
    const attributes = { mode: 0o600, uid: 0, gid: 0, mtimeNs: 0n, xattrs: new Map() };
    const place = () => `${target}/weights`;
    const write = () => crew.write(directory, entry, place, attributes, "/shown/weights");
    const error = await crew.each([0], write).catch((thrown: CitadelError) => thrown);
    expect(error).toMatchObject({ kind: "no-space", code: "NO_SPACE", errno: "ENOSPC" });
    expect((error as CitadelError).message).toContain("/shown/weights");
    expect(fs.readdirSync(target)).toEqual([]);
  } finally {
    Bun.spawnSync(["umount", "-l", target]);
  }
}, 60_000);

test("a wish to end in the middle of a large file is heard at once; nothing stays open", async () => {
  using world = openBackupWorld(dir);
  const sizeBytes = 160 * mib;
  for (const name of ["a", "b"]) {
    fs.writeFileSync(`${world.source}/${name}`, "");
    fs.truncateSync(`${world.source}/${name}`, sizeBytes); // zeros take SHA-256 as long as anything
  }
  const { directory } = await world.create();
  fs.mkdirSync(`${world.root}/there`);
  const there = `${world.root}/there/tree`;
  fs.cpSync(world.source, there, { recursive: true });
  const attempts = [
    (context: object) =>
      restoreSnapshot(openSnapshot(directory), to(`${world.root}/there/new`), context as never),
    (context: object) =>
      restoreInPlace(openSnapshot(directory), { ...to(there), force: true }, context as never),
  ];
  for (const attempt of attempts) {
    const before = openFiles();
    const controller = new AbortController();
    let last = 0;
    const onProgress = ({ doneBytes }: { doneBytes: number }) => {
      last = doneBytes;
      if (doneBytes > 0) controller.abort(new Error("enough"));
    };
    const end = await attempt({ clock, signal: controller.signal, onProgress }).catch(
      (thrown: Error) => thrown.message,
    );
    expect(end).toBe("enough");
    expect(last).toBeLessThan(2 * sizeBytes);
    expect(fs.readdirSync(`${world.root}/there`)).toEqual(["tree"]);
    expect(fs.readdirSync(there).sort()).toEqual(["a", "b"]);
    while (openFiles() > before) await Bun.sleep(10); // the workers themselves go a moment later // the workers themselves go a moment later
  }
}, 60_000);

test("where replacing is not agreed to, nothing is touched; what was compared is not compared again", async () => {
  const { world, directory, noise } = await makeLarge("zstd");
  using _world = world;
  const target = `${world.root}/back`;
  await restoreSnapshot(openSnapshot(directory), to(target), { clock });
  fs.writeFileSync(`${target}/weights`, "mine");
  const asked: number[] = [];
  const mend = (answer: boolean, onProgress?: (progress: RestoreProgress) => void) =>
    restoreInPlace(
      openSnapshot(directory),
      { ...to(target), force: true },
      { clock, onProgress },
      async ({ replace }) => {
        asked.push(replace);
        return answer;
      },
    );
  expect(await mend(false)).toBeUndefined();
  expect(fs.readFileSync(`${target}/weights`, "utf8")).toBe("mine");
  let compared = 0;
  const report = await mend(true, ({ activity, doneBytes }) => {
    if (activity === "comparing") compared = Math.max(compared, doneBytes);
  });
  expect(report).toMatchObject({ writtenFiles: 1, writtenBytes: noise.length });
  expect(asked).toEqual([1, 1]);
  const rest = ["holes", "tokenizer.json"].map((name) => fs.statSync(`${target}/${name}`).size);
  expect(compared).toBe(rest.reduce((sum, size) => sum + size, 0));
  expect(fs.readFileSync(`${target}/weights`).equals(noise)).toBe(true);
  await mend(false);
  expect(asked).toEqual([1, 1]); // nothing to replace: nobody is asked
}, 60_000);
