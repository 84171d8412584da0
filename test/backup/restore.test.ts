import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { restoreInPlace } from "../../src/backup/restore/in-place.ts";
import {
  restoreSnapshot,
  type RestoreOptions,
  type RestoreProgress,
} from "../../src/backup/restore/restore.ts";
import { fromText } from "../../src/backup/format/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { makeNode } from "../../src/system/native-files.ts";
import { readXattrs, setMtime, setXattr, statExact } from "../../src/system/native.ts";
import { walkTree } from "../../src/system/tree-walk.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

let dir: string;
let count = 0;
const isRoot = process.getuid?.() === 0;
beforeAll(() => {
  dir = fs.mkdtempSync(`${tmpdir()}/restore-`);
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const context = { clock: systemClock };
const fresh = (name: string) => `${dir}/${name}-${(count += 1)}`;

function open(directory: string): FoundSnapshot {
  const found = readSnapshot(directory as AbsolutePath, "models");
  if (found === undefined) throw new Error(`no snapshot at ${directory}`);
  return found;
}

const to = (path: string, more: Partial<RestoreOptions> = {}): RestoreOptions => ({
  to: path,
  globs: [],
  privileged: false,
  isRoot,
  ...more,
});

function makeSource(): string {
  const source = fresh("source");
  fs.mkdirSync(`${source}/sub/empty`, { recursive: true });
  fs.mkdirSync(`${source}/locked`);
  fs.writeFileSync(`${source}/locked/inside`, "in a directory that is not writable");
  fs.writeFileSync(`${source}/a.txt`, "hello");
  fs.writeFileSync(`${source}/sub/b.bin`, Buffer.alloc(9_000_001, 7));
  fs.writeFileSync(`${source}/sub-c`, "between");
  fs.writeFileSync(`${source}/empty`, "");
  fs.writeFileSync(
    `${source}/text.json`,
    JSON.stringify(Array.from({ length: 4000 }, (_, at) => at)),
  );
  fs.writeFileSync(
    Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0x0a, 0x5c])]),
    "odd",
  );
  fs.symlinkSync("../a.txt", `${source}/sub/link`);
  fs.symlinkSync("/nowhere/at all", `${source}/dangling`);
  fs.linkSync(`${source}/a.txt`, `${source}/sub/hard`);
  fs.chmodSync(`${source}/sub-c`, 0o640);
  if (isRoot) fs.chownSync(`${source}/sub-c`, 1234, 4321);
  Bun.spawnSync(["mkfifo", `${source}/pipe`]);
  setMtime(`${source}/a.txt`, 1111111111123456789n);
  setMtime(`${source}/dangling`, 5n);
  fs.chmodSync(`${source}/locked`, 0o500);
  setMtime(`${source}/locked`, 7n);
  setMtime(`${source}/sub`, 9n);
  return source;
}

/** Everything that a restore has to bring back, path by path. */
function describe(root: string): string[] {
  const lines: string[] = [];
  const first = new Map<bigint, string>();
  for (const { path, stat, target } of walkTree(root, { crossFileSystems: false })) {
    const isFile = (stat.mode & 0o170000) === 0o100000;
    const full = Buffer.from(path === "." ? root : `${root}/${path}`, "latin1");
    const content = isFile ? Bun.hash(fs.readFileSync(full)).toString(16) : (target ?? "");
    const twin = isFile && stat.linkCount > 1 ? (first.get(stat.ino) ?? path) : "";
    if (twin === path) first.set(stat.ino, path);
    lines.push(
      [path, stat.mode.toString(8), stat.uid, stat.gid, stat.mtimeNs, content, twin].join(" | "),
    );
  }
  return lines;
}

test("a restore equals its source: content, modes, owners, times to the nanosecond, links, names", async () => {
  const source = makeSource();
  const { directory } = buildSnapshot(`${dir}/repo`, source, { pack: /json$/ });
  const target = fresh("target");
  const report = await restoreSnapshot(open(directory), to(target), context);
  expect(describe(target)).toEqual(describe(source));
  expect(report).toMatchObject({ files: 8, failed: [], skipped: [] });
  expect(report.bytes).toBe(
    5 + 5 + 9_000_001 + 7 + 3 + 35 + fs.statSync(`${source}/text.json`).size,
  );
  expect(fs.readdirSync(dir).filter((name) => name.startsWith(".citadel"))).toEqual([]);
});

