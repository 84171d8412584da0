// Puts entries that are finished in any order into the manifest in the order of the walk, and with them the lines of
// the checksum lists and the counts. What waits is bounded: the walk stops while the first of it is long in coming.

import type { AbsolutePath } from "../../core/index.ts";
import { joinPath } from "../../core/index.ts";
import { SequentialWriter } from "../../system/raw-file.ts";
import {
  type BytePath,
  type ExtraAlgorithm,
  type FileEntry,
  type ManifestEntry,
  formatManifestLine,
  formatSumsLine,
  manifestName,
  packExtensions,
  packedSumsName,
  sumsName,
  sumsNameOf,
  storedBytesOf,
} from "../format/index.ts";
import { toLatin1 } from "./partial.ts";
import { maxRunFiles } from "./link-runs.ts";
import type { UnchangedFile } from "./unchanged.ts";

/** Entries that may wait for one before them. */
const maxWaiting = 32_768;

export interface Slot {
  readonly path: BytePath;
  state: "pending" | "done" | "skipped";
  entry: ManifestEntry | undefined;
  /** The first name of the same inode: this one becomes a link to it when its turn comes. */
  first?: Slot | undefined;
  /** What the parent has under this further name. */
  readonly former?: FileEntry | undefined;
  /** Why there is nothing to link to: only its first name went, or the file cannot be read by any. */
  lost?: { readonly isGone: boolean; readonly sizeBytes: number };
  /** The further name that is read in its place. */
  heir?: Slot;
  /** A further name that is stored for itself, as it could not be linked. */
  isSeparate?: boolean;
  /** Instead of an entry: files that follow one another, with the parent's own lines. */
  readonly run?: readonly UnchangedFile[];
}

export interface OutputCounts {
  entries: number;
  files: number;
  directories: number;
  symlinks: number;
  others: number;
  bytes: number;
  storedBytes: number;
  packedFiles: number;
}

export interface WrittenLists {
  readonly manifestSha256: string;
  readonly manifestBytes: number;
  /** By file name. */
  readonly sums: Readonly<Record<string, string>>;
}

const passed: Slot = { path: "" as BytePath, state: "done", entry: undefined };

type LinkLate = (slot: Slot, first: Slot) => void;

class HashedFile {
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #writer: SequentialWriter;

  constructor(path: AbsolutePath) {
    this.#writer = new SequentialWriter(toLatin1(path), false, (block) => {
      this.#hasher.update(block as Buffer<ArrayBuffer>);
    });
  }

  write(text: string): void {
    this.#writer.write(text);
  }

  close(): { sha256: string; sizeBytes: number } {
    this.#writer.close(false); // the flush of the whole file system follows before the commit
    return { sha256: this.#hasher.digest("hex"), sizeBytes: this.#writer.sizeBytes };
  }

  abandon(): void {
    this.#writer.abandon();
  }
}

export class OrderedOutput {
  readonly counts: OutputCounts = {
    entries: 0,
    files: 0,
    directories: 0,
    symlinks: 0,
    others: 0,
    bytes: 0,
    storedBytes: 0,
    packedFiles: 0,
  };
  readonly #directory: AbsolutePath;
  readonly #manifest: HashedFile;
  readonly #sums: HashedFile;
  readonly #lists = new Map<string, HashedFile>();
  readonly #algorithms: readonly ExtraAlgorithm[];
  readonly #linkLate: LinkLate;
  readonly #onWritten: (entry: ManifestEntry) => void;
  readonly #onUnchanged: (path: BytePath) => void;
  #waiting: Slot[] = [];
  #head = 0;
  /** How many of those that wait are runs. */
  #runs = 0;
  #isClosed = false;
  #last = "" as BytePath;

  /**
   * @param linkLate settles the further name of a hard-linked file whose first name is settled, or sees to it that
   *   somebody else does
   * @param onWritten sees each entry that is in the manifest, but those that `onUnchanged` sees
   */
  constructor(
    directory: AbsolutePath,
    algorithms: readonly ExtraAlgorithm[],
    linkLate: LinkLate,
    onWritten: (entry: ManifestEntry) => void,
    onUnchanged: (path: BytePath) => void,
  ) {
    this.#directory = directory;
    this.#algorithms = algorithms;
    this.#linkLate = linkLate;
    this.#onWritten = onWritten;
    this.#onUnchanged = onUnchanged;
    this.#manifest = new HashedFile(joinPath(directory, manifestName));
    this.#sums = this.#list(sumsName);
    for (const algorithm of algorithms) this.#list(sumsNameOf(algorithm));
  }

  get isFull(): boolean {
    return this.#waiting.length - this.#head + this.#runs * maxRunFiles >= maxWaiting;
  }

