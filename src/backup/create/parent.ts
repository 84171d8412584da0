// The snapshot that this one builds on: chosen by what the source is and by being complete, never by a name; read
// beside the walk, entry by entry, as both are in the order of path bytes.

import { CitadelError, joinPath, nameOf, parentOf, type AbsolutePath } from "../../core/index.ts";
import { pinOwn } from "../../system/pinned-directory.ts";
import { readBlocks } from "../../system/stored-files.ts";
import {
  type BytePath,
  type ManifestEntry,
  manifestName,
  parseManifest,
  type SnapshotRecord,
} from "../format/index.ts";
import { type FoundSnapshot, readRecord } from "../repository.ts";

export interface Parent extends Disposable {
  /** The way to it through its descriptor: what is linked from it is what was looked at. */
  readonly directory: AbsolutePath;
  readonly record: SnapshotRecord;
}

/** The newest complete snapshot of the same source whose manifest is sound, and that nobody else could have made. */
export function chooseParent(
  snapshots: readonly FoundSnapshot[],
  identity: string,
  area: string,
  warn: (text: string) => void,
): Parent | undefined {
  for (const { id, record, directory, state } of snapshots.toReversed()) {
    if (state !== "complete" || record?.source_identity !== identity) continue;
    if (record.area !== area) continue;
    const pin = pinOwn(parentOf(directory), nameOf(directory));
    if (pin === undefined) {
      warn(`snapshot ${id} belongs to somebody else, or is open to others: not used as parent`);
      continue;
    }
    const held = recordOf(pin.through);
    if (
      held?.id === id &&
      held.source_identity === identity &&
      hashOf(joinPath(pin.through, manifestName)) === held.manifest_sha256
    ) {
      return {
        directory: pin.through,
        record: held,
        [Symbol.dispose]: () => pin[Symbol.dispose](),
      };
    }
    pin[Symbol.dispose]();
    warn(`snapshot ${id} is damaged (its manifest): not used as parent`);
  }
  return undefined;
}

function recordOf(directory: string): SnapshotRecord | undefined {
  try {
    return readRecord(directory);
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    return undefined; // swapped or damaged since it was listed
  }
}

function hashOf(path: string): string | undefined {
  const hasher = new Bun.CryptoHasher("sha256");
  try {
    for (const block of readBlocks(path)) hasher.update(block as Buffer<ArrayBuffer>);
  } catch {
    return undefined; // missing or unreadable: as good as damaged
  }
  return hasher.digest("hex");
}

/** All entries of a parent, in order. */
export function parentEntries(parent: Parent): Generator<ManifestEntry> {
  return parseManifest(readBlocks(joinPath(parent.directory, manifestName)));
}

/** Looks up paths that are asked for in ascending order. */
export class ParentCursor {
  readonly #entries: Generator<ManifestEntry> | undefined;
  #current: ManifestEntry | undefined;

  constructor(parent: Parent | undefined) {
    this.#entries = parent === undefined ? undefined : parentEntries(parent);
    this.#advance();
  }

  #advance(): void {
    const next = this.#entries?.next();
    this.#current = next === undefined || next.done === true ? undefined : next.value;
  }

  /** The parent's entry of this path. @param path not below any path asked for before */
  at(path: BytePath): ManifestEntry | undefined {
    while (this.#current !== undefined && this.#current.path < path) this.#advance();
    return this.#current?.path === path ? this.#current : undefined;
  }

  close(): void {
    this.#entries?.return(undefined);
  }
}