test("a target that holds something is refused, an empty one is taken, and the parent has to be there", async () => {
  const { directory } = buildSnapshot(`${dir}/repo`, makeSource());
  const target = fresh("filled");
  fs.mkdirSync(target);
  await restoreSnapshot(open(directory), to(target), context);
  const before = describe(target);
  const again = restoreSnapshot(open(directory), to(target), context);
  expect(again).rejects.toMatchObject({ kind: "conflict", code: "RESTORE_TARGET_NOT_EMPTY" });
  expect(describe(target)).toEqual(before);
  const lost = restoreSnapshot(open(directory), to(`${dir}/no/such`), context);
  expect(lost).rejects.toMatchObject({ code: "RESTORE_PARENT_MISSING" });
});

test("--path brings what matches with its directories, and says when nothing does", async () => {
  const { directory } = buildSnapshot(`${dir}/repo`, makeSource());
  const target = fresh("part");
  const report = await restoreSnapshot(
    open(directory),
    to(target, { globs: ["sub", "*.txt"] }),
    context,
  );
  expect(fs.readdirSync(target).sort()).toEqual(["a.txt", "sub"]);
  expect(fs.readdirSync(`${target}/sub`).sort()).toEqual(["b.bin", "empty", "hard", "link"]);
  expect(report.files).toBe(3);
  const deep = fresh("deep");
  await restoreSnapshot(open(directory), to(deep, { globs: ["**/hard"] }), context);
  expect(fs.readFileSync(`${deep}/sub/hard`, "utf8")).toBe("hello");
  const none = restoreSnapshot(open(directory), to(fresh("none"), { globs: ["nothing"] }), context);
  expect(none).rejects.toMatchObject({ code: "RESTORE_NOTHING_MATCHES" });
});

test("a damaged file is left out and named; a damaged manifest stops before anything is written", async () => {
  const { directory } = buildSnapshot(`${dir}/repo`, makeSource());
  fs.chmodSync(`${directory}/data/sub`, 0o755);
  const fd = fs.openSync(`${directory}/data/sub/b.bin`, "r+");
  fs.writeSync(fd, "x", 5_000_000);
  fs.closeSync(fd);
  const target = fresh("damaged");
  const report = await restoreSnapshot(open(directory), to(target), context);
  expect(report.failed.map(({ path }) => path)).toEqual([fromText("sub/b.bin")]);
  expect(fs.existsSync(`${target}/sub/b.bin`)).toBe(false);
  expect(fs.readFileSync(`${target}/a.txt`, "utf8")).toBe("hello");
  fs.appendFileSync(`${directory}/manifest.jsonl`, "\n");
  const refused = fresh("refused");
  const lost = restoreSnapshot(open(directory), to(refused), context);
  expect(lost).rejects.toMatchObject({ kind: "integrity", code: "SNAPSHOT_DAMAGED" });
  expect(fs.existsSync(refused)).toBe(false);
});

test("a hostile snapshot writes nothing outside the target", async () => {
  const source = makeSource();
  const outside = fresh("outside");
  fs.mkdirSync(outside);
  for (const path of ["../escape", "/etc/escape", "sub/../../escape"]) {
    const { directory } = buildSnapshot(`${dir}/repo`, source, {
      forge: (entries) =>
        entries.map((entry) =>
          entry.path === fromText("a.txt") ? { ...entry, path: fromText(path) } : entry,
        ),
    });
    const attempt = restoreSnapshot(open(directory), to(fresh("hostile")), context);
    expect(attempt).rejects.toMatchObject({ kind: "integrity" });
  }
  const throughLink = buildSnapshot(`${dir}/repo`, source, {
    forge: (entries) =>
      entries.map((entry) =>
        entry.path === fromText("sub")
          ? { ...entry, type: "symlink" as const, target: fromText(outside) }
          : entry,
      ),
  });
  const attempt = restoreSnapshot(open(throughLink.directory), to(fresh("hostile")), context);
  expect(attempt).rejects.toMatchObject({ kind: "integrity" });
  expect(fs.readdirSync(outside)).toEqual([]);
  expect(fs.readdirSync(dir).filter((name) => name.startsWith(".citadel"))).toEqual([]);
});

test("setuid bits come back only with --privileged", async () => {
  const source = makeSource();
  fs.chmodSync(`${source}/sub-c`, 0o4755);
  const { directory } = buildSnapshot(`${dir}/repo`, source);
  const [plain, privileged] = [fresh("plain"), fresh("privileged")];
  const said = await restoreSnapshot(open(directory), to(plain), context);
  expect(said.remarks.filter((text) => text.includes("setuid"))).toEqual([
    "1 file is without the setuid or setgid bit of the snapshot (--privileged brings it back): sub-c",
  ]);
  const all = await restoreSnapshot(open(directory), to(privileged, { privileged: true }), context);
  expect(all.remarks.filter((text) => text.includes("setuid"))).toEqual([]);
  expect(fs.statSync(`${plain}/sub-c`).mode & 0o7777).toBe(0o755);
  expect(fs.statSync(`${privileged}/sub-c`).mode & 0o7777).toBe(0o4755);
});

