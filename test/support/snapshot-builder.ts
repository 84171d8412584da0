// Writes a snapshot of a directory by the format's page alone, with plain calls: a second writer beside the agent's
// own, so that readers are tested against the format and not against one implementation of it.

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { zstdCompressSync } from "node:zlib";
import {
  type BytePath,
  type FileEntry,
  type ManifestEntry,
  type SnapshotRecord,
  chunkSizeBytes,
  formatManifestLine,
  formatSnapshotId,
  formatSnapshotJson,
  formatSumsLine,
  slugOf,
} from "../../src/backup/format/index.ts";
import { readXattrs } from "../../src/system/native.ts";
import { type WalkedEntry, walkTree } from "../../src/system/tree-walk.ts";

export interface BuildOptions {
  /** Start of the snapshot; default now. */
  readonly atMs?: number;
  readonly kind?: "full" | "incremental";
  readonly area?: "models" | "configs" | "system";
  /** Hard-link files of this snapshot directory that have the same path and content. */
  readonly linkTo?: string;
  /** Store files whose path matches below packed/. */
  readonly pack?: RegExp;
  readonly record?: Partial<SnapshotRecord>;
  /** Changes the entries before they are written: for hostile manifests. */
  readonly forge?: (entries: ManifestEntry[]) => ManifestEntry[];
  /** What the record says the source was; default: the directory given. */
  readonly source?: string;
}

