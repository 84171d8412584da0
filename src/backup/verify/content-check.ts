// Compares the bytes of stored files with what the manifest says: xxh3 of every 16 MiB, SHA-256 of the whole where
// asked. Runs in workers (verify.worker.ts) and holds two buffers of 1 MiB, however big the file.

import { CitadelError } from "../../core/index.ts";
import { FileWindow } from "../../system/file-window.ts";
import {
  allocateAligned,
  closeStored,
  openStored,
  readBlock,
  readBlockAsync,
  type OpenedFile,
  type ReadMode,
} from "../../system/stored-files.ts";
import { throwIfStopped } from "../../system/worker-pool.ts";
import { type BytePath, absolutePlace, displayPath } from "../format/byte-path.ts";
import { chunkSizeBytes, type PackMethod } from "../format/manifest.ts";
import { CheckedBytes } from "./progress.ts";
import { openXxh3, xxh3Of } from "../xxh3/xxh3.ts";

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
  /** Counts what is done, for progress (verify/progress.ts). */
  readonly passed: SharedArrayBuffer;
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

/** Reading from the device goes in pieces that make it run at its speed, with the next one under way. */
const pieceBytes = 1024 * 1024;

/** What a worker holds. */
class CheckMemory {
  /** A piece, and the next. */
  readonly pieces = [allocateAligned(pieceBytes), allocateAligned(pieceBytes)] as const;
  readonly chunk = openXxh3();
  #window: FileWindow | null | undefined;

