// Reading the files of a snapshot: names as bytes, past the page cache where the file system lets us (O_DIRECT),
// in blocks of the caller's buffer. Links are never followed, and nothing but a regular file is ever read.

import * as fs from "node:fs";
import { CitadelError } from "../core/index.ts";
import { fromErrno, isErrno, withErrno } from "./errno.ts";
import { pastDirect, pastDirectSync } from "./raw-file.ts";
import { dropCachedPages } from "./native-files.ts";

/** `device`: O_DIRECT, else cached pages dropped first. `cache`: as any program reads. */
export type ReadMode = "device" | "cache";

export interface OpenedFile {
  readonly fd: number;
  readonly sizeBytes: number;
  /** O_DIRECT is in force: offsets and lengths must be multiples of 4 KiB but for the file's end. */
  readonly direct: boolean;
}

/** O_DIRECT wants memory aligned to a page: what node gives for an ArrayBuffer of 4 KiB and more is. */
export function allocateAligned(sizeBytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(sizeBytes));
}

const baseFlags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

/**
 * Opens a regular file. @param path bytes, or text
 * @returns undefined if there is something else of that name @throws kinds of fromErrno
 */
export function openStored(path: Buffer | string, mode: ReadMode): OpenedFile | undefined {
  let fd = -1;
  let operation = "open"; // no closures here and in readBlock: there are millions of small files
  try {
    let direct = mode === "device";
    try {
      fd = fs.openSync(path, direct ? baseFlags | fs.constants.O_DIRECT : baseFlags);
    } catch (thrown) {
      if (!direct || !isErrno(thrown, "EINVAL")) throw thrown;
      direct = false; // a file system without direct I/O
      fd = fs.openSync(path, baseFlags);
    }
    operation = "fstat";
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) {
      fs.closeSync(fd);
      return undefined;
    }
    if (mode === "device" && !direct) dropCachedPages(fd, 0, 0);
    return { fd, sizeBytes: stat.size, direct };
  } catch (thrown) {
    if (fd !== -1) fs.closeSync(fd);
    throw fromErrno(thrown, operation, path.toString());
  }
}

/**
 * Reads up to `length` bytes at `offset` into the start of `buffer`.
 * @param buffer from `allocateAligned`, at least `length` rounded up to 4 KiB
 * @returns how many bytes came: fewer only at the end of the file
 * @throws kinds of fromErrno
 */
export function readBlock(
  file: OpenedFile,
  buffer: Buffer,
  offset: number,
  length: number,
  shown: string,
): number {
  let got = 0;
  while (got < length) {
    let count: number;
    try {
      count = file.direct
        ? readDirect(file.fd, buffer, got, roundUp(length - got), offset + got)
        : fs.readSync(file.fd, buffer, got, length - got, offset + got);
    } catch (thrown) {
      throw fromErrno(thrown, "read", shown);
    }
    got += count;
    // a short direct read that is no multiple of the block is the end of the file
    if (count === 0 || (file.direct && count % blockBytes !== 0)) break;
  }
  return Math.min(got, length);
}

function readDirect(fd: number, buffer: Buffer, at: number, want: number, offset: number): number {
  return pastDirectSync(fd, () => fs.readSync(fd, buffer, at, want, offset));
}

const blockBytes = 4096;
const roundUp = (length: number) => Math.ceil(length / blockBytes) * blockBytes;

export function closeStored(file: OpenedFile): void {
  fs.closeSync(file.fd);
}

