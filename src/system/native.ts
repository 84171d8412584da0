// The system calls that node:fs does not have, through bun:ffi: statx and getdents64 for fast walks over names that
// are bytes, data and holes, exact times, extended attributes, syncfs. Linux, glibc or musl, x64 or arm64.

import { constants } from "node:fs";
import { dlopen, FFIType, ptr, read, type Pointer } from "bun:ffi";
import { CitadelError } from "../core/index.ts";

const { i32, u32, i64_fast, ptr: pointer } = FFIType;

const signatures = {
  statx: { args: [i32, pointer, i32, u32, pointer], returns: i32 },
  linkat: { args: [i32, pointer, i32, pointer, i32], returns: i32 },
  unlinkat: { args: [i32, pointer, i32], returns: i32 },
  openat: { args: [i32, pointer, i32, i32], returns: i32 },
  readlinkat: { args: [i32, pointer, pointer, u32], returns: i64_fast },
  syscall: { args: [i64_fast, i64_fast, pointer, i64_fast], returns: i64_fast },
  lseek: { args: [i32, i64_fast, i32], returns: i64_fast },
  ioctl: { args: [i32, i64_fast, i64_fast], returns: i32 },
  posix_fadvise: { args: [i32, i64_fast, i64_fast, i32], returns: i32 },
  fcntl: { args: [i32, i32, i32], returns: i32 },
  syncfs: { args: [i32], returns: i32 },
  utimensat: { args: [i32, pointer, pointer, i32], returns: i32 },
  futimens: { args: [i32, pointer], returns: i32 },
  llistxattr: { args: [pointer, pointer, u32], returns: i64_fast },
  lgetxattr: { args: [pointer, pointer, pointer, u32], returns: i64_fast },
  setxattr: { args: [pointer, pointer, pointer, u32, i32], returns: i32 },
  lsetxattr: { args: [pointer, pointer, pointer, u32, i32], returns: i32 },
  flistxattr: { args: [i32, pointer, u32], returns: i64_fast },
  fgetxattr: { args: [i32, pointer, pointer, u32], returns: i64_fast },
  fsetxattr: { args: [i32, pointer, pointer, u32, i32], returns: i32 },
  __errno_location: { args: [], returns: pointer },
} as const;

function load() {
  const musl = process.arch === "arm64" ? "aarch64" : "x86_64";
  let failure: unknown;
  for (const name of ["libc.so.6", `libc.musl-${musl}.so.1`]) {
    try {
      return dlopen(name, signatures).symbols;
    } catch (thrown) {
      failure = thrown;
    }
  }
  throw new CitadelError({
    kind: "unsupported",
    code: "LIBC_MISSING",
    message: "cannot load the C library of this system",
    hint: "use the build for this system's C library: linux-x64 for glibc, linux-x64-musl for musl",
    cause: failure,
  });
}

const libc = load();

/** errno of the last call of this thread. */
function errno(): number {
  return read.i32(libc.__errno_location() as Pointer, 0);
}

// asm-generic/errno-base.h, errno.h: those that callers tell apart
const errnoNames: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  5: "EIO",
  12: "ENOMEM",
  13: "EACCES",
  20: "ENOTDIR",
  22: "EINVAL",
  24: "EMFILE",
  27: "EFBIG",
  28: "ENOSPC",
  30: "EROFS",
  34: "ERANGE",
  36: "ENAMETOOLONG",
  40: "ELOOP",
  61: "ENODATA",
  95: "ENOTSUP",
  107: "ENOTCONN",
  116: "ESTALE",
  122: "EDQUOT",
};

/** The error of the last call, in the form that node:fs gives its own, so that `fromErrno` understands it. */
function systemError(syscall: string): Error {
  const number = errno();
  const code = errnoNames[number] ?? `E${number}`;
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}

/** A zero-terminated copy of a path or name given as one character per byte. */
export function cString(latin1: string): Buffer {
  const buffer = Buffer.allocUnsafe(latin1.length + 1);
  buffer.write(latin1, "latin1");
  buffer[latin1.length] = 0;
  return buffer;
}

