// What differs between two snapshots, by their manifests, side by side in the order of path bytes.

import type { BytePath } from "./format/byte-path.ts";
import type { ManifestEntry } from "./format/manifest.ts";

export type Change = "added" | "removed" | "content" | "type" | "metadata" | "target";

export interface Difference {
  readonly path: BytePath;
  readonly change: Change;
  /** Bytes of the file in the later snapshot less those in the earlier one. */
  readonly bytes: number;
}

const sizeOf = (entry: ManifestEntry | undefined) => (entry?.type === "file" ? entry.size : 0);

/** Compares two manifests as they are read; nothing but the two entries at hand is held. */
export function* diffManifests(
  earlier: Iterable<ManifestEntry>,
  later: Iterable<ManifestEntry>,
): Generator<Difference> {
  const before = earlier[Symbol.iterator]();
  const after = later[Symbol.iterator]();
  try {
    let left = before.next();
    let right = after.next();
    while (!left.done || !right.done) {
      const old = left.done ? undefined : left.value;
      const young = right.done ? undefined : right.value;
      if (young === undefined || (old !== undefined && old.path < young.path)) {
        yield { path: (old as ManifestEntry).path, change: "removed", bytes: -sizeOf(old) };
        left = before.next();
      } else if (old === undefined || young.path < old.path) {
        yield { path: young.path, change: "added", bytes: sizeOf(young) };
        right = after.next();
      } else {
        const change = compare(old, young);
        if (change !== undefined) {
          yield { path: young.path, change, bytes: sizeOf(young) - sizeOf(old) };
        }
        left = before.next();
        right = after.next();
      }
    }
  } finally {
    before.return?.();
    after.return?.();
  }
}

function compare(old: ManifestEntry, young: ManifestEntry): Change | undefined {
  if (old.type !== young.type) return "type";
  if (old.type === "file" && young.type === "file" && old.sha256 !== young.sha256) return "content";
  if (old.type === "symlink" && young.type === "symlink" && old.target !== young.target)
    return "target";
  const isSame =
    old.mode === young.mode &&
    old.uid === young.uid &&
    old.gid === young.gid &&
    (old.type !== "file" || old.mtimeNs === young.mtimeNs);
  return isSame ? undefined : "metadata";
}
