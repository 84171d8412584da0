// What a restore would write: chosen by globs, counted, compared with the space there is.

import { CitadelError, formatBytes } from "../../core/index.ts";
import { type BytePath, displayPath, rootPath } from "../format/byte-path.ts";
import { type ManifestEntry, storedBytesOf } from "../format/manifest.ts";

/** Whether an entry is wanted. */
export type PathFilter = (path: BytePath) => boolean;

/**
 * A path is wanted if it, or a directory above it, matches one of the globs; without globs everything is.
 * `*` stays within a name, `**` crosses directories.
 */
export function filterPaths(globs: readonly string[]): PathFilter {
  if (globs.length === 0) return () => true;
  const patterns = globs.map(
    (glob) => new Bun.Glob(glob.replace(/^\.?\/+/, "").replace(/\/+$/, "")),
  );
  const matches = (path: string) => patterns.some((pattern) => pattern.match(path));
  return (path) => {
    const shown = displayPath(path);
    for (let end = shown.indexOf("/"); end !== -1; end = shown.indexOf("/", end + 1)) {
      if (matches(shown.slice(0, end))) return true;
    }
    return matches(shown);
  };
}

export interface RestoreNeed {
  readonly files: number;
  readonly entries: number;
  /** What the chosen files will take, without holes, what hard links share counted once. */
  readonly bytes: number;
  /** The same with holes: what there is to read and check. */
  readonly contentBytes: number;
  /** The same, what hard links share counted for each name: what there is to compare. */
  readonly namedBytes: number;
}

/** Counts what is wanted. @throws kind `not-found`, code `RESTORE_NOTHING_MATCHES` */
export function countNeed(entries: Iterable<ManifestEntry>, isWanted: PathFilter): RestoreNeed {
  let [files, count, bytes, contentBytes, namedBytes] = [0, 0, 0, 0, 0];
  for (const entry of entries) {
    if (entry.path === rootPath || !isWanted(entry.path)) continue;
    count += 1;
    if (entry.type !== "file") continue;
    files += 1;
    namedBytes += entry.size;
    if (entry.hardlink !== undefined && isWanted(entry.hardlink)) continue;
    bytes += storedBytesOf(entry);
    contentBytes += entry.size;
  }
  return { files, entries: count, bytes, contentBytes, namedBytes };
}

/** @throws kind `no-space`, code `RESTORE_NO_SPACE` */
export function assertSpace(neededBytes: number, freeBytes: number, where: string): void {
  if (neededBytes <= freeBytes) return;
  throw new CitadelError({
    kind: "no-space",
    code: "RESTORE_NO_SPACE",
    message: `the restore needs ${formatBytes(neededBytes)}, ${where} has ${formatBytes(freeBytes)} free`,
    path: where,
    hint: "free space there, restore elsewhere with --to, or a part with --path",
    details: { neededBytes, freeBytes },
  });
}
