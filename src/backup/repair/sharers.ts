// Names that share a damaged inode with a file that was healed: in other snapshots they are damaged with it, and one new
// file heals them all, as one old file had harmed them.

import { CitadelError, messageOf, nameOf, parentOf } from "../../core/index.ts";
import { syncFileSystem } from "../../system/native.ts";
import { pinOwn } from "../../system/pinned-directory.ts";
import type { BytePath } from "../format/byte-path.ts";
import { type FileEntry, storedPath } from "../format/manifest.ts";
import type { FoundSnapshot } from "../repository.ts";
import { readManifest } from "../snapshot-reader.ts";
import { type Inode, SnapshotTree } from "./snapshot-tree.ts";

/** A name in another snapshot that shared what was damaged. */
export interface Sharer {
  readonly snapshot: string;
  readonly path: BytePath;
  /** Why it could not be given the healed file: it is damaged as before. */
  readonly failure: string | undefined;
}

const keyOf = ({ dev, ino }: Inode) => `${dev}:${ino}`;

interface Replacement {
  readonly sha256: string;
  /** Where the new file lies in the snapshot that is repaired. */
  readonly path: BytePath;
  /** How many names of the damaged inode there still are. */
  namesLeft: number;
}

/** Damaged inodes that have further names, and what took their place. */
export class Replacements {
  readonly #byInode = new Map<string, Replacement>();

  /** @param tree of the snapshot that is repaired */
  constructor(private readonly tree: SnapshotTree) {}

  get isEmpty(): boolean {
    return this.#byInode.size === 0;
  }

  /** Names of damaged inodes that nobody has mended: somewhere else in the repository. */
  get namesLeft(): number {
    let count = 0;
    for (const each of this.#byInode.values()) count += each.namesLeft;
    return count;
  }

  add(damaged: Inode & { readonly namesLeft: number }, path: BytePath, sha256: string): void {
    this.#byInode.set(keyOf(damaged), { path, sha256, namesLeft: damaged.namesLeft });
  }

  /**
   * Gives `path` the healed file where it is still a name of a damaged one.
   * @returns whether it was @throws the system's error: it is as it was
   */
  mend(tree: SnapshotTree, path: BytePath, sha256: string): boolean {
    const inode = tree.inodeOf(path);
    const found = inode === undefined ? undefined : this.#byInode.get(keyOf(inode));
    if (found === undefined || found.sha256 !== sha256) return false;
    tree.linkFrom(this.tree.at(found.path), path);
    found.namesLeft -= 1;
    return true;
  }

  has(sha256: string): boolean {
    for (const each of this.#byInode.values()) if (each.sha256 === sha256) return true;
    return false;
  }
}

/** Keeps others from removing a snapshot. @returns undefined where locks cannot be kept @throws kind `locked` */
export type HoldSnapshot = (id: string) => Promise<Disposable | undefined>;

/**
 * Heals the further names in other snapshots. Those that are not ours to write, damaged, or being removed at the moment
 * are left.
 * @param hold of each while it is written to
 */
export async function mendSharers(
  replacements: Replacements,
  others: readonly FoundSnapshot[],
  hold: HoldSnapshot,
): Promise<Sharer[]> {
  const sharers: Sharer[] = [];
  if (replacements.isEmpty) return sharers;
  for (const other of others) {
    let lock: Disposable | undefined;
    try {
      lock = await hold(other.id);
    } catch (thrown) {
      if (!(thrown instanceof CitadelError) || thrown.kind !== "locked") throw thrown;
      continue; // it is being removed, and its names with it
    }
    using _held = lock;
    using pin = pinOwn(parentOf(other.directory), nameOf(other.directory));
    if (pin === undefined) continue;
    using tree = new SnapshotTree(pin);
    const before = sharers.length;
    try {
      for (const entry of readManifest(pin.through)) {
        if (entry.type !== "file" || !replacements.has(entry.sha256)) continue;
        const sharer = mendOne(replacements, tree, other.id, entry);
        if (sharer !== undefined) sharers.push(sharer);
      }
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown; // a damaged manifest: the names left tell
    }
    if (sharers.length === before) continue;
    tree.dropLeftovers();
    syncFileSystem(tree.fd);
  }
  return sharers;
}

function mendOne(
  replacements: Replacements,
  tree: SnapshotTree,
  snapshot: string,
  entry: FileEntry,
): Sharer | undefined {
  const path = storedPath(entry);
  try {
    if (!replacements.mend(tree, path, entry.sha256)) return undefined;
    return { snapshot, path, failure: undefined };
  } catch (thrown) {
    return { snapshot, path, failure: messageOf(thrown) };
  }
}
