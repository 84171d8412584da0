// manifest.jsonl: one line of JSON per entry, sorted by path bytes. What each field means to a stranger is in
// docs/formats/snapshot.md. This file turns entries into lines; manifest-parser.ts reads them back.

import { type BytePath, toBytes, toText } from "./byte-path.ts";

export const manifestName = "manifest.jsonl";

/** Each `xxh3` hash covers this much of a file; the last one what is left. */
export const chunkSizeBytes = 16 * 1024 * 1024;

/** A line may be this long: a file of 53 TiB has a line of 64 MiB. */
export const maxLineBytes = 64 * 1024 * 1024;

/** Holes beyond this many are stored as data: a manifest line stays bounded. */
export const maxHoles = 65_536;

export type EntryType =
  "file" | "directory" | "symlink" | "fifo" | "socket" | "block" | "character";

export type PackMethod = "zstd" | "gzip" | "lz4";

/** How each method's files end, below `packed/`. */
export const packExtensions: Record<PackMethod, string> = {
  zstd: ".zst",
  gzip: ".gz",
  lz4: ".lz4",
};

/** Checksums that a file may carry beside sha256 (BACKUP_CHECKSUM_ALGORITHM). */
export const extraAlgorithms = ["sha512", "sha1", "md5"] as const;
export type ExtraAlgorithm = (typeof extraAlgorithms)[number];

/** A file that is stored compressed at `packed/<path><extension>`; everything here is about the stored bytes. */
export interface PackedContent {
  readonly method: PackMethod;
  readonly size: number;
  readonly sha256: string;
  /** One per 16 MiB of the stored bytes. */
  readonly xxh3: readonly string[];
}

interface EntryBase {
  readonly path: BytePath;
  /** Permission bits with setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly mtimeNs: bigint;
  /** Inode and change time at the source: how the next run sees that nothing changed. */
  readonly ino?: bigint | undefined;
  readonly ctimeNs?: bigint | undefined;
  /** Name to value. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

export interface FileEntry extends EntryBase {
  readonly type: "file";
  readonly size: number;
  /** Lower-case hex of the original content. */
  readonly sha256: string;
  /** XXH3-64, seed 0, 16 lower-case hex digits, one per 16 MiB of the original content; none for an empty file. */
  readonly xxh3: readonly string[];
  /** Path of the first name of the same inode at the source (the first by path bytes). */
  readonly hardlink?: BytePath | undefined;
  /** Ranges `[start, end)` without stored data, ascending. */
  readonly holes?: readonly (readonly [number, number])[] | undefined;
  readonly packed?: PackedContent | undefined;
  readonly digests?: Readonly<Partial<Record<ExtraAlgorithm, string>>> | undefined;
}

/** Bytes that a file takes on the disk: its size without its holes. */
export function storedBytesOf(entry: Pick<FileEntry, "size" | "holes">): number {
  let bytes = entry.size;
  for (const [start, end] of entry.holes ?? []) bytes -= end - start;
  return bytes;
}

export interface SymlinkEntry extends EntryBase {
  readonly type: "symlink";
  /** Bytes of the target, one character each; it may be anything but empty or with a NUL. */
  readonly target: BytePath;
}

export interface DirectoryEntry extends EntryBase {
  readonly type: "directory";
}

export interface OtherEntry extends EntryBase {
  readonly type: "fifo" | "socket";
}

export interface DeviceEntry extends EntryBase {
  readonly type: "block" | "character";
  readonly major: number;
  readonly minor: number;
}

/** What has no content and holds nothing. */
export type SpecialEntry = SymlinkEntry | OtherEntry | DeviceEntry;

export type ManifestEntry = FileEntry | DirectoryEntry | SpecialEntry;

/** Where the entry's content lies below the snapshot: `data/…` or `packed/….zst`. */
export function storedPath(entry: ManifestEntry): BytePath {
  if (entry.type !== "file" || entry.packed === undefined) return `data/${entry.path}` as BytePath;
  return `packed/${entry.path}${packExtensions[entry.packed.method]}` as BytePath;
}

/** `0644`. */
export function formatMode(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function bytesField(name: string, bytes: BytePath): Record<string, string> {
  const text = toText(bytes);
  return text === undefined
    ? { [`${name}_b64`]: toBytes(bytes).toString("base64") }
    : { [name]: text };
}

/** One line with its newline: UTF-8 text, members in a fixed order, absent ones left out. */
export function formatManifestLine(entry: ManifestEntry): string {
  const line: Record<string, unknown> = { ...bytesField("path", entry.path), type: entry.type };
  if (entry.type === "file") line["size"] = entry.size;
  line["mode"] = formatMode(entry.mode);
  line["uid"] = entry.uid;
  line["gid"] = entry.gid;
  line["user"] = entry.user;
  line["group"] = entry.group;
  line["mtime_ns"] = entry.mtimeNs.toString();
  line["ino"] = entry.ino?.toString();
  line["ctime_ns"] = entry.ctimeNs?.toString();
  if (entry.type === "symlink") Object.assign(line, bytesField("target", entry.target));
  if (entry.type === "block" || entry.type === "character") {
    line["device"] = [entry.major, entry.minor];
  }
  if (entry.type === "file") addFileFields(line, entry);
  if (entry.xattrs !== undefined && entry.xattrs.size > 0) {
    const names = [...entry.xattrs.keys()].sort();
    line["xattrs"] = Object.fromEntries(
      names.map((name) => [name, Buffer.from(entry.xattrs?.get(name) ?? []).toString("base64")]),
    );
  }
  return `${JSON.stringify(line)}\n`;
}

function addFileFields(line: Record<string, unknown>, entry: FileEntry): void {
  if (entry.hardlink !== undefined) Object.assign(line, bytesField("hardlink", entry.hardlink));
  if (entry.holes !== undefined && entry.holes.length > 0) line["holes"] = entry.holes;
  line["sha256"] = entry.sha256;
  for (const algorithm of extraAlgorithms) {
    if (entry.digests?.[algorithm] !== undefined) line[algorithm] = entry.digests[algorithm];
  }
  if (entry.packed !== undefined) line["packed"] = entry.packed;
  line["xxh3"] = entry.xxh3;
}
