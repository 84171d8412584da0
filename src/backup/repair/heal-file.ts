// Makes a damaged file anew beside itself and renames it over the old one: range by range from whoever has it right, or
// from the original content, packed or unpacked again. Only what has the manifest's SHA-256 in the end gets the name.

import { messageOf } from "../../core/index.ts";
import {
  type OpenedFile as WritableFile,
  closeFile,
  createForWriting,
  flushFile,
  removeFile,
  setAttributes,
  truncateFile,
  writeFullySync,
} from "../../system/raw-file.ts";
import { closeStored, readBlockAsync, type OpenedFile } from "../../system/stored-files.ts";
import { compressFrame, frameBytes } from "../copy/codec.ts";
import { chunkSizeBytes, type FileEntry, storedPath } from "../format/manifest.ts";
import { dataWithin } from "../restore/content.ts";
import { xxh3Of } from "../xxh3/xxh3.ts";
import { type Donor, isSameInode, openDonor, originalOf } from "./donors.ts";
import { type Inode, type SnapshotTree, inodeOf } from "./snapshot-tree.ts";

/** Files held open at a time. */
const maxOpenDonors = 16;

export interface Healed {
  /** Who gave the bytes. */
  readonly from: string;
  readonly bytesWritten: number;
  /** The inode that lay there, where it has further names: they are damaged still. */
  readonly shared: (Inode & { readonly namesLeft: number }) | undefined;
}