export const atCurrentDirectory = -100; // AT_FDCWD, fcntl.h
const atSymlinkNofollow = 0x100;
const atEmptyPath = 0x1000;
const statxMask = 0x7ff | 0x1000; // STATX_BASIC_STATS and STATX_MNT_ID
const attributeMountRoot = 0x2000; // STATX_ATTR_MOUNT_ROOT, linux/stat.h

/** What statx(2) tells; times in nanoseconds. Sizes below 2^53. */
export interface ExactStat {
  /** st_mode: type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly linkCount: number;
  readonly sizeBytes: number;
  /** Allocated, in bytes; less than the size where there are holes. */
  readonly storedBytes: number;
  readonly ino: bigint;
  /** `major:minor` as one number. */
  readonly dev: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** The root of a mount lies here (kernel 5.8; never set before). */
  readonly isMountRoot: boolean;
}

/** What a walk sees: the large numbers are made when they are asked for, as most never are. */
export interface WalkedStat extends ExactStat {
  /** The same as decimal text; undefined for times before 1970 or after 2106, and inodes from 2^53 on. */
  readonly timesText: TimesText | undefined;
}

export interface TimesText {
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly ctimeSeconds: number;
  readonly ino: string;
}

// With an ArrayBuffer of their own: the storage of a small typed array may move, and a kept pointer would not.
const statBuffer = Buffer.from(new ArrayBuffer(256));
const statPointer = ptr(statBuffer);
const emptyNameBuffer = Buffer.from(new ArrayBuffer(8));

function nsAt(offset: number): bigint {
  return (
    statBuffer.readBigInt64LE(offset) * 1_000_000_000n + BigInt(statBuffer.readUInt32LE(offset + 8))
  );
}

function takeStat(): ExactStat {
  return {
    mode: statBuffer.readUInt16LE(28),
    uid: statBuffer.readUInt32LE(20),
    gid: statBuffer.readUInt32LE(24),
    linkCount: statBuffer.readUInt32LE(16),
    sizeBytes: statBuffer.readUInt32LE(44) * 0x1_0000_0000 + statBuffer.readUInt32LE(40),
    storedBytes: (statBuffer.readUInt32LE(52) * 0x1_0000_0000 + statBuffer.readUInt32LE(48)) * 512,
    ino: statBuffer.readBigUInt64LE(32),
    dev: statBuffer.readUInt32LE(136) * 0x10_0000 + statBuffer.readUInt32LE(140),
    mtimeNs: nsAt(112),
    ctimeNs: nsAt(96),
    rdevMajor: statBuffer.readUInt32LE(128),
    rdevMinor: statBuffer.readUInt32LE(132),
    isMountRoot: (statBuffer.readUInt32LE(8) & attributeMountRoot) !== 0,
  };
}

const words = new Uint32Array(statBuffer.buffer);
const word = (offset: number) => words[offset / 4] ?? 0;
const nsText = (seconds: number, ns: number) =>
  seconds === 0 ? String(ns) : `${seconds}${String(1_000_000_000 + ns).slice(1)}`;
const nsOf = (low: number, high: number, ns: number) =>
  (BigInt(high | 0) * 0x1_0000_0000n + BigInt(low)) * 1_000_000_000n + BigInt(ns);

class LazyStat implements WalkedStat {
  readonly mode = word(28) & 0xffff;
  readonly uid = word(20);
  readonly gid = word(24);
  readonly linkCount = word(16);
  readonly sizeBytes = word(44) * 0x1_0000_0000 + word(40);
  readonly storedBytes = (word(52) * 0x1_0000_0000 + word(48)) * 512;
  readonly dev = word(136) * 0x10_0000 + word(140);
  readonly rdevMajor = word(128);
  readonly rdevMinor = word(132);
  readonly isMountRoot = (word(8) & attributeMountRoot) !== 0;
  readonly #inoLow = word(32);
  readonly #inoHigh = word(36);
  readonly #mtimeLow = word(112);
  readonly #mtimeHigh = word(116);
  readonly #mtimeRest = word(120);
  readonly #ctimeLow = word(96);
  readonly #ctimeHigh = word(100);
  readonly #ctimeRest = word(104);

