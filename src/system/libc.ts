// System calls on names below a descriptor, which node:fs lacks: renameat2(2) for an atomic exchange and for a rename
// that replaces nothing; symlinkat(2), fchownat(2) and renameat(2), which spare the kernel the walk through
// /proc/self/fd/N. Optional: where FFI or the C library is not to be had, callers fall back to safe sequences.

import { dlopen, FFIType, ptr, read, type Pointer } from "bun:ffi";

interface Libc {
  /** @returns 0 or an errno */
  readonly renameAt2: (from: Buffer, to: Buffer, flags: number) => number;
  readonly errno: () => number;
  readonly symlinkat: (target: Pointer, fd: number, name: Pointer) => number;
  readonly fchownat: (fd: number, name: Pointer, uid: number, gid: number, flags: number) => number;
  readonly renameat: (fromFd: number, from: Pointer, toFd: number, to: Pointer) => number;
}

const renameNoReplaceFlag = 1;
const renameExchangeFlag = 2;
const atFdCwd = -100;
const atEmptyPath = 0x1000;
/** syscall numbers of renameat2: the kernel's unistd tables (x86 syscall_64.tbl, asm-generic/unistd.h). */
const renameat2Number: Partial<Record<string, number>> = { x64: 316, arm64: 276 };
const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const errnoNames: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  4: "EINTR",
  5: "EIO",
  12: "ENOMEM",
  13: "EACCES",
  16: "EBUSY",
  17: "EEXIST",
  18: "EXDEV",
  20: "ENOTDIR",
  22: "EINVAL",
  28: "ENOSPC",
  30: "EROFS",
  31: "EMLINK",
  36: "ENAMETOOLONG",
  38: "ENOSYS",
  39: "ENOTEMPTY",
  40: "ELOOP",
  95: "EOPNOTSUPP",
  107: "ENOTCONN",
  110: "ETIMEDOUT",
  116: "ESTALE",
  122: "EDQUOT",
};

let loaded: Libc | null | undefined;

function load(): Libc | null {
  const number = renameat2Number[process.arch];
  if (number === undefined || process.env["CITADEL_TEST_NO_FFI"] === "1") return null;
  for (const library of libraries) {
    try {
      const { symbols } = dlopen(library, {
        syscall: {
          args: [FFIType.i64, FFIType.i32, FFIType.ptr, FFIType.i32, FFIType.ptr, FFIType.u32],
          returns: FFIType.i64,
        },
        __errno_location: { args: [], returns: FFIType.ptr },
        symlinkat: { args: [FFIType.ptr, FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
        fchownat: {
          args: [FFIType.i32, FFIType.ptr, FFIType.u32, FFIType.u32, FFIType.i32],
          returns: FFIType.i32,
        },
        renameat: {
          args: [FFIType.i32, FFIType.ptr, FFIType.i32, FFIType.ptr],
          returns: FFIType.i32,
        },
      });
      const errno = () => {
        const location = symbols.__errno_location();
        return location === null ? 5 : read.i32(location);
      };
      const { symlinkat, fchownat, renameat } = symbols;
      return {
        errno,
        symlinkat,
        fchownat,
        renameat,
        renameAt2: (from, to, flags) =>
          Number(symbols.syscall(number, atFdCwd, from, atFdCwd, to, flags)) === 0 ? 0 : errno(),
      };
    } catch {
      // not this C library: the next name, or no FFI at all
    }
  }
  return null;
}

function cString(path: string | Buffer): Buffer {
  const bytes = typeof path === "string" ? Buffer.from(path) : path;
  return Buffer.concat([bytes, Buffer.alloc(1)]);
}

/**
 * renameat2(2) with RENAME_EXCHANGE or RENAME_NOREPLACE.
 * @returns false where the call or its flag is not supported here (nothing was done)
 * @throws an Error with `code` as node:fs throws it
 */
export function renameWith(
  how: "exchange" | "no-replace",
  from: string | Buffer,
  to: string | Buffer,
): boolean {
  loaded ??= load();
  if (loaded === null) return false;
  const flags = how === "exchange" ? renameExchangeFlag : renameNoReplaceFlag;
  const errno = loaded.renameAt2(cString(from), cString(to), flags);
  if (errno === 0) return true;
  const code = errnoNames[errno] ?? `ERRNO_${errno}`;
  if (code === "ENOSYS" || code === "EINVAL" || code === "EOPNOTSUPP") return false;
  throw callError(code, "renameat2");
}

const callError = (code: string, syscall: string): Error =>
  Object.assign(new Error(`${code}: ${syscall}`), { code, syscall });

/** Two C strings at fixed addresses: a call neither allocates nor asks for addresses. PATH_MAX bytes each. */
class Scratch {
  readonly #bytes = new Uint8Array(2 * pathMax);
  readonly #halves = [this.#bytes.subarray(0, pathMax), this.#bytes.subarray(pathMax)] as const;
  readonly #addresses = [ptr(this.#bytes), ptr(this.#bytes, pathMax)] as const;
  readonly #encoder = new TextEncoder();

  /** @returns the address of the text as a C string; undefined where it does not fit or holds a zero */
  put(half: 0 | 1, text: string): Pointer | undefined {
    const place = this.#halves[half];
    const { read: taken, written } = this.#encoder.encodeInto(text, place);
    if (taken < text.length || written === pathMax || text.includes("\0")) return undefined;
    place[written] = 0;
    return this.#addresses[half];
  }
}

/** PATH_MAX of linux/limits.h, the zero included. */
const pathMax = 4096;
let scratch: Scratch | undefined;

/**
 * Runs a call on up to two texts. @returns false where it cannot be made this way: nothing was done
 * @throws an Error with `code` as node:fs throws it
 */
function call(
  syscall: string,
  first: string,
  second: string | undefined,
  run: (libc: Libc, first: Pointer, second: Pointer) => number,
): boolean {
  loaded ??= load();
  if (loaded === null) return false;
  scratch ??= new Scratch();
  const from = scratch.put(0, first);
  const to = second === undefined ? from : scratch.put(1, second);
  if (from === undefined || to === undefined) return false;
  if (run(loaded, from, to) === 0) return true;
  const errno = loaded.errno();
  throw callError(errnoNames[errno] ?? `ERRNO_${errno}`, syscall);
}

/** symlinkat(2) @returns false where the caller has to make it otherwise */
export function symlinkAt(target: string, dirFd: number, name: string): boolean {
  return call("symlink", target, name, (libc, to, at) => libc.symlinkat(to, dirFd, at));
}

/** fchownat(2) of what an O_PATH descriptor holds. @returns false where the caller has to make it otherwise */
export function chownHeld(fd: number, uid: number, gid: number): boolean {
  return call("lchown", "", undefined, (libc, empty) =>
    libc.fchownat(fd, empty, uid, gid, atEmptyPath),
  );
}

/** renameat(2) @returns false where the caller has to make it otherwise */
export function renameAt(fromFd: number, from: string, toFd: number, to: string): boolean {
  return call("rename", from, to, (libc, old, now) => libc.renameat(fromFd, old, toFd, now));
}

/** Loads the library now, so that `lastErrno` costs nothing when something has failed. */
export function prepareErrno(): void {
  loaded ??= load();
}

/**
 * The errno of this thread as the last failed call left it, as a name. SQLite does not tell it; asked at once after
 * a failure it is nearly always that failure's. @returns undefined where it is not known
 */
export function lastErrno(): string | undefined {
  if (loaded === undefined || loaded === null) return undefined;
  return errnoNames[loaded.errno()];
}
