// Compares the bytes of stored files with what the manifest says: xxh3 of every 16 MiB, SHA-256 of the whole where
// asked. Runs in workers (verify.worker.ts) and holds one buffer of 20 MiB, however big the file.

import { CitadelError } from "../core/index.ts";
import {
  allocateAligned,
  closeStored,
  openStored,
  readBlock,
  readBlockAsync,
  type OpenedFile,
  type ReadMode,
} from "../system/stored-files.ts";
import { type BytePath, absoluteBytes, displayPath } from "./format/byte-path.ts";
import { chunkSizeBytes, type PackMethod } from "./format/manifest.ts";
import { unpack } from "./unpack.ts";

/** One file, or some chunks of it. */
export interface CheckFile {
  /** Below the snapshot: `data/…` or `packed/….zst`. */
  readonly path: BytePath;
  /** Of the stored bytes, as are `sha256` and `xxh3`. */
  readonly size: number;
  /** Checked where given; left out for a part of a file. */
  readonly sha256?: string | undefined;
  /** Hashes from chunk `firstChunk` on. */
  readonly xxh3: readonly string[];
  readonly firstChunk: number;
  /** The original content of a packed file. */
  readonly original?:
    { readonly method: PackMethod; readonly size: number; readonly sha256: string } | undefined;
}

export interface CheckJob {
  /** Directory of the snapshot. */
  readonly directory: string;
  readonly mode: ReadMode;
  readonly files: readonly CheckFile[];
}

/** `[start, end)` in bytes of the stored file. */
export type ByteRange = readonly [number, number];

export interface ContentFailure {
  /** Position in the job's `files`. */
  readonly index: number;
  readonly reason: "content" | "size" | "missing" | "type" | "unreadable";
  readonly ranges: readonly ByteRange[];
  /** The system's error name, for `unreadable`. */
  readonly errno?: string | undefined;
}

export interface CheckResult {
  readonly bytesRead: number;
  readonly failures: readonly ContentFailure[];
}

const readAheadBytes = 4 * 1024 * 1024;

/** A worker's one buffer: a chunk, and the first block of the next. */
let buffer: Buffer | undefined;

/** Checks every file of the job. Never throws for what a disk can do: that is a failure of the file. */
export async function checkContent(job: CheckJob): Promise<CheckResult> {
  buffer ??= allocateAligned(chunkSizeBytes + readAheadBytes);
  let bytesRead = 0;
  const failures: ContentFailure[] = [];
  for (const [index, file] of job.files.entries()) {
    try {
      const found = await checkFile(job, file, buffer);
      bytesRead += found.bytesRead;
      if (found.reason !== undefined) {
        failures.push({ index, reason: found.reason, ranges: found.ranges });
      }
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown;
      const reason = thrown.code === "NOT_FOUND" ? "missing" : "unreadable";
      const ranges: ByteRange[] = reason === "missing" || file.size === 0 ? [] : [[0, file.size]];
      failures.push({ index, reason, ranges, errno: thrown.errno });
    }
  }
  return { bytesRead, failures };
}

interface FileOutcome {
  readonly bytesRead: number;
  readonly reason?: "content" | "size" | "type" | "unreadable" | undefined;
  readonly ranges: readonly ByteRange[];
}

async function checkFile(job: CheckJob, file: CheckFile, block: Buffer): Promise<FileOutcome> {
  const opened = openStored(absoluteBytes(job.directory, file.path), job.mode);
  if (opened === undefined) return { bytesRead: 0, reason: "type", ranges: [] };
  try {
    if (opened.sizeBytes !== file.size) {
      const [less, more] = [opened.sizeBytes, file.size].sort((a, b) => a - b) as [number, number];
      return { bytesRead: 0, reason: "size", ranges: [[less, more]] };
    }
    const outcome =
      file.sha256 !== undefined && file.size > chunkSizeBytes
        ? await checkWhole(opened, file, block)
        : checkChunks(opened, file, block);
    if (outcome.reason !== undefined || file.original === undefined) return outcome;
    const sound = await isOriginal(opened, file.original, block, displayPath(file.path));
    return sound ? outcome : { ...outcome, reason: "content", ranges: [[0, file.size]] };
  } finally {
    closeStored(opened);
  }
}

/** Chunk after chunk, the thread waiting for each: right for small files and for many workers on one big file. */
function checkChunks(opened: OpenedFile, file: CheckFile, block: Buffer): FileOutcome {
  const shown = displayPath(file.path);
  const damage = new Damage(file.size);
  let bytesRead = 0;
  for (const [at, expected] of file.xxh3.entries()) {
    const offset = (file.firstChunk + at) * chunkSizeBytes;
    const length = Math.min(chunkSizeBytes, file.size - offset);
    try {
      const got = readBlock(opened, block, offset, length, shown);
      bytesRead += got;
      if (got < length || chunkHash(block, length) !== expected) damage.add(offset, "content");
      else if (file.sha256 !== undefined) {
        const digest = new Bun.CryptoHasher("sha256").update(block.subarray(0, length));
        if (digest.digest("hex") !== file.sha256) damage.add(offset, "content");
      }
    } catch (thrown) {
      damage.addUnreadable(offset, thrown);
    }
  }
  return { bytesRead, ...damage.outcome() };
}

