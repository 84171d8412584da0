// The snapshot that this one builds on: chosen by what the source is and by being complete, never by a name; read
// beside the walk, entry by entry, as both are in the order of path bytes.

import { CitadelError, joinPath, nameOf, parentOf, type AbsolutePath } from "../../core/index.ts";
import { pinOwn } from "../../system/pinned-directory.ts";
import { readBlocks } from "../../system/stored-files.ts";
import {
  type BytePath,
  type ManifestEntry,
  manifestName,
  maxLineBytes,
  parseManifest,
  parseManifestLine,
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

/** The kernel stamps changes with a clock that may lag this far: a file so fresh may change again unseen. */
const clockGrainNs = 20_000_000n;

/** Files changed before this were read by the parent's run as they are; 0 without a parent. */
export function trustedBeforeNs(parent: Parent | undefined): bigint {
  if (parent === undefined) return 0n;
  return BigInt(Date.parse(parent.record.started)) * 1_000_000n - clockGrainNs;
}

/** All entries of a parent, in order. */
export function parentEntries(parent: Parent): Generator<ManifestEntry> {
  return parseManifest(readBlocks(joinPath(parent.directory, manifestName)));
}

/**
 * Looks up paths that are asked for in ascending order. Lines are text with one character per byte, parsed only where
 * somebody wants more of them than how they begin: the manifest's hash was checked when the parent was chosen.
 */
export class ParentCursor {
  readonly #blocks: Generator<Buffer> | undefined;
  /** Blocks read and not passed yet: whole lines, and the beginning of one. */
  #text = "";
  /** Where the current line starts, and the next one: before it, the current one is not known to be passed. */
  #at = 0;
  #next = 0;
  #line = 0;
  #parsed: ManifestEntry | undefined;
  /** The current line was given out: whoever asks next asks for one below it. */
  #isGiven = false;

  constructor(parent: Parent | undefined) {
    if (parent !== undefined) this.#blocks = readBlocks(joinPath(parent.directory, manifestName));
  }

  /** Finds the end of the current line. @returns whether there is one */
  #hasLine(): boolean {
    if (this.#next > this.#at) return true;
    let end = this.#text.indexOf("\n", this.#at);
    if (end === -1) {
      const pieces = [this.#text.slice(this.#at)];
      let length = pieces[0]?.length ?? 0;
      while (end === -1) {
        const block = this.#blocks?.next();
        if (block === undefined || block.done === true) return false;
        const piece = block.value.toString("latin1");
        const found = piece.indexOf("\n");
        if (found !== -1) end = length + found;
        pieces.push(piece);
        if ((length += piece.length) > maxLineBytes + piece.length) return false;
      }
      this.#text = pieces.join("");
      this.#at = 0;
    }
    this.#next = end + 1;
    this.#line += 1;
    return true;
  }

  #advance(): void {
    this.#at = this.#next;
    this.#parsed = undefined;
    this.#isGiven = false;
  }

  #current(): ManifestEntry | undefined {
    if (this.#parsed !== undefined || !this.#hasLine()) return this.#parsed;
    const line = this.#text.slice(this.#at, this.#next - 1);
    const text = Buffer.from(line, "latin1").toString("utf8");
    this.#parsed = parseManifestLine(text, this.#line);
    return this.#parsed;
  }

  /** The parent's entry of this path. @param path not below any path asked for before */
  at(path: BytePath): ManifestEntry | undefined {
    for (let entry = this.#current(); entry !== undefined; entry = this.#current()) {
      if (entry.path >= path) return entry.path === path ? entry : undefined;
      this.#advance();
    }
    return undefined;
  }

  /**
   * The parent's line of this path with its newline, if it begins like that.
   * @param path not below any path asked for before
   */
  lineStartingWith(path: BytePath, start: string): string | undefined {
    if (this.#isGiven) this.#advance();
    if (!this.#startsWith(start)) {
      this.at(path);
      if (!this.#startsWith(start)) return undefined;
    }
    this.#isGiven = true;
    return this.#text.slice(this.#at, this.#next);
  }

  #startsWith(start: string): boolean {
    return this.#hasLine() && this.#text.startsWith(start, this.#at);
  }

  close(): void {
    this.#blocks?.return(undefined);
  }
}
