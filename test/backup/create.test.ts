// What `backup create` promises for a tree: everything kept, every byte proved, nothing copied twice.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { createHash, randomBytes } from "node:crypto";
import { CitadelError } from "../../src/core/index.ts";
import type { FileEntry } from "../../src/backup/format/index.ts";
import { readXattrs, setXattr, statExact } from "../../src/system/native.ts";
import { letSourceSettle, manifestOf, openBackupWorld } from "../support/create-snapshot.ts";

const bytes = (path: string) => Buffer.from(path, "latin1");
const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

function checkSums(directory: string, part: string, list: string): void {
  const run = Bun.spawnSync(["sha256sum", "-c", "--quiet", "--strict", `../${list}`], {
    cwd: `${directory}/${part}`,
  });
  expect(run.stdout.toString() + run.stderr.toString()).toBe("");
}

test("createSnapshot keeps odd names, holes, hard links, xattrs, empty directories and links", async () => {
  using world = openBackupWorld();
  const { source } = world;
  fs.mkdirSync(`${source}/empty`);
  fs.mkdirSync(`${source}/a/b`, { recursive: true });
  fs.mkdirSync(`${source}/a-b`);
  fs.writeFileSync(bytes(`${source}/\xff\xfe`), "not UTF-8");
  fs.writeFileSync(`${source}/new\nline\\and\rmore`, "escaped");
  fs.writeFileSync(`${source}/${"n".repeat(255)}`, "longest name");
  fs.writeFileSync(`${source}/!before the root`, "sorts before .");
  fs.writeFileSync(`${source}/a/b/nothing`, "");
  fs.writeFileSync(`${source}/a/first`, "one inode");
  fs.linkSync(`${source}/a/first`, `${source}/a-b/second`);
  fs.symlinkSync("../a", `${source}/a/loop`);
  fs.symlinkSync("/outside/of/it", `${source}/away`);
  fs.symlinkSync(`${source}/a`, `${source}/inside`);
  fs.writeFileSync(`${source}/hole`, "start");
  fs.truncateSync(`${source}/hole`, 40 * 1024 * 1024);
  fs.chmodSync(`${source}/a/first`, 0o4751);
  fs.chmodSync(`${source}/empty`, 0o1770);
  Bun.spawnSync(["mkfifo", `${source}/fifo`]);
  const hasXattrs = setXattr(`${source}/a/first`, "user.note", Buffer.from([0, 255, 10]));
  fs.utimesSync(`${source}/a/b`, 1_000_000_000, 1_000_000_000);

  const report = await world.create();
  const { directory } = report;
  expect(report.skipped).toEqual([]);
  expect(report.outside_links).toBe(1);
  expect(report.files).toBe(8);
  checkSums(directory, "data", "SHA256SUMS");
  const manifest = manifestOf(directory);
  expect([...manifest.keys()]).toEqual([...manifest.keys()].toSorted());
  expect(manifest.get("!before the root")?.type).toBe("file");
  expect(manifest.get("fifo")?.type).toBe("fifo");
  expect(fs.existsSync(`${directory}/data/fifo`)).toBe(false);
  expect(fs.readFileSync(bytes(`${directory}/data/\xff\xfe`), "utf8")).toBe("not UTF-8");
  expect(fs.readlinkSync(`${directory}/data/a/loop`)).toBe("../a");
  expect(manifest.get("a/first")).toMatchObject({ type: "file", hardlink: "a-b/second" });
  const first = statExact(`${directory}/data/a/first`);
  expect(first.ino).toBe(statExact(`${directory}/data/a-b/second`).ino);
  expect(first.mode & 0o7777).toBe(0o4751);
  expect(first.mtimeNs).toBe(statExact(`${source}/a/first`).mtimeNs);
  expect(statExact(`${directory}/data/empty`).mode & 0o7777).toBe(0o1770);
  expect(statExact(`${directory}/data/a/b`).mtimeNs).toBe(1_000_000_000_000_000_000n);
  if (hasXattrs) {
    expect(readXattrs(`${directory}/data/a/first`)?.get("user.note")).toEqual(
      Buffer.from([0, 255, 10]),
    );
  }
  const hole = manifest.get("hole") as FileEntry;
  expect(hole.holes?.at(-1)?.[1]).toBe(40 * 1024 * 1024);
  expect(statExact(`${directory}/data/hole`).storedBytes).toBeLessThan(1024 * 1024);
  expect(hole.sha256).toBe(sha256(fs.readFileSync(`${source}/hole`)));
  expect(fs.lstatSync(directory).mode & 0o777).toBe(0o700);
}, 60_000);

