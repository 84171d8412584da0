// What a restore meets while it is under way: a thread that dies, a tree that others change, files that cannot be read.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { restoreInPlace } from "../../src/backup/restore/in-place.ts";
import { previewRestore } from "../../src/backup/restore/preview.ts";
import { type RestoreProgress, restoreSnapshot } from "../../src/backup/restore/restore.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { DirectoryCache } from "../../src/system/directory-cache.ts";
import { openBackupWorld } from "../support/create-snapshot.ts";

const dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/races-`));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const mib = 1024 * 1024;
const openSnapshot = (directory: string) =>
  readSnapshot(directory as AbsolutePath, "models") as FoundSnapshot;
const to = (path: string) => ({
  to: path,
  globs: [],
  privileged: false,
  isRoot: process.getuid?.() === 0,
});
/** Looks at the progress often. */
const clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms <= 100 ? 1 : ms, signal),
};

test("when one thread dies, the files that the others are at stay open under their numbers", async () => {
  using world = openBackupWorld(dir);
  for (const name of ["a", "b"]) {
    fs.writeFileSync(`${world.source}/${name}`, "");
    fs.truncateSync(`${world.source}/${name}`, 400 * mib); // zeros take SHA-256 as long as anything
  }
  const { directory } = await world.create();
  const tree = `${world.root}/tree`;
  fs.mkdirSync(tree);
  for (const name of ["a", "b"]) {
    fs.writeFileSync(`${tree}/${name}`, "");
    fs.truncateSync(`${tree}/${name}`, 400 * mib);
  }
  const openedIn = () =>
    fs
      .readdirSync("/proc/self/fd")
      .map((fd) => [fd, linkOf(fd)] as const)
      .filter(([, path]) => path === `${tree}/a` || path === `${tree}/b`);
  const workers: Worker[] = [];
  const original = globalThis.Worker;
  globalThis.Worker = class extends original {
    constructor(...given: ConstructorParameters<typeof original>) {
      super(...given);
      workers.push(this as unknown as Worker);
    }
  } as typeof original;
  let atWork: ReturnType<typeof openedIn> = [];
  try {
    const onProgress = ({ doneBytes }: RestoreProgress) => {
      if (doneBytes === 0 || atWork.length > 0) return;
      atWork = openedIn();
      workers[0]?.dispatchEvent(new ErrorEvent("error", { message: "out of memory" }));
    };
    const end = restoreInPlace(
      openSnapshot(directory),
      { ...to(tree), force: true },
      {
        clock,
        onProgress,
      },
    );
    expect(await end.catch((error: unknown) => error)).toMatchObject({ code: "WORKER_FAILED" });
    expect(atWork.length).toBeGreaterThan(0);
    expect(openedIn()).toEqual(atWork); // a worker may still read or write through them
  } finally {
    globalThis.Worker = original;
    for (const [fd] of atWork) if (linkOf(fd).startsWith(tree)) fs.closeSync(Number(fd));
  }
}, 60_000);

function linkOf(fd: string): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

test("a directory cache that is done with names nothing any more", () => {
  fs.mkdirSync(`${dir}/cache/below`, { recursive: true });
  const cache = new DirectoryCache(`${dir}/cache`);
  cache.directory("below");
  cache[Symbol.dispose]();
  const taken = fs.openSync(dir, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY); // takes the root's number
  try {
    fs.writeFileSync(`${dir}/mine`, "");
    expect(fs.existsSync(cache.at("mine"))).toBe(false);
    expect(() => cache.directory("cache")).toThrow();
  } finally {
    fs.closeSync(taken);
  }
});

test("a hard link between a deep directory and another is made between the right files", async () => {
  using world = openBackupWorld(dir);
  const deep = Array.from({ length: 140 }, () => "b").join("/");
  fs.mkdirSync(`${world.source}/a`);
  fs.writeFileSync(`${world.source}/a/x`, "shared");
  fs.mkdirSync(`${world.source}/${deep}`, { recursive: true });
  for (let at = 1; at < deep.length; at += 2)
    fs.writeFileSync(`${world.source}/${deep.slice(0, at)}/x`, `wrong ${at}`);
  fs.linkSync(`${world.source}/a/x`, `${world.source}/${deep}/x`);
  for (let at = 0; at < 130; at += 1) {
    fs.mkdirSync(`${world.source}/c${at}`); // what was looked up before is forgotten
    fs.writeFileSync(`${world.source}/c${at}/x`, "");
  }
  const { directory } = await world.create();
  const target = `${world.root}/back`;
  const report = await restoreSnapshot(openSnapshot(directory), to(target), { clock });
  expect(report.failed).toEqual([]);
  expect(fs.readFileSync(`${target}/${deep}/x`, "utf8")).toBe("shared");
  expect(fs.statSync(`${target}/${deep}/x`).ino).toBe(fs.statSync(`${target}/a/x`).ino);
  fs.rmSync(`${target}/${deep}/x`);
  await restoreInPlace(openSnapshot(directory), { ...to(target), force: true }, { clock });
  expect(fs.statSync(`${target}/${deep}/x`).ino).toBe(fs.statSync(`${target}/a/x`).ino);
}, 60_000);

test("a file that appears where one is missing is not overwritten unseen", async () => {
  using world = openBackupWorld(dir);
  fs.writeFileSync(`${world.source}/first`, "first");
  fs.writeFileSync(`${world.source}/second`, "second");
  const { directory } = await world.create();
  const tree = `${world.root}/tree`;
  const mend = (force: boolean) => {
    let isWritten = false;
    return restoreInPlace(
      openSnapshot(directory),
      { ...to(tree), force },
      {
        clock,
        onProgress: ({ activity }) => {
          if (isWritten || activity !== "comparing") return;
          isWritten = true; // all is compared by now
          fs.writeFileSync(`${tree}/second`, "somebody's");
        },
      },
    );
  };
  fs.mkdirSync(tree);
  expect(await mend(false)).toMatchObject({
    writtenFiles: 1,
    failed: [{ path: "second", reason: "something appeared in its place meanwhile" }],
  });
  expect(fs.readFileSync(`${tree}/second`, "utf8")).toBe("somebody's");
  expect(fs.readdirSync(tree).filter((name) => name.startsWith("."))).toEqual([]);
  fs.rmSync(tree, { recursive: true });
  fs.mkdirSync(tree);
  expect(await mend(true)).toMatchObject({ writtenFiles: 2 });
  expect(fs.readFileSync(`${tree}/second`, "utf8")).toBe("second");
}, 60_000);

test("a tree that differs in more files than are listed gives the same plan each time", async () => {
  using world = openBackupWorld(dir);
  const tree = `${world.root}/tree`;
  fs.mkdirSync(tree);
  for (let at = 0; at < 1100; at += 1) {
    const name = `f${String(at).padStart(4, "0")}`;
    const size = at % 100 === 3 ? 3 * mib : 10; // some are compared by workers, at their own pace
    fs.writeFileSync(`${world.source}/${name}`, Buffer.alloc(size, "a"));
    fs.writeFileSync(`${tree}/${name}`, Buffer.alloc(size, "b"));
  }
  const { directory } = await world.create();
  const preview = () =>
    previewRestore(openSnapshot(directory), { ...to(tree), force: true }, true, { clock });
  const { differing, replace, create } = await preview();
  expect({ replace, create }).toEqual({ replace: 1100, create: 0 });
  expect([...differing] as string[]).toEqual(
    Array.from({ length: 1000 }, (_, at) => `f${String(at).padStart(4, "0")}`),
  );
}, 60_000);

test("the comparison of a tree whose files have several names never says that it is done before it is", async () => {
  using world = openBackupWorld(dir);
  const tree = `${world.root}/tree`;
  fs.mkdirSync(tree);
  fs.writeFileSync(`${world.source}/a`, Buffer.alloc(20 * mib, "a"));
  for (const name of ["b", "c", "d"]) fs.linkSync(`${world.source}/a`, `${world.source}/${name}`);
  fs.writeFileSync(`${world.source}/e`, "");
  fs.truncateSync(`${world.source}/e`, 200 * mib);
  fs.writeFileSync(`${tree}/e`, "");
  fs.truncateSync(`${tree}/e`, 200 * mib);
  const { directory } = await world.create();
  const seen: RestoreProgress[] = [];
  const context = { clock, onProgress: (progress: RestoreProgress) => void seen.push(progress) };
  await restoreInPlace(openSnapshot(directory), { ...to(tree), force: true }, context);
  const compared = seen.filter(({ activity }) => activity === "comparing");
  expect(compared.length).toBeGreaterThan(1);
  expect(compared.at(-1)).toMatchObject({ doneBytes: 200 * mib, totalBytes: 200 * mib });
  for (const { doneBytes, totalBytes = 0 } of compared) {
    if (doneBytes < 200 * mib) expect(totalBytes).toBeGreaterThan(doneBytes);
  }
}, 60_000);
