// System calls that node:fs and native.ts lack, through libc: cache advice for a range, special files, the I/O class.
// All are optional: where libc cannot be opened each says so (`false`, undefined), and the caller has another way.
// Paths are bytes (Buffer), without their NUL.

import { dlopen, read } from "bun:ffi";
import { CitadelError } from "../core/index.ts";

const symbols = {
  posix_fadvise: { args: ["i32", "i64", "i64", "i32"], returns: "i32" },
  mknod: { args: ["ptr", "u32", "u64"], returns: "i32" },
  syscall: { args: ["i64", "i64", "i64", "i64"], returns: "i64" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

type Library = ReturnType<typeof dlopen<typeof symbols>>["symbols"];

let library: Library | undefined | "absent" = undefined;

/** libc, opened at first use; undefined where there is none that we know. */
function libc(): Library | undefined {
  if (library === undefined) {
    library = "absent";
    for (const name of [
      "libc.so.6",
      `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
    ]) {
      try {
        library = dlopen(name, symbols).symbols;
        break;
      } catch {
        // not this C library: try the next
      }
    }
  }
  return library === "absent" ? undefined : library;
}

// errno(3), Linux generic numbers: those that these calls are known to give.
const errnoNames: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  5: "EIO",
  6: "ENXIO",
  9: "EBADF",
  13: "EACCES",
  17: "EEXIST",
  22: "EINVAL",
  28: "ENOSPC",
  30: "EROFS",
  34: "ERANGE",
  61: "ENODATA",
  75: "EOVERFLOW",
  95: "EOPNOTSUPP",
  122: "EDQUOT",
};

function lastErrno(native: Library): string {
  const location = native.__errno_location();
  const number = location === null ? 0 : read.i32(location, 0);
  return errnoNames[number] ?? `errno ${number}`;
}

/** An error shaped like those of node:fs, so that `isErrno` and `fromErrno` understand it. */
function systemError(native: Library, syscall: string): Error {
  const code = lastErrno(native);
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });
}

const terminated = (path: Uint8Array) => Buffer.concat([path, Buffer.from([0])]);

const fadvDontNeed = 4;

/** Asks the kernel to forget clean cached pages of a range; length 0 means to the end. @returns whether it took it */
export function dropCachedPages(fd: number, offset: number, length: number): boolean {
  return libc()?.posix_fadvise(fd, offset, length, fadvDontNeed) === 0;
}

/** Makes a FIFO, socket or device. @param mode with the type bits (S_IFIFO…) @throws an error like those of node:fs */
export function makeNode(path: Uint8Array, mode: number, major: number, minor: number): void {
  const native = libc();
  if (native === undefined) {
    throw new CitadelError({
      kind: "unsupported",
      code: "NATIVE_CALLS_MISSING",
      message: "cannot make a special file: no C library that this program knows",
      hint: "make it by hand with mknod(1)",
    });
  }
  // makedev(3) of the kernel's 64-bit dev_t, as glibc and musl encode it
  const [high, low] = [BigInt(major), BigInt(minor)];
  const device =
    ((high & 0xfffff000n) << 32n) |
    ((high & 0xfffn) << 8n) |
    ((low & 0xffffff00n) << 12n) |
    (low & 0xffn);
  if (native.mknod(terminated(path), mode, device) !== 0) throw systemError(native, "mknod");
}

// ioprio_set(2): system call number per architecture, IOPRIO_WHO_PROCESS = 1, class idle = 3 in the top bits.
const ioprioSet: Record<string, number> = { x64: 251, arm64: 30 };

/**
 * Puts one thread (a tid of /proc/self/task; 0: the calling one) into the idle I/O class. Schedulers that know no
 * classes (`none`) ignore it: pace by bytes per second too.
 */
export function setIdleIoClass(threadId = 0): boolean {
  const number = ioprioSet[process.arch];
  if (number === undefined) return false;
  return Number(libc()?.syscall(number, 1, threadId, 3 << 13) ?? -1) === 0;
}