test("createSnapshot hashes every 16 MiB of a large file and its whole in one pass", async () => {
  using world = openBackupWorld();
  const content = Buffer.alloc(37 * 1024 * 1024 + 123);
  for (let at = 0; at < content.length; at += 65_536) content.writeDoubleLE(Math.random(), at);
  fs.writeFileSync(`${world.source}/large.bin`, content);
  const { directory } = await world.create();
  expect(fs.readFileSync(`${directory}/data/large.bin`).equals(content)).toBe(true);
  const entry = manifestOf(directory).get("large.bin") as FileEntry;
  expect(entry.sha256).toBe(sha256(content));
  const chunk = 16 * 1024 * 1024;
  expect(entry.xxh3).toEqual(
    [0, 1, 2].map((at) =>
      Bun.hash
        .xxHash3(content.subarray(at * chunk, (at + 1) * chunk))
        .toString(16)
        .padStart(16, "0"),
    ),
  );
}, 60_000);

test("an incremental snapshot shares unchanged, moved and duplicated files; a full one shares nothing", async () => {
  using world = openBackupWorld();
  const { source } = world;
  fs.writeFileSync(`${source}/same`, "same content");
  fs.writeFileSync(`${source}/moves`, "moved content");
  fs.writeFileSync(`${source}/large.bin`, Buffer.alloc(3 * 1024 * 1024, "large"));
  fs.writeFileSync(`${source}/changes`, "before");
  await letSourceSettle();
  const one = await world.create();
  fs.renameSync(`${source}/moves`, `${source}/moved`);
  fs.renameSync(`${source}/large.bin`, `${source}/renamed.bin`);
  fs.writeFileSync(`${source}/changes`, "after!");
  fs.copyFileSync(`${source}/same`, `${source}/copy`);
  fs.copyFileSync(`${source}/same`, `${source}/other mode`);
  fs.chmodSync(`${source}/other mode`, 0o600);
  const two = await world.create();
  expect(two.parent).toBe(one.snapshot);
  const ino = (directory: string, path: string) => statExact(`${directory}/data/${path}`).ino;
  expect(ino(two.directory, "same")).toBe(ino(one.directory, "same"));
  expect(ino(two.directory, "moved")).toBe(ino(one.directory, "moves"));
  expect(ino(two.directory, "renamed.bin")).toBe(ino(one.directory, "large.bin"));
  expect(ino(two.directory, "copy")).toBe(ino(one.directory, "same"));
  expect(ino(two.directory, "other mode")).not.toBe(ino(one.directory, "same"));
  expect(statExact(`${two.directory}/data/other mode`).mode & 0o777).toBe(0o600);
  expect(fs.readFileSync(`${one.directory}/data/changes`, "utf8")).toBe("before");
  expect(fs.readFileSync(`${two.directory}/data/changes`, "utf8")).toBe("after!");
  expect(two.copied_bytes).toBe("after!".length + "same content".length);
  const three = await world.create({ type: "full" });
  expect(three.parent).toBeNull();
  expect(three.copied_bytes).toBe(three.bytes);
  for (const path of ["same", "copy", "renamed.bin"]) {
    expect(ino(three.directory, path)).not.toBe(ino(two.directory, path));
  }
  expect(ino(three.directory, "same")).not.toBe(ino(three.directory, "copy"));
  expect(fs.readlinkSync(`${world.repository}/models/latest`)).toBe(three.snapshot);
}, 60_000);

test("compressible files are stored packed, checkable as stored, and cost nothing in the next snapshot", async () => {
  using world = openBackupWorld();
  const { source } = world;
  fs.mkdirSync(`${source}/d`);
  const text = Array.from({ length: 20_000 }, (_, at) => `line ${at}\n`).join("");
  const long = Buffer.from(text.repeat(30));
  fs.writeFileSync(`${source}/d/text.json`, text);
  fs.writeFileSync(`${source}/d/long.log`, long);
  fs.writeFileSync(`${source}/weights.safetensors`, text);
  fs.writeFileSync(`${source}/noise`, crypto.getRandomValues(new Uint8Array(60_000)));
  await letSourceSettle();
  const tools = { zstd: ["zstd", "-dc"], gzip: ["gzip", "-dc"], lz4: ["lz4", "-dc"] } as const;
  const suffix = { zstd: ".zst", gzip: ".gz", lz4: ".lz4" } as const;
  for (const method of ["zstd", "gzip", "lz4"] as const) {
    const compression = { method, level: 3 };
    const full = await world.create({ type: "full", compression });
    expect(full.packed_files).toBe(2);
    expect(full.stored_bytes).toBeLessThan(full.bytes / 2);
    checkSums(full.directory, "packed", "SHA256SUMS.packed");
    checkSums(full.directory, "data", "SHA256SUMS");
    expect(fs.existsSync(`${full.directory}/data/d/text.json`)).toBe(false);
    if (Bun.which(method) === null) {
      console.log(`skipped: no ${method} to unpack with`);
      continue;
    }
    const unpacked = Bun.spawnSync([
      ...tools[method],
      `${full.directory}/packed/d/long.log${suffix[method]}`,
    ]);
    expect(Buffer.from(unpacked.stdout).equals(long)).toBe(true);
  }
  const compression = { method: "zstd", level: 3 } as const;
  const one = await world.create({ compression });
  const two = await world.create({ compression });
  expect(two.copied_bytes).toBe(0);
  const packed = "packed/d/text.json.lz4"; // as the parent has it
  expect(statExact(`${two.directory}/${packed}`).ino).toBe(
    statExact(`${one.directory}/${packed}`).ino,
  );
  const plain = await world.create({ compression: null });
  expect(plain.packed_files).toBe(0);
  expect(fs.readFileSync(`${plain.directory}/data/d/text.json`, "utf8")).toBe(text);
}, 60_000);