/**
 * SHA-256 of the whole and xxh3 of its chunks in one pass: the next 4 MiB are read while the last are hashed. The
 * first block of the following chunk waits behind the chunk at hand, which has to lie in one piece for xxh3.
 */
async function checkWhole(
  opened: OpenedFile,
  file: CheckFile,
  block: Buffer,
): Promise<FileOutcome> {
  const shown = displayPath(file.path);
  const damage = new Damage(file.size);
  const hasher = new Bun.CryptoHasher("sha256");
  let bytesRead = 0;
  const readAt = (offset: number, at: number) => {
    const length = Math.min(readAheadBytes, file.size - offset);
    if (length <= 0) return Promise.resolve(true);
    return readBlockAsync(opened, block, at, offset, length, shown).then(
      (got) => {
        bytesRead += got;
        return got === length;
      },
      (thrown: unknown) => {
        damage.addUnreadable(offset, thrown);
        return false;
      },
    );
  };
  let pending = readAt(0, 0);
  for (const [index, expected] of file.xxh3.entries()) {
    const start = index * chunkSizeBytes;
    const length = Math.min(chunkSizeBytes, file.size - start);
    let whole = true;
    for (let at = 0; at < length; at += readAheadBytes) {
      whole = (await pending) && whole;
      pending = readAt(start + at + readAheadBytes, at + readAheadBytes);
      hasher.update(block.subarray(at, Math.min(at + readAheadBytes, length)));
    }
    if (!whole || chunkHash(block, length) !== expected) damage.add(start, "content");
    await pending; // it lands behind this chunk and is the beginning of the next
    block.copyWithin(0, chunkSizeBytes, chunkSizeBytes + readAheadBytes);
  }
  if (hasher.digest("hex") !== file.sha256 && damage.isNone) damage.addAll();
  return { bytesRead, ...damage.outcome() };
}

function chunkHash(block: Buffer, length: number): string {
  return Bun.hash.xxHash3(block.subarray(0, length)).toString(16).padStart(16, "0");
}

/** Which chunks are wrong; neighbours become one range. */
class Damage {
  readonly #size: number;
  readonly #ranges: [number, number][] = [];
  #reason: "content" | "unreadable" | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  get isNone(): boolean {
    return this.#reason === undefined;
  }

  add(offset: number, reason: "content" | "unreadable"): void {
    const start = offset - (offset % chunkSizeBytes);
    const end = Math.min(start + chunkSizeBytes, this.#size);
    this.#reason ??= reason;
    const last = this.#ranges.at(-1);
    if (last === undefined || start > last[1]) this.#ranges.push([start, end]);
    else {
      last[0] = Math.min(last[0], start); // the read ahead may fail before the chunk at hand does
      last[1] = Math.max(last[1], end);
    }
  }

  addUnreadable(offset: number, thrown: unknown): void {
    if (!(thrown instanceof CitadelError)) throw thrown;
    this.add(offset, "unreadable");
  }

  addAll(): void {
    this.#reason ??= "content";
    this.#ranges.push([0, this.#size]);
  }

  outcome(): { reason?: "content" | "unreadable" | undefined; ranges: readonly ByteRange[] } {
    return { reason: this.#reason, ranges: this.#ranges };
  }
}

/** Whether the packed file unpacks to its original; its stored bytes were checked before. */
async function isOriginal(
  opened: OpenedFile,
  original: NonNullable<CheckFile["original"]>,
  block: Buffer,
  shown: string,
): Promise<boolean> {
  const hasher = new Bun.CryptoHasher("sha256");
  let size = 0;
  const stored = storedBlocks(opened, block, shown);
  for await (const piece of unpack(stored, original.method, original.size)) {
    size += piece.length;
    hasher.update(piece);
  }
  return size === original.size && hasher.digest("hex") === original.sha256;
}

function* storedBlocks(opened: OpenedFile, block: Buffer, shown: string): Generator<Buffer> {
  for (let offset = 0; offset < opened.sizeBytes; offset += readAheadBytes) {
    const length = Math.min(readAheadBytes, opened.sizeBytes - offset);
    const got = readBlock(opened, block, offset, length, shown);
    yield Buffer.from(block.subarray(0, got)); // the stream keeps it for a while: not the shared buffer
    if (got < length) return;
  }
}