  /** Made when it is needed. */
  get window(): FileWindow | undefined {
    if (this.#window === undefined) this.#window = FileWindow.open(chunkSizeBytes) ?? null;
    return this.#window ?? undefined;
  }
}

let memory: CheckMemory | undefined;

/** Checks every file of the job. Never throws for what a disk can do: that is a failure of the file. */
export async function checkContent(job: CheckJob): Promise<CheckResult> {
  memory ??= new CheckMemory();
  const progress = new CheckedBytes(job.passed);
  let bytesRead = 0;
  const failures: ContentFailure[] = [];
  for (const [index, file] of job.files.entries()) {
    throwIfStopped();
    progress.begin(file);
    try {
      const found = isSmall(file)
        ? checkSmall(job, file, memory.pieces[0])
        : await checkFile(job, file, memory, progress);
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
    progress.end();
  }
  progress.flush();
  return { bytesRead, failures };
}

interface FileOutcome {
  readonly bytesRead: number;
  readonly reason?: "content" | "size" | "type" | "unreadable" | undefined;
  readonly ranges: readonly ByteRange[];
}

async function checkFile(
  job: CheckJob,
  file: CheckFile,
  held: CheckMemory,
  progress: CheckedBytes,
): Promise<FileOutcome> {
  const place = absolutePlace(job.directory, file.path);
  const opened = openStored(place, job.mode);
  if (opened === undefined) return otherType;
  try {
    if (opened.sizeBytes !== file.size) return otherSize(opened, file);
    const pass = new Pass(opened, file, held, progress);
    const outcome = job.mode === "cache" ? pass.readCached(place) : await pass.readAhead();
    if (outcome.reason !== undefined || file.original === undefined) return outcome;
    const shown = displayPath(file.path);
    const sound = await isOriginal(opened, file.original, held.pieces[0], shown, progress);
    return sound ? outcome : { ...outcome, reason: "content", ranges: [[0, file.size]] };
  } finally {
    closeStored(opened);
  }
}

const otherType: FileOutcome = { bytesRead: 0, reason: "type", ranges: [] };

function otherSize({ sizeBytes }: OpenedFile, { size }: CheckFile): FileOutcome {
  const range: ByteRange = [Math.min(sizeBytes, size), Math.max(sizeBytes, size)];
  return { bytesRead: 0, reason: "size", ranges: [range] };
}

/** Most files are: read at one go, and as little as can be is made for them. */
const isSmall = ({ size, original }: CheckFile) => size <= pieceBytes && original === undefined;

function checkSmall(job: CheckJob, file: CheckFile, buffer: Buffer): FileOutcome {
  const opened = openStored(absolutePlace(job.directory, file.path), job.mode);
  if (opened === undefined) return otherType;
  try {
    const { size, sha256 } = file;
    if (opened.sizeBytes !== size) return otherSize(opened, file);
    const got = readBlock(opened, buffer, 0, size, displayPath(file.path));
    const content = buffer.subarray(0, got);
    const isRight =
      got === size &&
      (size === 0 || xxh3Of(content) === file.xxh3[0]) &&
      (sha256 === undefined || Bun.SHA256.hash(content, "hex") === sha256);
    return isRight
      ? { bytesRead: got, ranges: [] }
      : { bytesRead: got, reason: "content", ranges: [[0, size]] };
  } finally {
    closeStored(opened);
  }
}

/** One pass over the chunks asked for: xxh3 of each, and SHA-256 of the whole where that is given. */
class Pass {
  readonly #opened: OpenedFile;
  readonly #file: CheckFile;
  readonly #held: CheckMemory;
  readonly #progress: CheckedBytes;
  readonly #shown: string;
  readonly #damage: Damage;
  readonly #hasher: Bun.CryptoHasher | undefined;
  /** Where the bytes asked for begin and end. */
  readonly #start: number;
  readonly #end: number;
  #bytesRead = 0;
  /** Whether the chunk at hand came whole so far. */
  #isWhole = true;

  constructor(opened: OpenedFile, file: CheckFile, held: CheckMemory, progress: CheckedBytes) {
    held.chunk.forget(); // of a file that was given up
    this.#opened = opened;
    this.#file = file;
    this.#held = held;
    this.#progress = progress;
    this.#shown = displayPath(file.path);
    this.#damage = new Damage(file.size);
    this.#hasher = file.sha256 === undefined ? undefined : new Bun.CryptoHasher("sha256");
    this.#start = file.firstChunk * chunkSizeBytes;
    this.#end = Math.min(this.#start + file.xxh3.length * chunkSizeBytes, file.size);
  }

  /** In the page cache, chunk by chunk, without copying it out where that can be had. */
  readCached(place: Buffer | string): FileOutcome {
    const { window } = this.#held;
    const { fd } = this.#opened;
    const isHeld = window?.hold(fd, place) === true;
    try {
      for (let offset = this.#start; offset < this.#end; offset += chunkSizeBytes) {
        const length = Math.min(chunkSizeBytes, this.#end - offset);
        const shown = isHeld ? window.show(fd, offset, length) : undefined;
        if (shown === undefined) this.#readChunk(offset, offset + length);
        else {
          this.#hasher?.update(shown);
          this.#endPiece(offset, length, length, xxh3Of(shown));
        }
      }
    } finally {
      if (isHeld) window.release(fd);
    }
    return this.#outcome();
  }

  /** Through the page cache, the thread waiting for each piece: its bytes are hashed while they are in reach. */
  #readChunk(start: number, end: number): void {
    const { chunk } = this.#held;
    for (let offset = start; offset < end;) {
      const { room } = chunk;
      const length = Math.min(room.length, end - offset);
      let got = 0;
      try {
        got = readBlock(this.#opened, room, offset, length, this.#shown);
      } catch (thrown) {
        this.#damage.addUnreadable(offset, thrown);
      }
      this.#hasher?.update(room.subarray(0, got));
      chunk.put(got);
      this.#endPiece(offset, length, got);
      offset += length;
    }
  }

  /** From the device: the next piece is read while the last one is hashed. */
  async readAhead(): Promise<FileOutcome> {
    let [buffer, next] = this.#held.pieces;
    let pending = this.#read(this.#start, buffer);
    try {
      for (let offset = this.#start; offset < this.#end; offset += pieceBytes) {
        const got = await pending;
        pending = this.#read(offset + pieceBytes, next);
        this.#hasher?.update(buffer.subarray(0, got));
        this.#held.chunk.update(buffer.subarray(0, got));
        this.#endPiece(offset, Math.min(pieceBytes, this.#end - offset), got);
        [buffer, next] = [next, buffer];
      }
    } finally {
      await pending; // descriptor and buffer are in use until then
    }
    return this.#outcome();
  }

  async #read(offset: number, buffer: Buffer): Promise<number> {
    const length = Math.min(pieceBytes, this.#end - offset);
    if (length <= 0) return 0;
    try {
      return await readBlockAsync(this.#opened, buffer, 0, offset, length, this.#shown);
    } catch (thrown) {
      this.#damage.addUnreadable(offset, thrown);
      return 0;
    }
  }

  /** The end of a chunk brings the verdict on it. @param hash of the whole chunk, where it was not put together here */
  #endPiece(offset: number, length: number, got: number, hash?: string): void {
    throwIfStopped();
    this.#bytesRead += got;
    this.#progress.add(length);
    this.#isWhole &&= got === length;
    const end = offset + length;
    if (end % chunkSizeBytes !== 0 && end !== this.#end) return;
    const expected = this.#file.xxh3[Math.floor(offset / chunkSizeBytes) - this.#file.firstChunk];
    const found = hash ?? this.#held.chunk.digest();
    if (!this.#isWhole || found !== expected) this.#damage.add(offset, "content");
    this.#isWhole = true;
  }

  #outcome(): FileOutcome {
    if (this.#damage.isNone && this.#hasher?.digest("hex") !== this.#file.sha256) {
      this.#damage.addAll();
    }
    return { bytesRead: this.#bytesRead, ...this.#damage.outcome() };
  }
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
  progress: CheckedBytes,
): Promise<boolean> {
  const { unpack } = await import("../copy/unpack.ts"); // node:zlib and node:stream: half of what a worker's start would cost
  const hasher = new Bun.CryptoHasher("sha256");
  let size = 0;
  const stored = storedBlocks(opened, block, shown);
  for await (const piece of unpack(stored, original.method, original.size)) {
    throwIfStopped();
    size += piece.length;
    hasher.update(piece);
    progress.add(piece.length);
  }
  return size === original.size && hasher.digest("hex") === original.sha256;
}

function* storedBlocks(opened: OpenedFile, block: Buffer, shown: string): Generator<Buffer> {
  for (let offset = 0; offset < opened.sizeBytes; offset += pieceBytes) {
    const length = Math.min(pieceBytes, opened.sizeBytes - offset);
    const got = readBlock(opened, block, offset, length, shown);
    yield Buffer.from(block.subarray(0, got)); // the stream keeps it for a while: not the shared buffer
    if (got < length) return;
  }
}
