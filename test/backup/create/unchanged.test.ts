// The short way for unchanged files: what it takes over, and everything that it must leave to the long way.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { linkNames } from "../../../src/backup/copy/link-job.ts";
import { OwnerNames } from "../../../src/backup/create/entry.ts";
import { LinkRuns, maxRunFiles } from "../../../src/backup/create/link-runs.ts";
import { ParentCursor, type Parent } from "../../../src/backup/create/parent.ts";
import { UnchangedFiles } from "../../../src/backup/create/unchanged.ts";
import type { BytePath } from "../../../src/backup/format/index.ts";
import { readRecord } from "../../../src/backup/repository.ts";
import { createSystem } from "../../../src/system/index.ts";
import { walkTree } from "../../../src/system/tree-walk.ts";
import { openBackupWorld, verifyWhole } from "../../support/create-snapshot.ts";

const dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/unchanged-`));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const far = BigInt(Date.now() + 3_600_000) * 1_000_000n;

/** Makes a source and its snapshot, lets `change` happen, then asks for every file. @returns the paths taken over */
async function takenAfter(
  change: (source: string, parent: string) => void,
  trustedBeforeNs = far,
  damaged: BytePath[] = [],
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
  const names = new OwnerNames(createSystem());
  const unchanged = new UnchangedFiles(cursor, names, trustedBeforeNs, new Set(damaged));
  using links = new LinkRuns(directory, target, true);
  const taken: string[] = [];
  for (const walked of walkTree(source, { crossFileSystems: false })) {
    const file = unchanged.match(walked);
    if (file === undefined) continue;
    const manifest = fs.readFileSync(`${directory}/manifest.jsonl`, "utf8");
    expect(manifest).toContain(file.line);
    expect(file.size).toBe(walked.stat.sizeBytes);
    const failed = links.start({ prefix: walked.prefix, files: [file] });
    expect("kind" in failed).toBe(false); // so few are linked at once
    if (!("kind" in failed) && failed.length === 0) taken.push(walked.path);
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

test("a file that is known to be damaged in the parent is not taken over", async () => {
  expect((await takenAfter(() => {}, far, ["b.bin" as BytePath])).taken).toEqual(["sub/c"]);
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

test("a run of many is a job for a worker, which says what it could not link", () => {
  const [from, to] = [`${dir}/run-from`, `${dir}/run-to`];
  const files = Array.from({ length: 40 }, (_, at) => {
    const path = `sub/file-${at}` as BytePath;
    return { path, line: "", sha256: "", size: 4 };
  });
  for (const place of [from, to]) fs.mkdirSync(`${place}/data/sub`, { recursive: true });
  for (const { path } of files) fs.writeFileSync(`${from}/data/${path}`, "four");
  fs.rmSync(`${from}/data/sub/file-0`);
  fs.truncateSync(`${from}/data/sub/file-17`, 3);
  fs.writeFileSync(`${to}/data/sub/file-39`, "in the way");
  using links = new LinkRuns(from, to, true);
  const job = links.start({ prefix: "sub/", files });
  if (!("kind" in job)) throw new Error("not a job");
  expect(linkNames(job.fromFd, job.toFd, job.names, job.sizes)).toEqual([0, 17, 39]);
  links.end(job);
  expect(fs.readdirSync(`${to}/data/sub`)).toHaveLength(38);
  expect(fs.readFileSync(`${to}/data/sub/file-39`, "utf8")).toBe("in the way");
  expect(links.start({ prefix: "none/", files: files.slice(0, 2) })).toEqual([0, 1]);
});

test("files in the middle of runs that cannot be linked are copied, and the manifest keeps its order", async () => {
  using world = openBackupWorld(dir);
  const count = 2 * maxRunFiles + 100;
  for (const folder of ["one", "two"]) {
    fs.mkdirSync(`${world.source}/${folder}`);
    for (let at = 0; at < count; at += 1) {
      fs.writeFileSync(`${world.source}/${folder}/f${at}`, `${folder} ${at}`);
    }
  }
  await Bun.sleep(1100); // a file is trusted when its change is older than the clock's grain
  const first = await world.create({ type: "incremental" });
  const lost = ["one/f0", "one/f600", `one/f${count - 1}`, "two/f77", "two/f78"];
  for (const path of lost) fs.rmSync(`${first.directory}/data/${path}`);
  fs.writeFileSync(`${world.source}/two/f5`, "changed between two that are not");
  const second = await world.create({ type: "incremental" });
  expect(second).toMatchObject({
    parent: first.snapshot,
    files: 2 * count,
    linked_files: 2 * count - lost.length - 1,
    copied_files: lost.length + 1,
    skipped: [],
  });
  const report = await verifyWhole(second.directory);
  expect(report.failures).toEqual([]);
  expect(report.filesChecked).toBe(2 * count);
}, 60_000);