test("sparse files stay sparse", async () => {
  const source = fresh("sparse");
  fs.mkdirSync(source);
  const size = 64 * 1024 * 1024;
  const fd = fs.openSync(`${source}/model`, "w");
  fs.ftruncateSync(fd, size);
  fs.writeSync(fd, Buffer.alloc(8192, 3), 0, 8192, 32 * 1024 * 1024);
  fs.closeSync(fd);
  const start = 32 * 1024 * 1024;
  const { directory } = buildSnapshot(`${dir}/repo`, source, {
    forge: (entries) =>
      entries.map((entry) =>
        entry.type === "file"
          ? {
              ...entry,
              holes: [
                [0, start],
                [start + 8192, size],
              ] as const,
            }
          : entry,
      ),
  });
  const target = fresh("target");
  await restoreSnapshot(open(directory), to(target), context);
  expect(fs.readFileSync(`${target}/model`).equals(fs.readFileSync(`${source}/model`))).toBe(true);
  expect(statExact(`${target}/model`).storedBytes).toBeLessThan(1024 * 1024);
});

test("in place: what matches stays, what is missing comes, what differs needs force and is kept until success", async () => {
  const source = makeSource();
  const { directory } = buildSnapshot(`${dir}/repo`, source, { pack: /json$/ });
  const target = fresh("in-place");
  await restoreSnapshot(open(directory), to(target), context);
  fs.rmSync(`${target}/sub/b.bin`);
  fs.writeFileSync(`${target}/mine`, "not in the snapshot");
  const kept = fs.statSync(`${target}/a.txt`).ino;
  const first = await restoreInPlace(open(directory), { ...to(target), force: false }, context);
  expect(first).toMatchObject({ files: 8, writtenFiles: 1, writtenBytes: 9_000_001, failed: [] });
  expect(fs.statSync(`${target}/a.txt`).ino).toBe(kept);
  expect(fs.readFileSync(`${target}/sub/b.bin`).length).toBe(9_000_001);

  fs.writeFileSync(`${target}/sub-c`, "changed");
  fs.rmSync(`${target}/dangling`);
  fs.symlinkSync("/etc", `${target}/dangling`);
  const before = describe(target);
  const refused = restoreInPlace(open(directory), { ...to(target), force: false }, context);
  expect(refused).rejects.toMatchObject({ kind: "conflict", code: "RESTORE_WOULD_REPLACE" });
  expect(describe(target)).toEqual(before);
  fs.writeFileSync(`${target}/sub/hard`, "changed, and a.txt with it");
  await restoreInPlace(open(directory), { ...to(target), force: true }, context);
  expect(statExact(target).mtimeNs).toBe(statExact(source).mtimeNs);
  fs.rmSync(`${target}/mine`);
  // every directory has its time again, those in which files were replaced included
  expect(describe(target).slice(1)).toEqual(describe(source).slice(1));
  const again = await restoreInPlace(open(directory), { ...to(target), force: false }, context);
  expect(again).toMatchObject({ files: 8, writtenFiles: 0, writtenBytes: 0 });
  expect(fs.readdirSync(target).filter((name) => name.includes("before"))).toEqual([]);
});

