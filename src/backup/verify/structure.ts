// Lays the manifest beside the tree on disk, both in the order of path bytes: what is missing, what is extra, what
// has another type, size, mode or target. One entry of each is held at a time.

import { statExact, type ExactStat } from "../../system/native.ts";
import { isErrno } from "../../system/errno.ts";
import { walkTree, type WalkedEntry } from "../../system/tree-walk.ts";
import { fromText, type BytePath } from "../format/byte-path.ts";
import { type FileEntry, type ManifestEntry, storedPath } from "../format/manifest.ts";
import type { StoredContent } from "./report.ts";

export type StructureReason =
  "missing" | "extra" | "type" | "size" | "mode" | "target" | "unreadable";

export interface StructureFailure {
  /** Below the snapshot: `data/…` or `packed/…`. */
  readonly path: BytePath;
  readonly reason: StructureReason;
  readonly errno?: string | undefined;
  /** Where a file lies there. */
  readonly stored?: StoredContent | undefined;
}

/** A file whose shell is sound: its content can be checked. */
export interface SoundFile {
  readonly entry: FileEntry;
  readonly stat: ExactStat;
}

export type Compared =
  | { readonly failure: StructureFailure; readonly file?: undefined }
  | { readonly file: SoundFile; readonly failure?: undefined };

const typeMask = 0o170000;
const typeBits = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/**
 * Compares `data/` and the packed files with the manifest; `counts` is filled as the entries go by.
 * Special files are recorded and never stored, so nothing may lie in their place.
 */
export function* compareTree(
  directory: string,
  manifest: Iterable<ManifestEntry>,
  counts: { files: number; entries: number; packed: number },
): Generator<Compared> {
  const base = fromText(directory);
  const walk = walkTree(`${base}/data`, { crossFileSystems: true });
  try {
    let next = walk.next();
    const extra = (walked: WalkedEntry): Compared => ({
      failure: { path: `data/${walked.path}` as BytePath, reason: "extra" },
    });
    for (const entry of manifest) {
      counts.entries += 1;
      if (entry.type === "file") counts.files += 1;
      while (!next.done && next.value.path < entry.path) {
        yield* next.value.path === "." ? [] : [extra(next.value)];
        next = walk.next();
      }
      const isThere = !next.done && next.value.path === entry.path;
      if (entry.type === "file" && entry.packed !== undefined) {
        counts.packed += 1;
        yield comparePacked(base, entry);
        continue; // whatever lies in data/ under this name is extra, by the next turn
      }
      if (!(entry.type in typeBits)) continue;
      if (!isThere) {
        yield { failure: { path: `data/${entry.path}` as BytePath, reason: "missing" } };
        continue;
      }
      const walked = next.value as WalkedEntry;
      next = walk.next();
      yield* compareEntry(entry, walked);
    }
    for (; !next.done; next = walk.next()) {
      if (next.value.path !== ".") yield extra(next.value);
    }
  } finally {
    walk.return(undefined); // whoever ends early does not wait for the collector to close its directories
  }
}

function* compareEntry(entry: ManifestEntry, walked: WalkedEntry): Generator<Compared> {
  const path = `data/${entry.path}` as BytePath;
  const fail = (reason: StructureReason): Compared => ({ failure: { path, reason } });
  if (walked.failure !== undefined) {
    yield { failure: { path, reason: "unreadable", errno: walked.failure.errno } };
    return;
  }
  const { stat } = walked;
  if ((stat.mode & typeMask) !== typeBits[entry.type as keyof typeof typeBits]) {
    yield fail("type");
    return;
  }
  if (entry.type === "symlink") {
    if (walked.target !== entry.target) yield fail("target");
    return;
  }
  const stored = entry.type === "file" ? storedContent(entry, stat) : undefined;
  if ((stat.mode & 0o7777) !== entry.mode) yield { failure: { path, reason: "mode", stored } };
  if (entry.type !== "file") return;
  if (stat.sizeBytes !== entry.size) yield { failure: { path, reason: "size", stored } };
  else yield { file: { entry, stat } };
}

/** What is known of a stored file beyond its name. */
export function storedContent(entry: FileEntry, { ino }: ExactStat): StoredContent {
  return { ino, sha256: (entry.packed ?? entry).sha256 };
}

function comparePacked(base: string, entry: FileEntry): Compared {
  const path = storedPath(entry);
  try {
    const stat = statExact(`${base}/${path}`);
    if ((stat.mode & typeMask) !== typeBits.file) return { failure: { path, reason: "type" } };
    if (stat.sizeBytes !== entry.packed?.size) {
      return { failure: { path, reason: "size", stored: storedContent(entry, stat) } };
    }
    return { file: { entry, stat } };
  } catch (thrown) {
    if (!isErrno(thrown)) throw thrown;
    const isGone = thrown.code === "ENOENT" || thrown.code === "ENOTDIR";
    const reason = isGone ? "missing" : "unreadable";
    return { failure: { path, reason, errno: thrown.code } };
  }
}

/**
 * What lies in `packed/` beyond the files that the manifest names.
 * @param expected how many packed files the manifest has: only where more lie there are the names compared
 */
export function* findExtraPacked(
  directory: string,
  expected: number,
  readEntries: () => Iterable<ManifestEntry>,
): Generator<StructureFailure> {
  const root = `${fromText(directory)}/packed`;
  const files = function* () {
    try {
      for (const { path, stat } of walkTree(root, { crossFileSystems: true })) {
        if ((stat.mode & typeMask) !== typeBits.directory) yield `packed/${path}` as BytePath;
      }
    } catch (thrown) {
      if (!isErrno((thrown as Error).cause, "ENOENT")) throw thrown;
    }
  };
  let found = 0;
  for (const _path of files()) found += 1;
  if (found <= expected) return;
  const known = new Set<BytePath>();
  for (const entry of readEntries()) {
    if (entry.type === "file" && entry.packed !== undefined) known.add(storedPath(entry));
  }
  for (const path of files()) if (!known.has(path)) yield { path, reason: "extra" };
}
