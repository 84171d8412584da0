// The short way for unchanged files: what it takes over, and everything that it must leave to the long way.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { OwnerNames } from "../../../src/backup/create/entry.ts";
import { ParentCursor, type Parent } from "../../../src/backup/create/parent.ts";
import { UnchangedFiles } from "../../../src/backup/create/unchanged.ts";
import { readRecord } from "../../../src/backup/repository.ts";
import { createSystem } from "../../../src/system/index.ts";
import { walkTree } from "../../../src/system/tree-walk.ts";
import { openBackupWorld } from "../../support/create-snapshot.ts";

const dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/unchanged-`));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const far = BigInt(Date.now() + 3_600_000) * 1_000_000n;

/** Makes a source and its snapshot, lets `change` happen, then asks for every file. @returns the paths taken over */
async function takenAfter(
  change: (source: string, parent: string) => void,
  trustedBeforeNs = far,
): Promise<{ taken: string[]; linked: string[] }> {
  using world = openBackupWorld(dir);
  const { root: place, source } = world;
  fs.mkdirSync(`${source}/sub`);
  for (const name of ["a", "b.bin", "sub/c"]) fs.writeFileSync(`${source}/${name}`, `is ${name}`);
  fs.writeFileSync(`${source}/ümlaut`, "a name that JSON and UTF-8 do not write as it is stored");
  fs.linkSync(`${source}/a`, `${source}/z-twin`);
  const { directory } = await world.create({ type: "full" });
  change(source, directory);
  const target = `${place}/next`;
  fs.mkdirSync(`${target}/data/sub`, { recursive: true });
  const parent = {
    directory: directory,
    record: readRecord(directory),
    [Symbol.dispose]: () => {},
  } as unknown as Parent;
  const cursor = new ParentCursor(parent);
  using unchanged = new UnchangedFiles(
    cursor,
    new OwnerNames(createSystem()),
    directory,
    target,
    trustedBeforeNs,
  );
  const taken: string[] = [];
  for (const walked of walkTree(source, { crossFileSystems: false })) {
    const line = unchanged.take(walked);
    if (line === undefined) continue;
    taken.push(walked.path);
    const manifest = fs.readFileSync(`${directory}/manifest.jsonl`, "utf8");
    expect(manifest).toContain(line.line);
    expect(line.size).toBe(walked.stat.sizeBytes);
  }
  const linked = fs
    .readdirSync(`${target}/data`, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(`${target}/data/${name}`).isFile())
    .filter((name) => {
      const stored = fs.statSync(`${directory}/data/${name}`);
      return fs.statSync(`${target}/data/${name}`).ino === stored.ino;
    });
  cursor.close();
  return { taken: taken.sort(), linked: linked.sort() };
}

test("plain files of which nothing changed are taken over and linked; links and odd names go the long way", async () => {
  const { taken, linked } = await takenAfter(() => {});
  expect(taken).toEqual(["b.bin", "sub/c"]);
  expect(linked).toEqual(taken);
});

test("another size, time, mode, inode or owner is a change", async () => {
  const changes: ((path: string) => void)[] = [
    (path) => fs.appendFileSync(path, "more"),
    (path) => fs.utimesSync(path, 1, 1),
    (path) => fs.chmodSync(path, 0o600),
    (path) => {
      const { atime, mtime } = fs.statSync(path);
      fs.copyFileSync(path, `${path}.new`);
      fs.utimesSync(`${path}.new`, atime, mtime);
      fs.renameSync(`${path}.new`, path);
    },
    ...(process.getuid?.() === 0 ? [(path: string) => fs.chownSync(path, 1, 1)] : []),
  ];
  for (const change of changes) {
    const { taken } = await takenAfter((source) => change(`${source}/b.bin`));
    expect(taken).toEqual(["sub/c"]);
  }
});

test("a file changed too recently to be trusted is not taken over", async () => {
  expect((await takenAfter(() => {}, 1_000_000_000n)).taken).toEqual([]);
});

test("a stored file that is gone or has another size is not linked", async () => {
  const gone = await takenAfter((_, parent) => fs.rmSync(`${parent}/data/b.bin`));
  expect(gone).toEqual({ taken: ["sub/c"], linked: ["sub/c"] });
  const cut = await takenAfter((_, parent) => fs.truncateSync(`${parent}/data/sub/c`, 1));
  expect(cut).toEqual({ taken: ["b.bin"], linked: ["b.bin"] });
});

test("a file that the parent does not have, before and after those it has, is left alone", async () => {
  const { taken } = await takenAfter((source) => {
    fs.writeFileSync(`${source}/0-first`, "new");
    fs.writeFileSync(`${source}/sub/z-last`, "new");
    fs.rmSync(`${source}/a`);
  });
  expect(taken).toEqual(["b.bin", "sub/c"]);
});
