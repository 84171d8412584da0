// Writes one file of a snapshot: read past the page cache, hashed on the way, written in blocks while the next one
// is read. What does not match the manifest is removed again and reported.

import { CitadelError, messageOf } from "../../core/index.ts";
import { fromErrno, isErrno } from "../../system/errno.ts";
import {
  setAttributes,
  truncateFile,
  writeFullyAt,
  writeFullySync,
  type FileAttributes,
  type OpenedFile as WritableFile,
} from "../../system/raw-file.ts";
import {
  allocateAligned,
  closeStored,
  openStored,
  readBlock,
  readBlockAsync,
  type OpenedFile,
} from "../../system/stored-files.ts";
import { absoluteBytes } from "../format/byte-path.ts";
import { type FileEntry, storedPath } from "../format/manifest.ts";
import { unpack } from "../copy/unpack.ts";

const blockBytes = 4 * 1024 * 1024;
const ringBlocks = 4;

/** From here on a file is written past the page cache. */
export const directFromBytes = 1024 * 1024;

/** The buffers of one thread. */
export class RestoreMemory {
  readonly blocks: readonly Buffer[];
  /** Hears of the bytes that pass, holes included: they take their time too. What it throws ends the file. */
  onBytes: (count: number) => void = () => {};

  /** @param blocks of 4 MiB; one will do for files of no more than that */
  constructor(blocks = ringBlocks) {
    this.blocks = Array.from({ length: blocks }, () => allocateAligned(blockBytes));
  }
}

/** Why a file could not be restored: a finding, not an exception. */
export class NotRestored extends Error {}

/**
 * Copies the content of `entry` into a new file, checks it and gives the file its attributes.
 * @param shown what the file is called in messages: its place in the end
 * @throws NotRestored when the snapshot's side is wrong; CitadelError for the target's side
 */
export async function fillFile(
  snapshotDirectory: string,
  entry: FileEntry,
  output: WritableFile,
  attributes: FileAttributes,
  memory: RestoreMemory,
  shown: string,
): Promise<void> {
  const source = openSource(snapshotDirectory, entry);
  try {
    const hasher = new Bun.CryptoHasher("sha256");
    if (entry.packed !== undefined) await unpackInto(source, entry, output, hasher, memory, shown);
    else if (entry.size <= blockBytes) copySmall(source, entry, output, hasher, memory, shown);
    else await copyLarge(source, entry, output, hasher, memory, shown);
    if (hasher.digest("hex") !== entry.sha256) {
      throw new NotRestored("its content does not match the manifest");
    }
    onTarget(shown, () => {
      truncateFile(output.fd, entry.size);
      setAttributes(output.fd, attributes);
    });
  } finally {
    closeStored(source);
  }
}

function openSource(directory: string, entry: FileEntry): OpenedFile {
  const path = absoluteBytes(directory, storedPath(entry));
  let source: OpenedFile | undefined;
  try {
    source = openStored(path, "device");
  } catch (thrown) {
    throw new NotRestored(messageOf(thrown), { cause: thrown });
  }
  if (source === undefined) throw new NotRestored("the snapshot holds no regular file there");
  const expected = entry.packed?.size ?? entry.size;
  if (source.sizeBytes === expected) return source;
  closeStored(source);
  throw new NotRestored(`its size in the snapshot is ${source.sizeBytes}, not ${expected}`);
}

/** Makes a call on the target's side. @throws kinds of fromErrno */
export function onTarget<T>(shown: string, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw fromErrno(thrown, "write", shown);
  }
}

function fromSource<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    if (thrown instanceof CitadelError) throw new NotRestored(thrown.message, { cause: thrown });
    throw thrown;
  }
}

type Hasher = InstanceType<typeof Bun.CryptoHasher>;

/** Parts of `[start, end)` that are data, by the holes of the manifest. */
export function dataWithin(
  entry: Pick<FileEntry, "holes">,
  start: number,
  end: number,
): [number, number][] {
  const parts: [number, number][] = [];
  let at = start;
  for (const [from, to] of entry.holes ?? []) {
    if (to <= at) continue;
    if (from >= end) break;
    if (from > at) parts.push([at, from]);
    at = to;
  }
  if (at < end) parts.push([at, end]);
  return parts;
}

/** O_DIRECT takes whole blocks; what is too much is cut off at the end. */
function writable({ direct }: WritableFile, from: number, to: number): [number, number] {
  if (!direct) return [from, to];
  return [Math.floor(from / 4096) * 4096, Math.ceil(to / 4096) * 4096];
}

