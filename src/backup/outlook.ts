// What a backup in progress still has to store, and which models are in no snapshot: for the monitor, which wants to
// know what is coming and what would be lost. Estimates from what lies on the disk; the builder is not asked.

import { nameOf } from "../core/index.ts";
import { walkTree } from "../system/tree-walk.ts";
import { fromText } from "./format/byte-path.ts";
import { slugOf } from "./format/ids.ts";
import type { FoundSnapshot } from "./repository.ts";
import { readManifest } from "./snapshot-reader.ts";

const maxEntries = 200_000;
const typeMask = 0o170000;
const regularFile = 0o100000;

/** A backup that runs. */
export interface RunningBackup {
  readonly source: string;
  readonly type: string | null;
}

/**
 * Bytes that running backups will still store, by the rule by which `backup create` looks for space: the content of
 * the source, or against an earlier snapshot its growth and no less than a hundredth; less what is written by now.
 * @param contentBytes size of a source; undefined where nobody knows: then only an earlier snapshot tells
 */
export function remainingBytes(
  running: readonly RunningBackup[],
  snapshots: readonly FoundSnapshot[],
  contentBytes: (source: string) => number | undefined,
): number {
  return running.reduce((sum, { source, type }) => {
    const before = snapshots.findLast(({ record }) => record?.source === source)?.record;
    const known = before?.counts.bytes ?? 0;
    const content = contentBytes(source) ?? known;
    const isAnew = before === undefined || type === "full";
    const needed = isAnew ? content : Math.max(content - known, Math.ceil(content / 100));
    const partial = snapshots.findLast(
      (each) => each.state === "partial" && each.slug === slugOf(source),
    );
    const written = partial === undefined ? 0 : writtenBytes(partial.directory);
    return sum + Math.max(0, needed - written);
  }, 0);
}

/** What a snapshot being built holds for itself: files that no other snapshot shares. @param limit entries looked at */
export function writtenBytes(directory: string, limit = maxEntries): number {
  let bytes = 0;
  let entries = 0;
  for (const { stat } of walkTree(fromText(directory), { crossFileSystems: false })) {
    if ((entries += 1) > limit) break;
    const isFile = (stat.mode & typeMask) === regularFile;
    if (isFile && stat.linkCount === 1) bytes += stat.storedBytes;
  }
  return bytes;
}

/**
 * Names of models of which the newest snapshot of no source holds a file. A model whose directory in the source is a
 * link is in none: the link was stored, not what it leads to.
 */
export function absentModels(
  names: readonly string[],
  snapshots: readonly FoundSnapshot[],
): string[] {
  const newest = new Map(
    snapshots.flatMap((each) => (each.record === undefined ? [] : [[each.record.source, each]])),
  );
  const absent = new Set(names);
  for (const [source, snapshot] of newest) {
    if (absent.delete(nameOf(source)) || absent.size === 0) continue;
    try {
      for (const { type, path } of readManifest(snapshot.directory)) {
        const cut = path.indexOf("/");
        if (type !== "file" || cut === -1) continue;
        absent.delete(Buffer.from(path.slice(0, cut), "latin1").toString("utf8"));
        if (absent.size === 0) break;
      }
    } catch {
      return []; // a manifest that cannot be read is damage, and told as that
    }
  }
  return [...absent];
}
