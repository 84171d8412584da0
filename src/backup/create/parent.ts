// The snapshot that this one builds on: chosen by what the source is and by being complete, never by a name; read
// beside the walk, entry by entry, as both are in the order of path bytes.

import {
  CitadelError,
  counted,
  joinPath,
  nameOf,
  parentOf,
  type AbsolutePath,
} from "../../core/index.ts";
import { statExact } from "../../system/native.ts";
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
  storedPath,
} from "../format/index.ts";
import { contentKey, contentText } from "../catalog/content-key.ts";
import { fromText } from "../format/byte-path.ts";
import { type KnownDamage, noKnownDamage } from "../catalog/known-damage.ts";
import { type FoundSnapshot, readRecord } from "../repository.ts";

export interface Parent extends Disposable {
  /** The way to it through its descriptor: what is linked from it is what was looked at. */
  readonly directory: AbsolutePath;
  readonly record: SnapshotRecord;
  /** What of it must not be shared. */
  readonly damaged: DamagedFiles;
}

/** Files of a parent that a verification found damaged, under whatever name. */
export interface DamagedFiles {
  readonly paths: ReadonlySet<BytePath>;
  /** What they should hold, as stored. */
  readonly bytes: number;
}

/** What a parent is chosen by. */
export interface WantedParent {
  readonly identity: string;
  readonly area: string;
  readonly knownDamage?: KnownDamage | undefined;
}

/**
 * The newest complete snapshot of the same source whose manifest is sound, and that nobody else could have made; none
 * of which it is not known how much of it is damaged.
 */
export function chooseParent(
  snapshots: readonly FoundSnapshot[],
  { identity, area, knownDamage = noKnownDamage }: WantedParent,
  warn: (text: string) => void,
): Parent | undefined {
  for (const { id, record, directory, state } of snapshots.toReversed()) {
    if (state !== "complete" || record?.source_identity !== identity) continue;
    if (record.area !== area) continue;
    if (knownDamage.unclear.has(id)) {
      warn(
        `snapshot ${id} was found damaged, and not in which of its files: not used as parent; \`citadel-agent backup repair ${id}\` mends it`,
      );
      continue;
    }
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
      const damaged = damagedFiles(pin.through, id, knownDamage);
      const { size } = damaged.paths;
      if (size > 0) {
        warn(
          `the parent ${id} was found damaged: ${counted(size, "file")} of it ${size === 1 ? "is" : "are"} not shared but read from the source again; \`citadel-agent backup repair ${id}\` mends it`,
        );
      }
      return {
        directory: pin.through,
        record: held,
        damaged,
        [Symbol.dispose]: () => pin[Symbol.dispose](),
      };
    }
    pin[Symbol.dispose]();
    warn(`snapshot ${id} is damaged (its manifest): not used as parent`);
  }
  return undefined;
}

/** Which files of a snapshot are known to be damaged: by their path, or as they share the inode of such a one. */
function damagedFiles(directory: AbsolutePath, id: string, known: KnownDamage): DamagedFiles {
  const byPath = known.paths.get(id);
  const paths = new Set<BytePath>();
  let bytes = 0;
  if (byPath === undefined && known.contents.size === 0) return { paths, bytes };
  const suspects = new Set(Array.from(known.contents, (text) => text.slice(text.indexOf(" "))));
  for (const entry of entriesOf(directory)) {
    if (entry.type !== "file") continue;
    const stored = entry.packed ?? entry;
    const place = storedPath(entry);
    const key = contentKey(0n, stored.sha256);
    const isDamaged =
      byPath?.has(place) === true ||
      (suspects.has(` ${key.content}`) &&
        isKnownDamaged(known, `${fromText(directory)}/${place}`, stored.sha256));
    if (!isDamaged) continue;
    paths.add(entry.path);
    if (entry.hardlink === undefined) bytes += stored.size;
  }
  return { paths, bytes };
}

/** Whether the file that lies there is one that was found damaged. @param path one character per byte */
export function isKnownDamaged(known: KnownDamage, path: string, sha256: string): boolean {
  if (known.contents.size === 0) return false;
  try {
    return known.contents.has(contentText(contentKey(statExact(path).ino, sha256)));
  } catch {
    return false; // it is not there: nobody can link it
  }
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
  return entriesOf(parent.directory);
}

function entriesOf(directory: AbsolutePath): Generator<ManifestEntry> {
  return parseManifest(readBlocks(joinPath(directory, manifestName)));
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