test("progress goes on within a file, counts holes like content, and ends at its total", async () => {
  const source = fresh("source");
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/model`, Buffer.alloc(20_000_000, 3));
  fs.writeFileSync(`${source}/holes`, "");
  fs.truncateSync(`${source}/holes`, 30_000_000);
  const { directory } = buildSnapshot(`${dir}/repo`, source);
  const target = fresh("progress");
  const seen: RestoreProgress[] = [];
  const often = (_: number, signal?: AbortSignal) => systemClock.sleep(1, signal);
  const watched = {
    clock: { ...systemClock, sleep: often },
    onProgress: (progress: RestoreProgress) => void seen.push(progress),
  };
  await restoreSnapshot(open(directory), to(target), watched);
  expect(seen.at(-1)).toMatchObject({ doneBytes: 50_000_000, totalBytes: 50_000_000 });
  expect(seen.filter(({ doneBytes }) => doneBytes < 20_000_000).length).toBeGreaterThan(2);

  seen.length = 0;
  fs.rmSync(`${target}/holes`);
  await restoreInPlace(open(directory), { ...to(target), force: false }, watched);
  const [compared] = seen.filter(({ activity }) => activity === "comparing").slice(-1);
  expect(compared).toEqual({
    activity: "comparing",
    doneBytes: 20_000_000,
    totalBytes: 20_000_000,
    current: fromText("model"),
  });
  expect(seen.at(-1)).toMatchObject({
    activity: "restoring",
    doneBytes: 30_000_000,
    totalBytes: 30_000_000,
  });
});

test.skipIf(!isRoot)(
  "links, FIFOs, sockets and devices come back in place as they do in a new tree, attributes included",
  async () => {
    const source = fresh("source");
    fs.mkdirSync(source);
    fs.symlinkSync("nowhere", `${source}/link`);
    setXattr(`${source}/link`, "trusted.mark", Buffer.from("of the link"));
    makeNode(Buffer.from(`${source}/pipe`), 0o010000, 0, 0);
    makeNode(Buffer.from(`${source}/socket`), 0o140000, 0, 0);
    makeNode(Buffer.from(`${source}/null`), 0o020000, 1, 3);
    for (const [at, name] of fs.readdirSync(source).entries()) {
      fs.lchownSync(`${source}/${name}`, 1234, 4321);
      if (name !== "link") fs.chmodSync(`${source}/${name}`, 0o666);
      setMtime(`${source}/${name}`, 1_111_111_111_123_456_789n + BigInt(at));
    }
    const { directory } = buildSnapshot(`${dir}/repo`, source);
    const [made, mended, plain] = [fresh("made"), fresh("mended"), fresh("plain")];
    for (const target of [mended, plain]) fs.mkdirSync(target);
    const privileged = { privileged: true, force: false };
    await restoreSnapshot(open(directory), to(made, privileged), context);
    const first = await restoreInPlace(open(directory), { ...to(mended), ...privileged }, context);
    expect(first).toMatchObject({ failed: [], skipped: [], unchanged: 0 });
    for (const target of [made, mended]) {
      expect(describe(target).slice(1)).toEqual(describe(source).slice(1));
      expect(readXattrs(`${target}/link`)).toEqual(readXattrs(`${source}/link`));
      expect(fs.lstatSync(`${target}/null`).rdev).toBe(fs.lstatSync(`${source}/null`).rdev);
    }
    const again = await restoreInPlace(open(directory), { ...to(mended), ...privileged }, context);
    expect(again).toMatchObject({ skipped: [], unchanged: 4 });

    const rules = { ...to(plain), force: false };
    const left = [
      { path: fromText("null"), reason: "character" },
      { path: fromText("socket"), reason: "socket" },
    ];
    expect(await restoreInPlace(open(directory), rules, context)).toMatchObject({ skipped: left });
    expect(fs.readdirSync(plain).sort()).toEqual(["link", "pipe"]);
    expect(readXattrs(`${plain}/link`)).toBeUndefined();
    // what is left out by rule asks nobody to replace anything
    const there = await restoreInPlace(open(directory), { ...rules, to: mended }, context);
    expect(there).toMatchObject({ skipped: left, unchanged: 2 });
  },
);

test("in place: names of 255 bytes are replaced like others", async () => {
  const source = fresh("source");
  fs.mkdirSync(source);
  const names = ["x".repeat(255), `${"x".repeat(254)}y`, "é".repeat(127)];
  for (const name of names) fs.writeFileSync(`${source}/${name}`, `content of ${name}`);
  const { directory } = buildSnapshot(`${dir}/repo`, source);
  const target = fresh("long");
  await restoreSnapshot(open(directory), to(target), context);
  for (const name of names) fs.writeFileSync(`${target}/${name}`, "changed");
  const report = await restoreInPlace(open(directory), { ...to(target), force: true }, context);
  expect(report).toMatchObject({ files: 3, failed: [] });
  expect(fs.readdirSync(target).sort()).toEqual(names.toSorted());
  for (const name of names) {
    expect(fs.readFileSync(`${target}/${name}`, "utf8")).toBe(`content of ${name}`);
  }
});

test("in place: a link in the way is never followed", async () => {
  const { directory } = buildSnapshot(`${dir}/repo`, makeSource());
  const target = fresh("linked");
  const outside = fresh("outside");
  fs.mkdirSync(target);
  fs.mkdirSync(outside);
  fs.symlinkSync(outside, `${target}/sub`);
  const attempt = restoreInPlace(open(directory), { ...to(target), force: true }, context);
  expect(attempt).rejects.toMatchObject({ kind: "conflict" });
  expect(fs.readdirSync(outside)).toEqual([]);
});

test("what a killed restore left beside the target is removed by the next one", async () => {
  const { directory } = buildSnapshot(`${dir}/repo`, makeSource());
  const target = fresh("killed");
  const name = target.slice(dir.length + 1);
  const gone = Bun.spawnSync(["true"]).pid;
  const stale = `${dir}/.citadel-agent.restore-${name}.${gone}.abc`;
  fs.mkdirSync(`${stale}/data`, { recursive: true });
  await restoreSnapshot(open(directory), to(target), context);
  expect(fs.existsSync(stale)).toBe(false);
});