test("what is in the page cache of a source stays there, and a backup brings nothing in", async () => {
  const resident = (path: string) =>
    Number(Bun.spawnSync(["fincore", "-nbo", "RES", path]).stdout.toString().trim());
  if (Bun.which("fincore") === null) return console.log("skipped: no fincore");
  using world = openBackupWorld("/var/tmp");
  const size = 8 * 1024 * 1024;
  const paths = ["warm", "warm-packed", "cold"].map((name) => `${world.source}/${name}`);
  const [warm = "", packed = "", cold = ""] = paths;
  fs.writeFileSync(warm, randomBytes(size));
  fs.writeFileSync(packed, Buffer.alloc(size, "the same again "));
  fs.writeFileSync(cold, randomBytes(size));
  expect(Bun.spawnSync(["sync", ...paths]).exitCode).toBe(0);
  const dropped = ["dd", `of=${cold}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"];
  expect(Bun.spawnSync(dropped).exitCode).toBe(0);
  if (resident(cold) > 0 || resident(warm) < size || resident(packed) < size) {
    return console.log("skipped: the page cache does not do here what it is told");
  }
  const report = await world.create({ compression: { method: "zstd", level: 3 } });
  expect(report).toMatchObject({ copied_files: 3, packed_files: 1 });
  expect(paths.map(resident)).toEqual([size, size, 0]);
  expect(resident(`${report.directory}/data/cold`)).toBe(0);
}, 60_000);

test("a source that lost more than half stops before anything is written, unless that is accepted", async () => {
  using world = openBackupWorld();
  for (const name of ["a", "b", "c"]) fs.writeFileSync(`${world.source}/${name}`, name);
  await world.create();
  fs.rmSync(`${world.source}/a`);
  fs.rmSync(`${world.source}/b`);
  const before = fs.readdirSync(`${world.repository}/models`);
  const error = await world.create().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ kind: "conflict", code: "SOURCE_SHRUNK" });
  expect(fs.readdirSync(`${world.repository}/models`)).toEqual(before);
  const { directory } = await world.create({ acceptShrink: true });
  expect(JSON.parse(fs.readFileSync(`${directory}/snapshot.json`, "utf8"))).toMatchObject({
    shrunk: true,
  });
}, 60_000);

test("a backup root inside the source, the reverse, and a missing mount are refused", async () => {
  using world = openBackupWorld();
  const within = { repositoryPath: `${world.source}/backup` as never };
  expect(await world.create(within).catch((e: CitadelError) => e.code)).toBe("BACKUP_NESTED");
  const around = { sourcePath: world.repository as never, repositoryPath: world.root as never };
  expect(await world.create(around).catch((e: CitadelError) => e.code)).toBe("BACKUP_NESTED");
  const unmounted = { mustBeMounted: ["/" as never] };
  expect(await world.create(unmounted).catch((e: CitadelError) => e.code)).toBe("NOT_MOUNTED");
  expect(fs.readdirSync(world.repository)).toEqual([]);
}, 60_000);

test("tags and further checksums appear beside the snapshot and in it", async () => {
  using world = openBackupWorld();
  fs.writeFileSync(`${world.source}/f`, "content");
  const { directory, snapshot } = await world.create({ tags: ["daily"], extraChecksums: ["md5"] });
  expect(fs.readlinkSync(`${world.repository}/models/daily/${snapshot}`)).toBe(`../${snapshot}`);
  const run = Bun.spawnSync(["md5sum", "-c", "--quiet", "../MD5SUMS"], {
    cwd: `${directory}/data`,
  });
  expect(run.exitCode).toBe(0);
  expect(manifestOf(directory).get("f")).toMatchObject({
    digests: { md5: "9a0364b9e99bb480dd25e1f0284c8555" },
  });
}, 60_000);