/** The blocks of a file in order, through the cache; each block is valid until the next is asked for. */
export function* readBlocks(path: Buffer | string, sizeBytes = 1 << 20): Generator<Buffer> {
  const shown = path.toString();
  const fd = withErrno("open", shown, () => fs.openSync(path, baseFlags));
  try {
    const buffer = Buffer.allocUnsafe(sizeBytes);
    for (;;) {
      const count = withErrno("read", shown, () => fs.readSync(fd, buffer, 0, sizeBytes, null));
      if (count === 0) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * The bytes of a small file in somebody else's tree: never through a link, never waiting for a FIFO, never more than
 * `limitBytes`. @returns undefined where nothing is
 * @throws kinds of fromErrno; kind `integrity`, code `NOT_A_PLAIN_FILE`: something else of that name, or too large
 */
export function readSmallStored(path: string, limitBytes: number): Buffer | undefined {
  let fd: number;
  try {
    fd = fs.openSync(path, baseFlags);
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT", "ENOTDIR")) return undefined;
    if (isErrno(thrown, "ELOOP", "ENXIO")) throw notPlain(path, limitBytes);
    throw fromErrno(thrown, "open", path);
  }
  try {
    const stat = withErrno("fstat", path, () => fs.fstatSync(fd));
    if (!stat.isFile() || stat.size > limitBytes) throw notPlain(path, limitBytes);
    const buffer = Buffer.allocUnsafe(stat.size);
    let filled = 0;
    while (filled < buffer.length) {
      const at = filled;
      const count = withErrno("read", path, () =>
        fs.readSync(fd, buffer, at, buffer.length - at, at),
      );
      if (count === 0) break;
      filled += count;
    }
    return buffer.subarray(0, filled);
  } finally {
    fs.closeSync(fd);
  }
}

function notPlain(path: string, limitBytes: number): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "NOT_A_PLAIN_FILE",
    message: `${path} is not a regular file of at most ${limitBytes} bytes`,
    path,
    hint: `look at what it is: ls -li ${path}`,
  });
}

export interface StoredStat {
  readonly type: "file" | "directory" | "symlink" | "fifo" | "socket" | "block" | "character";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly birthtimeMs: number;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly linkCount: number;
  /** Disk blocks of 512 bytes in use. */
  readonly blocks: number;
}

/** lstat(2) of a path in bytes, exact; undefined where nothing is. @throws kinds of fromErrno */
export function lstatStored(path: Buffer | string): StoredStat | undefined {
  try {
    const stat = fs.lstatSync(path, { bigint: true });
    return {
      type: typeOf(stat),
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: Number(stat.size),
      mtimeNs: stat.mtimeNs,
      birthtimeMs: Number(stat.birthtimeMs),
      ino: stat.ino,
      dev: stat.dev,
      linkCount: Number(stat.nlink),
      blocks: Number(stat.blocks),
    };
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT", "ENOTDIR")) return undefined;
    return withErrno("lstat", path.toString(), () => {
      throw thrown;
    });
  }
}

function typeOf(stat: fs.BigIntStats): StoredStat["type"] {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isBlockDevice() ? "block" : "character";
}

/** readlink(2) in bytes, one character each. @throws kinds of fromErrno */
export function readlinkStored(path: Buffer): string {
  return withErrno("readlink", path.toString("utf8"), () =>
    fs.readlinkSync(path, { encoding: "buffer" }).toString("latin1"),
  );
}

/** Like readBlock, without blocking the thread; into `buffer` from `at` on. */
export async function readBlockAsync(
  file: OpenedFile,
  buffer: Buffer,
  at: number,
  offset: number,
  length: number,
  shown: string,
): Promise<number> {
  let got = 0;
  while (got < length) {
    const want = file.direct ? roundUp(length - got) : length - got;
    const start = got;
    const read = () =>
      new Promise<number>((resolve, reject) => {
        fs.read(file.fd, buffer, at + start, want, offset + start, (error, bytes) =>
          error === null ? resolve(bytes) : reject(error),
        );
      });
    const count = await pastDirect(file.fd, read).catch((thrown: unknown) => {
      throw fromErrno(thrown, "read", shown);
    });
    got += count;
    if (count === 0 || (file.direct && count % blockBytes !== 0)) break;
  }
  return Math.min(got, length);
}