export interface Built {
  readonly id: string;
  readonly directory: string;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const bytesOf = (path: string) => Buffer.from(path, "latin1");

/** XXH3-64 of every 16 MiB. */
export function chunkHashes(content: Buffer): string[] {
  const hashes: string[] = [];
  for (let at = 0; at < content.length; at += chunkSizeBytes) {
    const piece = content.subarray(at, at + chunkSizeBytes);
    hashes.push(Bun.hash.xxHash3(piece).toString(16).padStart(16, "0"));
  }
  return hashes;
}

/** Builds `<root>/<area>/<id>` from `source` and returns where it lies. */
export function buildSnapshot(root: string, source: string, options: BuildOptions = {}): Built {
  const { area = "models", kind = "full" } = options;
  const atMs = options.atMs ?? Date.now();
  const claimed = options.source ?? source;
  const random = Math.floor(Math.random() * 65536);
  const id = formatSnapshotId(atMs, slugOf(claimed), kind, random);
  const directory = `${root}/${area === "system" ? "system/snapshots" : area}/${id}`;
  fs.mkdirSync(`${directory}/data`, { recursive: true });
  fs.chmodSync(directory, 0o700);
  const firstOfInode = new Map<bigint, BytePath>();
  const stored: { linked: number; bytes: number; packed: number } = {
    linked: 0,
    bytes: 0,
    packed: 0,
  };
  let entries: ManifestEntry[] = [];
  const directories: WalkedEntry[] = [];
  for (const walked of walkTree(bytesOf(source).toString("latin1"), { crossFileSystems: true })) {
    if ((walked.stat.mode & 0o170000) === 0o040000) directories.push(walked);
    entries.push(storeEntry(source, directory, walked, options, firstOfInode, stored));
  }
  for (const { path, stat } of directories.reverse()) {
    const target = bytesOf(path === "." ? `${directory}/data` : `${directory}/data/${path}`);
    fs.chmodSync(target, stat.mode & 0o7777);
    fs.utimesSync(target, Number(stat.mtimeNs) / 1e9, Number(stat.mtimeNs) / 1e9);
  }
  entries = options.forge?.(entries) ?? entries;
  writeMetadata(directory, entries, { id, claimed, area, kind, atMs, stored, options });
  return { id, directory };
}

function storeEntry(
  source: string,
  directory: string,
  { path, stat, target }: WalkedEntry,
  options: BuildOptions,
  firstOfInode: Map<bigint, BytePath>,
  stored: { linked: number; bytes: number; packed: number },
): ManifestEntry {
  const from = bytesOf(`${source}/${path}`);
  const to = bytesOf(`${directory}/data/${path}`);
  const base = {
    path: path as BytePath,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtimeNs: stat.mtimeNs,
    ino: stat.ino,
    ctimeNs: stat.ctimeNs,
    xattrs: readXattrs(from.toString("latin1")),
  };
  switch (stat.mode & 0o170000) {
    case 0o040000:
      if (path !== ".") fs.mkdirSync(to);
      return { ...base, type: "directory" };
    case 0o120000:
      fs.symlinkSync(bytesOf(target ?? ""), to);
      return { ...base, type: "symlink", target: target as BytePath };
    case 0o010000:
      return { ...base, type: "fifo" };
    case 0o140000:
      return { ...base, type: "socket" };
    case 0o100000:
      break;
    default:
      return { ...base, type: "character", major: stat.rdevMajor, minor: stat.rdevMinor };
  }
  const content = fs.readFileSync(from);
  const first = firstOfInode.get(stat.ino);
  if (stat.linkCount > 1 && first === undefined) firstOfInode.set(stat.ino, path as BytePath);
  let entry: FileEntry = {
    ...base,
    type: "file",
    size: content.length,
    sha256: sha256(content),
    xxh3: chunkHashes(content),
    hardlink: first,
  };
  if (options.pack?.test(path)) {
    const packed = zstdCompressSync(content);
    const place = bytesOf(`${directory}/packed/${path}.zst`);
    fs.mkdirSync(place.subarray(0, place.lastIndexOf(0x2f)), { recursive: true });
    fs.writeFileSync(place, packed);
    stored.packed += 1;
    entry = {
      ...entry,
      packed: {
        method: "zstd",
        size: packed.length,
        sha256: sha256(packed),
        xxh3: chunkHashes(packed),
      },
    };
    return entry;
  }
  const former = options.linkTo && bytesOf(`${options.linkTo}/data/${path}`);
  if (former && fs.existsSync(former) && fs.readFileSync(former).equals(content)) {
    fs.linkSync(former, to);
    stored.linked += 1;
  } else if (first !== undefined) {
    fs.linkSync(bytesOf(`${directory}/data/${first}`), to);
  } else {
    fs.writeFileSync(to, content);
    fs.chownSync(to, stat.uid, stat.gid);
    fs.chmodSync(to, stat.mode & 0o7777);
    fs.utimesSync(to, Number(stat.mtimeNs) / 1e9, Number(stat.mtimeNs) / 1e9);
    stored.bytes += content.length;
  }
  return entry;
}

function writeMetadata(
  directory: string,
  entries: readonly ManifestEntry[],
  build: {
    id: string;
    claimed: string;
    area: "models" | "configs" | "system";
    kind: "full" | "incremental";
    atMs: number;
    stored: { linked: number; bytes: number; packed: number };
    options: BuildOptions;
  },
): void {
  const { id, claimed, area, kind, atMs, stored, options } = build;
  const manifest = entries.map(formatManifestLine).join("");
  const files = entries.filter((entry) => entry.type === "file");
  const plain = files.filter((entry) => entry.packed === undefined);
  const packed = files.filter((entry) => entry.packed !== undefined);
  const sums = Buffer.from(
    plain.map(({ sha256, path }) => formatSumsLine(sha256, path)).join(""),
    "latin1",
  );
  const lists: Record<string, Buffer> = { SHA256SUMS: sums };
  if (packed.length > 0) {
    const lines = packed.map((entry) =>
      formatSumsLine(entry.packed?.sha256 ?? "", `${entry.path}.zst` as BytePath),
    );
    lists["SHA256SUMS.packed"] = Buffer.from(lines.join(""), "latin1");
  }
  const count = (type: string) => entries.filter((entry) => entry.type === type).length;
  const inodes = files.filter(({ hardlink }) => hardlink === undefined);
  const bytes = inodes.reduce((sum, entry) => sum + entry.size, 0);
  const record: SnapshotRecord = {
    format: 1,
    id,
    host: "test",
    source: claimed,
    source_identity: `test:${claimed}`,
    type: kind,
    area,
    tags: [],
    parent: null,
    started: new Date(atMs).toISOString(),
    finished: new Date(atMs + 1000).toISOString(),
    counts: {
      entries: entries.length,
      files: files.length,
      directories: count("directory"),
      symlinks: count("symlink"),
      others: count("fifo") + count("socket") + count("block") + count("character"),
      bytes,
      new_bytes: stored.bytes,
      stored_bytes: bytes,
      linked_files: stored.linked,
      packed_files: stored.packed,
      skipped: 0,
      outside_links: 0,
    },
    skipped: [],
    shrunk: false,
    plain: packed.length === 0,
    compression: packed.length === 0 ? null : "zstd",
    chunk_size: chunkSizeBytes,
    checksums: ["sha256"],
    manifest_sha256: sha256(Buffer.from(manifest)),
    manifest_bytes: Buffer.byteLength(manifest),
    sums_sha256: Object.fromEntries(
      Object.entries(lists).map(([name, list]) => [name, sha256(list)]),
    ),
    settings: {},
    tool: { name: "snapshot-builder", version: "1", commit: "test" },
    ...options.record,
  };
  fs.writeFileSync(`${directory}/manifest.jsonl`, manifest);
  for (const [name, list] of Object.entries(lists)) fs.writeFileSync(`${directory}/${name}`, list);
  fs.writeFileSync(`${directory}/snapshot.json`, formatSnapshotJson(record));
}