  /** Takes the next entry of the walk. */
  push(slot: Slot): void {
    this.#waiting.push(slot);
    if (slot.run !== undefined) this.#runs += 1;
    if (slot.state !== "pending" || slot.first !== undefined) this.settle();
  }

  /** Puts others in the place of an entry that waits. */
  replace(slot: Slot, others: readonly Slot[]): void {
    const at = this.#waiting.indexOf(slot, this.#head);
    if (at === -1) throw new TypeError("what is replaced must be waiting");
    this.#waiting.splice(at, 1, ...others);
    const runs = others.filter(({ run }) => run !== undefined).length;
    this.#runs += runs - (slot.run === undefined ? 0 : 1);
  }

  /** The order is what every reader relies on: better no snapshot than one that cannot be read. */
  #assertAscending(path: BytePath): void {
    if (path <= this.#last) throw new TypeError("entries must come in ascending order");
    this.#last = path;
  }

  #writeUnchanged({ path, line, sha256, size }: UnchangedFile): void {
    this.#assertAscending(path);
    const { counts } = this;
    this.#manifest.write(line);
    this.#sums.write(`${sha256}  ${path}\n`);
    counts.entries += 1;
    counts.files += 1;
    counts.bytes += size;
    counts.storedBytes += size;
    this.#onUnchanged(path);
  }

  /** Writes what is finished, up to the first entry that is not. */
  settle(): void {
    for (; this.#head < this.#waiting.length; this.#head += 1) {
      const slot = this.#waiting[this.#head];
      if (slot === undefined) break;
      if (slot.first !== undefined && slot.state === "pending") this.#settleLink(slot, slot.first);
      if (slot.state === "pending") break;
      if (slot.run !== undefined) this.#writeRun(slot.run);
      else if (slot.state === "done" && slot.entry !== undefined) {
        this.#write(slot.entry, slot.isSeparate === true);
      }
      this.#waiting[this.#head] = passed; // what it held may go, though its place stays for a while
    }
    if (this.#head === this.#waiting.length) this.#waiting = [];
    else if (this.#head >= 1024) this.#waiting = this.#waiting.slice(this.#head);
    else return;
    this.#head = 0;
  }

  #writeRun(run: readonly UnchangedFile[]): void {
    this.#runs -= 1;
    for (const file of run) this.#writeUnchanged(file);
  }

  #settleLink(slot: Slot, first: Slot): void {
    slot.first = undefined;
    this.#linkLate(slot, first);
  }

  #write(entry: ManifestEntry, isSeparate: boolean): void {
    this.#assertAscending(entry.path);
    this.#manifest.write(toLatin1(formatManifestLine(entry)));
    const { counts } = this;
    counts.entries += 1;
    if (entry.type === "file") this.#writeFile(entry, isSeparate);
    else if (entry.type === "directory") counts.directories += 1;
    else if (entry.type === "symlink") counts.symlinks += 1;
    else counts.others += 1;
    this.#onWritten(entry);
  }

  #writeFile(entry: FileEntry, isSeparate: boolean): void {
    const { counts } = this;
    counts.files += 1;
    const isStored = entry.hardlink === undefined || isSeparate;
    if (entry.hardlink === undefined) counts.bytes += entry.size;
    if (entry.packed !== undefined) {
      counts.packedFiles += 1;
      if (isStored) counts.storedBytes += entry.packed.size;
      const name = `${entry.path}${packExtensions[entry.packed.method]}` as BytePath;
      this.#list(packedSumsName).write(formatSumsLine(entry.packed.sha256, name));
      return;
    }
    if (isStored) counts.storedBytes += storedBytesOf(entry);
    this.#list(sumsName).write(formatSumsLine(entry.sha256, entry.path));
    for (const algorithm of this.#algorithms) {
      const digest = entry.digests?.[algorithm];
      if (digest !== undefined) {
        this.#list(sumsNameOf(algorithm)).write(formatSumsLine(digest, entry.path));
      }
    }
  }

  #list(name: string): HashedFile {
    let list = this.#lists.get(name);
    if (list === undefined) {
      list = new HashedFile(joinPath(this.#directory, name));
      this.#lists.set(name, list);
    }
    return list;
  }

  /** Ends the lists; they reach the disk with everything else. Only when nothing waits. */
  close(): WrittenLists {
    this.#isClosed = true;
    const manifest = this.#manifest.close();
    const sums: Record<string, string> = {};
    for (const [name, list] of this.#lists) sums[name] = list.close().sha256;
    return { manifestSha256: manifest.sha256, manifestBytes: manifest.sizeBytes, sums };
  }

  /** Lets go of the files after a failure. */
  abandon(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#manifest.abandon();
    for (const list of this.#lists.values()) list.abandon();
  }
}