export interface HealContext {
  readonly tree: SnapshotTree;
  readonly donors: readonly Donor[];
  /** Of a chunk, aligned. */
  readonly buffer: Buffer;
  /** What the snapshot's files were packed with. */
  readonly level: number;
  /** Hears how many of the file's stored bytes are there: fewer than before where another way is tried. */
  readonly onProgress: (doneBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What has to lie there: the stored bytes. */
type Content = Pick<FileEntry, "size" | "sha256" | "xxh3">;

/** @throws Error saying what nobody has; the system's error of the target; the reason of the signal */
export async function healFile(entry: FileEntry, context: HealContext): Promise<Healed> {
  const { tree } = context;
  const path = storedPath(entry);
  tree.makeParents(path);
  const former = tree.inodeOf(path);
  const temporary = tree.temporary();
  const output = createForWriting(temporary, false);
  let isDone = false;
  try {
    const from = await fill(entry, context, output, former);
    setAttributes(output.fd, entry);
    await flushFile(output.fd);
    tree.move(temporary, path);
    await tree.flushParent(path);
    isDone = true;
    const namesLeft = (former?.linkCount ?? 1) - 1;
    const shared = former === undefined || namesLeft === 0 ? undefined : { ...former, namesLeft };
    return { from, bytesWritten: entry.packed?.size ?? entry.size, shared };
  } finally {
    closeFile(output.fd);
    if (!isDone) removeFile(temporary);
  }
}

async function fill(
  entry: FileEntry,
  context: HealContext,
  output: WritableFile,
  former: Inode | undefined,
): Promise<string> {
  const content: Content = entry.packed ?? entry;
  // stored bytes as they should be: the damaged file itself, and files that are stored the same way
  const alike = context.donors.filter(
    ({ packed }) => (packed === undefined ? undefined : packed.sha256) === entry.packed?.sha256,
  );
  const assembly = new Assembly(entry, content, context, output);
  const from = await assembly.run(context.tree.at(storedPath(entry)), alike, former);
  if (from !== undefined) return from;
  for (const donor of context.donors) {
    // its ranges were tried, unless somebody's range had the right XXH3 and was wrong all the same
    if (alike.includes(donor) && donor.packed === undefined && !assembly.wasMisled) continue;
    if (await convert(entry, context, donor, output, former)) return donor.what;
  }
  throw new Error(assembly.why);
}

interface OpenDonor {
  readonly file: OpenedFile;
  /** Undefined: the damaged file itself. */
  readonly what: string | undefined;
  readonly path: string;
}

type IsRight = (donor: OpenDonor) => Promise<boolean>;

/** Puts the stored bytes together chunk by chunk. */
class Assembly {
  readonly #used = new Set<string>();
  readonly #open: OpenDonor[] = [];
  why = "what was put together is not the original";
  /** Every range had the right XXH3, and the whole not the right SHA-256. */
  wasMisled = false;

  constructor(
    private readonly entry: FileEntry,
    private readonly content: Content,
    private readonly context: HealContext,
    private readonly output: WritableFile,
  ) {}

  /** @returns who gave the bytes; undefined where some are missing: `why` */
  async run(
    own: string,
    donors: readonly Donor[],
    former: Inode | undefined,
  ): Promise<string | undefined> {
    const itself = openDonor({ path: own }, this.content.size, undefined);
    if (itself !== undefined) this.#open.push({ file: itself, what: undefined, path: own });
    try {
      return await this.#assemble(distinct(donors, former));
    } finally {
      for (const { file } of this.#open) closeStored(file);
    }
  }

  async #assemble(donors: readonly Donor[]): Promise<string | undefined> {
    const { xxh3, size, sha256 } = this.content;
    const hasher = new Bun.CryptoHasher("sha256");
    for (const [index, hash] of xxh3.entries()) {
      const start = index * chunkSizeBytes;
      const length = Math.min(chunkSizeBytes, size - start);
      const isRight = ({ file }: OpenDonor) => this.#isChunk(file, start, length, hash);
      const giver = (await this.#findOpen(isRight)) ?? (await this.#findFurther(donors, isRight));
      this.context.signal?.throwIfAborted();
      if (giver === undefined) {
        this.why = `nobody has bytes ${start}-${start + length}`;
        return undefined;
      }
      if (giver.what !== undefined) this.#used.add(giver.what);
      const bytes = this.context.buffer.subarray(0, length);
      hasher.update(bytes);
      writeData(this.output, this.entry, bytes, start);
      this.context.onProgress(start + length);
    }
    truncateFile(this.output.fd, size);
    this.wasMisled = hasher.digest("hex") !== sha256;
    return this.wasMisled ? undefined : [...this.#used].join(", ") || "itself";
  }

  async #findOpen(isRight: IsRight): Promise<OpenDonor | undefined> {
    for (const donor of this.#open) if (await isRight(donor)) return donor;
    return undefined;
  }

  /** Opens donors that are not open until one is right: only such stay open, up to a number. */
  async #findFurther(donors: readonly Donor[], isRight: IsRight): Promise<OpenDonor | undefined> {
    for (const donor of donors) {
      if (this.#open.some(({ path }) => path === donor.path)) continue;
      const file = openDonor(donor, this.content.size, undefined);
      if (file === undefined) continue;
      const opened = { file, what: donor.what, path: donor.path };
      if (!(await isRight(opened))) {
        closeStored(file);
        continue;
      }
      if (this.#open.length >= maxOpenDonors) {
        const [oldest] = this.#open.splice(1, 1); // the first is the damaged file itself
        if (oldest !== undefined) closeStored(oldest.file);
      }
      this.#open.push(opened);
      return opened;
    }
    return undefined;
  }

  /** Reads a chunk into the buffer. @returns whether it is the right one */
  async #isChunk(file: OpenedFile, start: number, length: number, hash: string): Promise<boolean> {
    const { buffer } = this.context;
    try {
      const got = await readBlockAsync(file, buffer, 0, start, length, "donor");
      if (got !== length) return false;
    } catch {
      return false; // a bad sector here too
    }
    return xxh3Of(buffer.subarray(0, length)) === hash;
  }
}

/** Writes stored bytes, but for the holes of a plain file. */
function writeData(output: WritableFile, entry: FileEntry, bytes: Uint8Array, at: number): void {
  const holes = entry.packed === undefined ? entry : {};
  for (const [from, to] of dataWithin(holes, at, at + bytes.length)) {
    try {
      writeFullySync(output.fd, bytes.subarray(from - at, to - at), from);
    } catch (thrown) {
      throw new NotWritten(messageOf(thrown), { cause: thrown });
    }
  }
}

/** The repository's disk failed, not a donor; `cause` says how. */
export class NotWritten extends Error {}

/** Packs or unpacks what a donor holds. @returns whether the stored bytes came out as they should be */
async function convert(
  entry: FileEntry,
  context: HealContext,
  donor: Donor,
  output: WritableFile,
  former: Inode | undefined,
): Promise<boolean> {
  const { size, sha256 }: Content = entry.packed ?? entry;
  const hasher = new Bun.CryptoHasher("sha256");
  let at = 0;
  truncateFile(output.fd, 0);
  const original = originalOf(donor, entry, former, frameBytes);
  const stored = entry.packed === undefined ? original : packed(original, entry, context.level);
  try {
    for await (const piece of stored) {
      if (at + piece.length > size) return false;
      hasher.update(piece as Uint8Array<ArrayBuffer>);
      context.signal?.throwIfAborted();
      writeData(output, entry, piece, at);
      at += piece.length;
      context.onProgress(at);
    }
  } catch (thrown) {
    context.signal?.throwIfAborted();
    if (thrown instanceof NotWritten) throw thrown;
    return false; // the donor is damaged too
  }
  truncateFile(output.fd, at);
  return at === size && hasher.digest("hex") === sha256;
}

/** The frames that `create` makes of the same content (copy/pack.ts): the same bytes from the same codec. */
async function* packed(
  original: AsyncIterable<Buffer>,
  entry: FileEntry,
  level: number,
): AsyncGenerator<Uint8Array> {
  if (entry.packed === undefined) return;
  const { method } = entry.packed;
  const frame = Buffer.allocUnsafe(frameBytes);
  let fill = 0;
  for await (const piece of original) {
    for (let at = 0; at < piece.length;) {
      const count = piece.copy(frame, fill, at);
      fill += count;
      at += count;
      if (fill < frameBytes) continue;
      yield compressFrame(frame, method, level);
      fill = 0;
    }
  }
  if (fill > 0) yield compressFrame(frame.subarray(0, fill), method, level);
}

/** One donor of each inode, without the damaged one. */
function distinct(donors: readonly Donor[], damaged: Inode | undefined): Donor[] {
  const seen = new Set<string>();
  return donors.filter(({ path }) => {
    const inode = inodeOf(path);
    if (inode === undefined || isSameInode(inode, damaged)) return false;
    const key = `${inode.dev}:${inode.ino}`;
    return !seen.has(key) && seen.add(key).size > 0;
  });
}