  get ino(): bigint {
    return BigInt(this.#inoHigh) * 0x1_0000_0000n + BigInt(this.#inoLow);
  }
  get mtimeNs(): bigint {
    return nsOf(this.#mtimeLow, this.#mtimeHigh, this.#mtimeRest);
  }
  get ctimeNs(): bigint {
    return nsOf(this.#ctimeLow, this.#ctimeHigh, this.#ctimeRest);
  }
  get timesText(): TimesText | undefined {
    if (this.#mtimeHigh !== 0 || this.#ctimeHigh !== 0 || this.#inoHigh >= 0x20_0000)
      return undefined;
    return {
      mtimeNs: nsText(this.#mtimeLow, this.#mtimeRest),
      ctimeNs: nsText(this.#ctimeLow, this.#ctimeRest),
      ctimeSeconds: this.#ctimeLow,
      ino: String(this.#inoHigh * 0x1_0000_0000 + this.#inoLow),
    };
  }
}

/** As `statAt`, for walks: what few callers ask for is made when they do. Not to be sent to a worker. */
export function walkStatAt(dirFd: number, name: number): WalkedStat {
  if (libc.statx(dirFd, name as Pointer, atSymlinkNofollow, statxMask, statPointer) !== 0) {
    throw systemError("statx");
  }
  return new LazyStat();
}

/** As `statFd`, for walks. */
export function walkStatFd(fd: number): WalkedStat {
  if (libc.statx(fd, emptyNameBuffer, atEmptyPath, statxMask, statPointer) !== 0)
    throw systemError("statx");
  return new LazyStat();
}

/** Size of a regular file below an open directory; -1 where there is none. @param name a pointer, as for statAt */
export function sizeAt(dirFd: number, name: number): number {
  if (libc.statx(dirFd, name as Pointer, atSymlinkNofollow, statxMask, statPointer) !== 0)
    return -1;
  if ((word(28) & 0o170000) !== 0o100000) return -1;
  return word(44) * 0x1_0000_0000 + word(40);
}

/** link(2) of a name to the same name below another open directory. @returns whether it was made */
export function linkAt(fromFd: number, toFd: number, name: number): boolean {
  return libc.linkat(fromFd, name as Pointer, toFd, name as Pointer, 0) === 0;
}

/** unlink(2) of a name below an open directory; what is not there is fine. */
export function unlinkAt(dirFd: number, name: number): void {
  libc.unlinkat(dirFd, name as Pointer, 0);
}

/**
 * statx(2) of a name below an open directory, never following a link.
 * @param name pointer to a zero-terminated name (kept alive by the caller), or such a Buffer
 * @throws an error with `code`, as node:fs
 */
export function statAt(dirFd: number, name: number | Buffer): ExactStat {
  if (libc.statx(dirFd, name as Pointer, atSymlinkNofollow, statxMask, statPointer) !== 0) {
    throw systemError("statx");
  }
  return takeStat();
}

/** statx(2) of an absolute path (one character per byte), never following a link. */
export function statExact(path: string): ExactStat {
  return statAt(atCurrentDirectory, cString(path));
}

/** statx(2) of an open file. */
export function statFd(fd: number): ExactStat {
  if (libc.statx(fd, emptyNameBuffer, atEmptyPath, statxMask, statPointer) !== 0)
    throw systemError("statx");
  return takeStat();
}

const openDirectoryFlags = process.arch === "arm64" ? 0o40000 | 0o100000 : 0o200000 | 0o400000;
const closeOnExec = 0o2000000;

/** Opens a directory below an open one, refusing links (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC). */
export function openDirectoryAt(dirFd: number, name: number | Buffer): number {
  const fd = libc.openat(dirFd, name as Pointer, openDirectoryFlags | closeOnExec, 0);
  if (fd < 0) throw systemError("open");
  return fd;
}

const direntsNumber = process.arch === "arm64" ? 61 : 217;

/** getdents64(2) into `buffer`. @returns bytes filled, 0 at the end */
export function readDirents(fd: number, buffer: Buffer): number {
  const length = Number(libc.syscall(direntsNumber, fd, buffer, buffer.length));
  if (length < 0) throw systemError("getdents64");
  return length;
}

/** Begins reading a directory anew (rewinddir(3)). */
export function rewindDirectory(fd: number): void {
  if (Number(libc.lseek(fd, 0, 0)) < 0) throw systemError("lseek");
}

const linkBuffer = Buffer.from(new ArrayBuffer(4096));

/** readlinkat(2). @returns the target, one character per byte */
export function readLinkAt(dirFd: number, name: number | Buffer): string {
  const length = Number(libc.readlinkat(dirFd, name as Pointer, linkBuffer, linkBuffer.length));
  if (length < 0) throw systemError("readlink");
  return linkBuffer.toString("latin1", 0, length);
}

/** Pointer to the first byte of a buffer, for `statAt` and others with offsets into it. */
export function addressOf(buffer: Buffer): number {
  return ptr(buffer);
}

const seekData = 3;
const seekHole = 4;

/**
 * Ranges of a file that hold data (lseek(2), SEEK_DATA and SEEK_HOLE), ascending, at most `limit`: what is beyond is
 * one range to the end. A file system without holes gives one range.
 */
export function dataRanges(fd: number, sizeBytes: number, limit: number): [number, number][] {
  const ranges: [number, number][] = [];
  let at = 0;
  while (at < sizeBytes) {
    const start = Number(libc.lseek(fd, at, seekData));
    if (start < 0) {
      const code = errnoNames[errno()] ?? "E6";
      if (code !== "EINVAL") return ranges; // ENXIO: nothing but a hole is left
      return [[0, sizeBytes]];
    }
    if (start >= sizeBytes) return ranges;
    if (ranges.length >= limit - 1) return [...ranges, [start, sizeBytes]];
    const end = Number(libc.lseek(fd, start, seekHole));
    const stop = end < 0 ? sizeBytes : Math.min(end, sizeBytes);
    ranges.push([start, stop]);
    at = stop;
  }
  return ranges;
}

const ficlone = 0x40049409; // linux/fs.h

/** Shares the content of one file with another, where the file system can. @returns whether it did */
export function cloneFile(sourceFd: number, targetFd: number): boolean {
  return libc.ioctl(targetFd, ficlone, sourceFd) === 0;
}

/** Drops a file's pages from the page cache (POSIX_FADV_DONTNEED); advice: never fails. */
export function dropCache(fd: number): void {
  libc.posix_fadvise(fd, 0, 0, 4);
}

// asm-generic/fcntl.h
const [getFlags, setFlags] = [3, 4];

/**
 * Drops the pages that reading a file brought into the page cache: none where it was read with O_DIRECT to the end. What
 * others have in memory of it (a server that maps its weights) stays theirs.
 */
export function dropOwnCache(fd: number): void {
  if ((libc.fcntl(fd, getFlags, 0) & constants.O_DIRECT) === 0) dropCache(fd);
}

/**
 * Goes on through the page cache where a file system took O_DIRECT at open(2) and refuses it at the call (EINVAL: its
 * blocks are larger than ours, or it has none). The call is worth repeating once: of several under way at a time only the
 * first finds the flag still set. The file's clean pages are dropped.
 */
export function leaveDirect(fd: number): void {
  const flags = libc.fcntl(fd, getFlags, 0);
  if (flags >= 0) libc.fcntl(fd, setFlags, flags & ~constants.O_DIRECT);
  dropCache(fd); // what is read from now on should come from the device still
}

/** Flushes everything of the file system that holds `fd`, data and names (syncfs(2)). Blocks: call it in a worker. */
export function syncFileSystem(fd: number): void {
  if (libc.syncfs(fd) !== 0) throw systemError("syncfs");
}

const timesBuffer = Buffer.from(new ArrayBuffer(32));
timesBuffer.writeBigInt64LE(0x3ffffffen, 8); // UTIME_OMIT: the access time stays

function setTimes(mtimeNs: bigint): void {
  let nanoseconds = mtimeNs % 1_000_000_000n;
  if (nanoseconds < 0n) nanoseconds += 1_000_000_000n;
  timesBuffer.writeBigInt64LE((mtimeNs - nanoseconds) / 1_000_000_000n, 16);
  timesBuffer.writeBigInt64LE(nanoseconds, 24);
}

/** Sets the modification time of an open file to the nanosecond (futimens(3); node:fs rounds to about 120 ns). */
export function setMtimeFd(fd: number, mtimeNs: bigint): void {
  setTimes(mtimeNs);
  // glibc refuses a null path in utimensat, which the bare system call takes
  if (libc.futimens(fd, timesBuffer) !== 0) throw systemError("futimens");
}

/** The same for a path (one character per byte), a link itself included. */
export function setMtime(path: string, mtimeNs: bigint): void {
  setTimes(mtimeNs);
  const call = libc.utimensat(atCurrentDirectory, cString(path), timesBuffer, atSymlinkNofollow);
  if (call !== 0) throw systemError("utimensat");
}

/** The same for what an O_PATH descriptor holds: a link itself, a FIFO, a device. */
export function setMtimeHeld(fd: number, mtimeNs: bigint): void {
  setTimes(mtimeNs);
  const held = cString(`/proc/self/fd/${fd}`);
  if (libc.utimensat(atCurrentDirectory, held, timesBuffer, 0) !== 0) {
    throw systemError("utimensat");
  }
}

const xattrNames = Buffer.from(new ArrayBuffer(64 * 1024)); // XATTR_LIST_MAX, linux/limits.h
const xattrValue = Buffer.from(new ArrayBuffer(64 * 1024)); // XATTR_SIZE_MAX

type ListCall = (names: Buffer, size: number) => number | bigint;
type GetCall = (name: Buffer, value: Buffer, size: number) => number | bigint;

function collectXattrs(list: ListCall, get: GetCall): Map<string, Uint8Array> | undefined {
  const length = Number(list(xattrNames, xattrNames.length));
  if (length === 0) return undefined;
  if (length < 0) {
    const code = errnoNames[errno()] ?? "";
    if (code === "ENOTSUP" || code === "EACCES" || code === "EPERM") return undefined;
    throw systemError("listxattr");
  }
  const found = new Map<string, Uint8Array>();
  for (const name of xattrNames.toString("latin1", 0, length).split("\0")) {
    if (name === "") continue;
    const size = Number(get(cString(name), xattrValue, xattrValue.length));
    if (size < 0) continue; // removed meanwhile, or not for us (security.*)
    found.set(
      Buffer.from(name, "latin1").toString("utf8"),
      Buffer.from(xattrValue.subarray(0, size)),
    );
  }
  return found.size === 0 ? undefined : found;
}

/** Extended attributes of an open file; undefined where there are none, or the file system has none. */
export function readXattrsFd(fd: number): Map<string, Uint8Array> | undefined {
  return collectXattrs(
    (names, size) => libc.flistxattr(fd, names, size),
    (name, value, size) => libc.fgetxattr(fd, name, value, size),
  );
}

/** The same for a path (one character per byte), a link itself included. */
export function readXattrs(path: string): Map<string, Uint8Array> | undefined {
  const name0 = cString(path);
  return collectXattrs(
    (names, size) => libc.llistxattr(name0, names, size),
    (name, value, size) => libc.lgetxattr(name0, name, value, size),
  );
}

/** Sets one extended attribute of an open file. @returns whether the file system took it */
export function setXattrFd(fd: number, name: string, value: Uint8Array): boolean {
  const data = Buffer.from(value.length === 0 ? [0] : value);
  return libc.fsetxattr(fd, cString(toLatin1(name)), data, value.length, 0) === 0;
}

/** The same for a path (one character per byte), a link itself included. */
export function setXattr(path: string, name: string, value: Uint8Array): boolean {
  const data = Buffer.from(value.length === 0 ? [0] : value);
  return libc.lsetxattr(cString(path), cString(toLatin1(name)), data, value.length, 0) === 0;
}

/** The same for what an O_PATH descriptor holds: a link itself, a FIFO, a device. */
export function setXattrHeld(fd: number, name: string, value: Uint8Array): boolean {
  const data = Buffer.from(value.length === 0 ? [0] : value);
  const held = cString(`/proc/self/fd/${fd}`);
  return libc.setxattr(held, cString(toLatin1(name)), data, value.length, 0) === 0;
}

function toLatin1(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
