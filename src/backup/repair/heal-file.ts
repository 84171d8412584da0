// Makes a damaged file anew beside itself and renames it over the old one: range by range from whoever has it right, or
// from the original content, packed or unpacked again. Only what has the manifest's SHA-256 in the end gets the name.

import { messageOf } from "../../core/index.ts";
import { temporaryName } from "../../system/index.ts";
import {
  type OpenedFile as WritableFile,
  closeFile,
  createForWriting,
  flushFile,
  makeDirectory,
  openDirectory,
  removeFile,
  renamePath,
  setAttributes,
  truncateFile,
  writeFullySync,
} from "../../system/raw-file.ts";
import { closeStored, readBlock, type OpenedFile } from "../../system/stored-files.ts";
import { compressFrame, frameBytes } from "../copy/codec.ts";
import type { BytePath } from "../format/byte-path.ts";
import { chunkSizeBytes, type FileEntry, storedPath } from "../format/manifest.ts";
import { dataWithin } from "../restore-content.ts";
import { xxh3Of } from "../xxh3/xxh3.ts";
import { type Donor, type Inode, inodeOf, openDonor, originalOf } from "./donors.ts";

/** Files held open at a time. */
const maxOpenDonors = 16;

export interface Healed {
  /** Who gave the bytes. */
  readonly from: string;
  readonly bytesWritten: number;
  /** The inode that lay there and has further names: they are damaged still. */
  readonly shared: Inode | undefined;
}

export interface HealContext {
  /** The way to the snapshot's directory, one character per byte. */
  readonly base: string;
  readonly donors: readonly Donor[];
  /** Of a chunk, aligned. */
  readonly buffer: Buffer;
  /** What the snapshot's files were packed with. */
  readonly level: number;
}

/** What has to lie there: the stored bytes. */
type Content = Pick<FileEntry, "size" | "sha256" | "xxh3">;

/** @throws Error saying what nobody has; the system's error of the target */
export async function healFile(entry: FileEntry, context: HealContext): Promise<Healed> {
  const path = `${context.base}/${storedPath(entry)}`;
  const parent = path.slice(0, path.lastIndexOf("/"));
  const former = inodeOf(path);
  makeParents(context.base, storedPath(entry));
  const temporary = `${parent}/${temporaryName()}`;
  const output = createForWriting(temporary, false);
  let isDone = false;
  try {
    const from = await fill(entry, context, output, former);
    setAttributes(output.fd, entry);
    await flushFile(output.fd);
    renamePath(temporary, path);
    await flushDirectory(parent);
    isDone = true;
    const shared = former !== undefined && former.linkCount > 1 ? former : undefined;
    return { from, bytesWritten: entry.packed?.size ?? entry.size, shared };
  } finally {
    closeFile(output.fd);
    if (!isDone) removeFile(temporary);
  }
}

async function flushDirectory(path: string): Promise<void> {
  const fd = openDirectory(path);
  await flushFile(fd).finally(() => closeFile(fd));
}

/** Makes the directories above a stored file. */
export function makeParents(base: string, path: BytePath): void {
  for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
    makeDirectory(`${base}/${path.slice(0, end)}`, 0o700);
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
  const path = `${context.base}/${storedPath(entry)}`;
  const gap = new Assembly(entry, content, context.buffer, output);
  const from = gap.run(path, alike, former);
  if (from !== undefined) return from;
  for (const donor of context.donors) {
    if (alike.includes(donor) && donor.packed === undefined) continue;
    if (await convert(entry, context, donor, output, former)) return donor.what;
  }
  throw new Error(gap.why);
}

/** Puts the stored bytes together chunk by chunk. */
class Assembly {
  readonly #used = new Set<string>();
  why = "what was put together is not the original";

  constructor(
    private readonly entry: FileEntry,
    private readonly content: Content,
    private readonly buffer: Buffer,
    private readonly output: WritableFile,
  ) {}

  /** @returns who gave the bytes; undefined where some are missing: `why` */
  run(own: string, donors: readonly Donor[], former: Inode | undefined): string | undefined {
    const { size } = this.content;
    const files: { file: OpenedFile; what: string | undefined }[] = [];
    try {
      const itself = openDonor({ path: own }, size, undefined);
      if (itself !== undefined) files.push({ file: itself, what: undefined });
      for (const donor of donors) {
        if (files.length === maxOpenDonors) break;
        const file = openDonor(donor, size, former);
        if (file !== undefined) files.push({ file, what: donor.what });
      }
      return this.#assemble(files);
    } finally {
      for (const { file } of files) closeStored(file);
    }
  }

  #assemble(
    files: readonly { readonly file: OpenedFile; readonly what: string | undefined }[],
  ): string | undefined {
    const { xxh3, size, sha256 } = this.content;
    const hasher = new Bun.CryptoHasher("sha256");
    for (const [index, hash] of xxh3.entries()) {
      const start = index * chunkSizeBytes;
      const length = Math.min(chunkSizeBytes, size - start);
      const giver = files.find(({ file }) => this.#isChunk(file, start, length, hash));
      if (giver === undefined) {
        this.why = `nobody has bytes ${start}-${start + length}`;
        return undefined;
      }
      if (giver.what !== undefined) this.#used.add(giver.what);
      const bytes = this.buffer.subarray(0, length);
      hasher.update(bytes);
      writeData(this.output, this.entry, bytes, start);
    }
    truncateFile(this.output.fd, size);
    if (hasher.digest("hex") !== sha256) return undefined;
    return [...this.#used].join(", ") || "itself";
  }

  /** Reads a chunk into the buffer. @returns whether it is the right one */
  #isChunk(file: OpenedFile, start: number, length: number, hash: string): boolean {
    try {
      if (readBlock(file, this.buffer, start, length, "donor") !== length) return false;
    } catch {
      return false; // a bad sector here too
    }
    return xxh3Of(this.buffer.subarray(0, length)) === hash;
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
      writeData(output, entry, piece, at);
      at += piece.length;
    }
  } catch (thrown) {
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
