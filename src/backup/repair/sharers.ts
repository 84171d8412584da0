// Names that share a damaged inode with a file that was healed: in other snapshots they are damaged with it, and one new
// file heals them all, as one old file had harmed them.

import { CitadelError, messageOf, nameOf, parentOf } from "../../core/index.ts";
import { temporaryName } from "../../system/index.ts";
import { syncFileSystem } from "../../system/native.ts";
import { pinOwn } from "../../system/pinned-directory.ts";
import {
  closeFile,
  hardLink,
  openDirectory,
  removeFile,
  renamePath,
} from "../../system/raw-file.ts";
import { type BytePath, fromText } from "../format/byte-path.ts";
import { type FileEntry, storedPath } from "../format/manifest.ts";
import type { FoundSnapshot } from "../repository.ts";
import { readManifest } from "../snapshot-reader.ts";
import { type Inode, inodeOf } from "./donors.ts";

/** A name in another snapshot that shared what was damaged. */
export interface Sharer {
  readonly snapshot: string;
  readonly path: BytePath;
  /** Why it could not be given the healed file: it is damaged as before. */
  readonly failure: string | undefined;
}

const keyOf = ({ dev, ino }: Inode) => `${dev}:${ino}`;

/** Damaged inodes that have further names, and what took their place. */
export class Replacements {
  /** Where the new file lies, and the SHA-256 of its original. */
  readonly #byInode = new Map<string, { readonly path: string; readonly sha256: string }>();

  get isEmpty(): boolean {
    return this.#byInode.size === 0;
  }

  add(damaged: Inode, path: string, sha256: string): void {
    this.#byInode.set(keyOf(damaged), { path, sha256 });
  }

  /**
   * Gives `path` the healed file where it is still a name of a damaged one.
   * @returns whether it was @throws the system's error: it is as it was
   */
  mend(path: string, sha256: string): boolean {
    const inode = inodeOf(path);
    const found = inode === undefined ? undefined : this.#byInode.get(keyOf(inode));
    if (found === undefined || found.sha256 !== sha256) return false;
    const temporary = `${path.slice(0, path.lastIndexOf("/") + 1)}${temporaryName()}`;
    try {
      hardLink(found.path, temporary);
      renamePath(temporary, path);
    } catch (thrown) {
      removeFile(temporary);
      throw thrown;
    }
    return true;
  }

  has(sha256: string): boolean {
    for (const each of this.#byInode.values()) if (each.sha256 === sha256) return true;
    return false;
  }
}

/** Heals the further names in other snapshots. Snapshots that are not ours to write, or damaged, are left. */
export function mendSharers(
  replacements: Replacements,
  others: readonly FoundSnapshot[],
): Sharer[] {
  const sharers: Sharer[] = [];
  if (replacements.isEmpty) return sharers;
  for (const other of others) {
    using pin = pinOwn(parentOf(other.directory), nameOf(other.directory));
    if (pin === undefined) continue;
    const base = fromText(pin.through);
    const before = sharers.length;
    try {
      for (const entry of readManifest(pin.through)) {
        if (entry.type !== "file" || !replacements.has(entry.sha256)) continue;
        const sharer = mendOne(replacements, base, other.id, entry);
        if (sharer !== undefined) sharers.push(sharer);
      }
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown; // a damaged manifest: repairing that one says so
    }
    if (sharers.length > before) flush(base);
  }
  return sharers;
}

function mendOne(
  replacements: Replacements,
  base: string,
  snapshot: string,
  entry: FileEntry,
): Sharer | undefined {
  const path = storedPath(entry);
  try {
    if (!replacements.mend(`${base}/${path}`, entry.sha256)) return undefined;
    return { snapshot, path, failure: undefined };
  } catch (thrown) {
    return { snapshot, path, failure: messageOf(thrown) };
  }
}

function flush(directory: string): void {
  const fd = openDirectory(directory);
  try {
    syncFileSystem(fd);
  } finally {
    closeFile(fd);
  }
}
