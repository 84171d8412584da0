// Finds stored content that a file shares: in the parent snapshot (moved and duplicated files), and in what this run
// has stored so far. Loaded at the first question: an unchanged source never asks one.

import { CitadelError } from "../../core/index.ts";
import type { ScratchIndex, StoredContent } from "../../system/scratch-index.ts";
import {
  type BytePath,
  type FileEntry,
  type PackedContent,
  chunkSizeBytes,
  storedPath,
} from "../format/index.ts";
import { sharedAttributes } from "./entry.ts";
import { type Parent, parentEntries } from "./parent.ts";
import { toLatin1 } from "./partial.ts";

export interface Shareable {
  readonly stored: string;
  readonly storedBytes: number;
  readonly sha256: string;
  readonly xxh3: readonly string[];
  readonly packed: PackedContent | undefined;
}

interface Details {
  readonly xxh3: readonly string[];
  readonly packed?: PackedContent | undefined;
}

/** Files with more chunks than this are not compared chunk by chunk first: 4096 chunks are 64 GiB. */
const maxCandidateChunks = 4096;

export class ContentIndex {
  readonly #scratch: ScratchIndex;
  readonly #directory: string;
  #parent: Parent | undefined;

  constructor(scratch: ScratchIndex, directory: string, parent: Parent | undefined) {
    this.#scratch = scratch;
    this.#directory = toLatin1(directory);
    this.#parent = parent;
  }

  /** Notes a file of this snapshot. */
  add(entry: FileEntry): void {
    this.#add(entry, this.#directory);
  }

  #add(entry: FileEntry, directory: string): void {
    const details: Details = {
      xxh3: entry.xxh3.slice(0, maxCandidateChunks),
      packed: entry.packed,
    };
    this.#scratch.addContent({
      sha256: entry.sha256,
      sizeBytes: entry.size,
      attributes: sharedAttributes(entry),
      path: entry.path,
      stored: `${directory}/${storedPath(entry)}`,
      mtimeNs: entry.mtimeNs,
      details: JSON.stringify(details),
    });
  }

  #load(): void {
    const parent = this.#parent;
    if (parent === undefined) return;
    this.#parent = undefined;
    const directory = toLatin1(parent.directory);
    try {
      for (const entry of parentEntries(parent)) {
        if (entry.type !== "file" || entry.hardlink !== undefined) continue;
        if (!parent.damaged.paths.has(entry.path)) this.#add(entry, directory);
      }
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown; // what it says further on is not to be relied on
    }
  }

  /** Stored content equal to a file that was just copied, with attributes that may be shared; the newest first. */
  findEqual(entry: FileEntry, allowPacked: boolean): Shareable[] {
    if (entry.size === 0) return []; // an inode of nothing saves nothing
    this.#load();
    const attributes = sharedAttributes(entry);
    const own = `${this.#directory}/${storedPath(entry)}`;
    return this.#scratch
      .findBySha256(entry.sha256)
      .filter(
        (found) =>
          found.sizeBytes === entry.size && found.attributes === attributes && found.stored !== own,
      )
      .map(shareable)
      .filter(({ packed }) => packed === undefined || allowPacked);
  }

  /**
   * A stored file that a large file about to be read may equal: of its size and attributes; with its time rather than
   * without, and never the same path with another time, which is one that was changed in place.
   */
  guess(
    path: BytePath,
    sizeBytes: number,
    attributes: string,
    mtimeNs: bigint,
    allowPacked: boolean,
  ): Shareable | undefined {
    this.#load();
    let best: StoredContent | undefined;
    for (const found of this.#scratch.findBySize(sizeBytes)) {
      if (!found.attributes.startsWith(attributes)) continue;
      if (found.path === path && found.mtimeNs !== mtimeNs) continue;
      if (best === undefined || (best.mtimeNs !== mtimeNs && found.mtimeNs === mtimeNs))
        best = found;
    }
    if (best === undefined || sizeBytes > maxCandidateChunks * chunkSizeBytes) return undefined;
    const result = shareable(best);
    if (result.packed !== undefined && !allowPacked) return undefined;
    return result;
  }
}

function shareable(found: StoredContent): Shareable {
  const { xxh3, packed } = JSON.parse(found.details) as Details;
  return {
    stored: found.stored,
    storedBytes: packed?.size ?? found.sizeBytes,
    sha256: found.sha256,
    xxh3,
    packed,
  };
}