function copySmall(
  source: OpenedFile,
  entry: FileEntry,
  output: WritableFile,
  hasher: Hasher,
  memory: RestoreMemory,
  shown: string,
): void {
  const block = memory.blocks[0] as Buffer;
  const got = fromSource(() => readBlock(source, block, 0, entry.size, shown));
  if (got !== entry.size) throw new NotRestored("the snapshot's file is shorter than it should be");
  hasher.update(block.subarray(0, got));
  memory.onBytes(got);
  for (const [from, to] of dataWithin(entry, 0, got)) {
    const [start, end] = writable(output, from, to);
    onTarget(shown, () => writeFullySync(output.fd, block.subarray(start, end), start));
  }
}

/** Reads block k+1 while block k is hashed and written. */
async function copyLarge(
  source: OpenedFile,
  entry: FileEntry,
  output: WritableFile,
  hasher: Hasher,
  memory: RestoreMemory,
  shown: string,
): Promise<void> {
  const writes: Promise<void>[] = Array.from({ length: ringBlocks }, () => Promise.resolve());
  const count = Math.ceil(entry.size / blockBytes);
  const lengthOf = (index: number) => Math.min(blockBytes, entry.size - index * blockBytes);
  const read = async (index: number): Promise<number> => {
    if (index >= count) return 0;
    const slot = index % ringBlocks;
    await writes[slot];
    const block = memory.blocks[slot] as Buffer;
    return readBlockAsync(source, block, 0, index * blockBytes, lengthOf(index), shown);
  };
  // what fails while something else is awaited is heard when its own turn comes
  const later = <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => {});
    return promise;
  };
  let pending = later(read(0));
  try {
    for (let index = 0; index < count; index += 1) {
      const got = await pending.catch((thrown: unknown) => fromSource(() => raise(thrown)));
      if (got !== lengthOf(index)) throw new NotRestored("the snapshot's file ends too early");
      pending = later(read(index + 1));
      const block = memory.blocks[index % ringBlocks] as Buffer;
      hasher.update(block.subarray(0, got));
      const written = write(output, entry, block, index * blockBytes, got);
      writes[index % ringBlocks] = later(written);
      memory.onBytes(got);
    }
    await Promise.all(writes);
  } catch (thrown) {
    await Promise.allSettled([pending, ...writes]); // the buffers and descriptors are in use until then
    throw isErrno(thrown) ? fromErrno(thrown, "write", shown) : thrown; // the wish to stop stays what it is
  }
}

function raise(thrown: unknown): never {
  throw thrown;
}

async function write(
  output: WritableFile,
  entry: FileEntry,
  block: Buffer,
  offset: number,
  length: number,
): Promise<void> {
  for (const [from, to] of dataWithin(entry, offset, offset + length)) {
    const [start, end] = writable(output, from, to);
    await writeFullyAt(output.fd, block.subarray(start - offset, end - offset), start);
  }
}

async function unpackInto(
  source: OpenedFile,
  entry: FileEntry,
  output: WritableFile,
  hasher: Hasher,
  memory: RestoreMemory,
  shown: string,
): Promise<void> {
  const { packed } = entry;
  if (packed === undefined) return;
  const block = memory.blocks[0] as Buffer;
  const stored = function* () {
    for (let at = 0; at < packed.size; at += blockBytes) {
      const length = Math.min(blockBytes, packed.size - at);
      const got = fromSource(() => readBlock(source, block, at, length, shown));
      yield Buffer.from(block.subarray(0, got));
    }
  };
  let at = 0;
  try {
    for await (const piece of unpack(stored(), packed.method, entry.size)) {
      hasher.update(piece);
      for (const [from, to] of dataWithin(entry, at, at + piece.length)) {
        const part = piece.subarray(from - at, to - at);
        onTarget(shown, () => writeFullySync(output.fd, part, from));
      }
      memory.onBytes(piece.length);
      at += piece.length;
    }
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.code.startsWith("PACKED_")) {
      throw new NotRestored(thrown.message, { cause: thrown });
    }
    throw thrown;
  }
}

/** SHA-256 of an open file; undefined if it ends early. @throws kinds of fromErrno */
export function hashOpened(
  file: OpenedFile,
  memory: RestoreMemory,
  shown: string,
): string | undefined {
  const hasher = new Bun.CryptoHasher("sha256");
  const block = memory.blocks[0] as Buffer;
  for (let at = 0; at < file.sizeBytes; at += blockBytes) {
    const length = Math.min(blockBytes, file.sizeBytes - at);
    const got = readBlock(file, block, at, length, shown);
    if (got !== length) return undefined;
    hasher.update(block.subarray(0, got));
    memory.onBytes(got);
  }
  return hasher.digest("hex");
}
