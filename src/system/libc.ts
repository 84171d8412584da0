// The one system call that node:fs lacks and we want: renameat2(2), for an atomic exchange and for a rename that
// replaces nothing. Optional: where FFI or the C library is not to be had, callers fall back to safe sequences.

import { dlopen, FFIType, read } from "bun:ffi";

interface Libc {
  /** @returns 0 or an errno */
  readonly renameAt2: (from: Buffer, to: Buffer, flags: number) => number;
  readonly errno: () => number;
}

const renameNoReplaceFlag = 1;
const renameExchangeFlag = 2;
const atFdCwd = -100;
/** syscall numbers of renameat2: the kernel's unistd tables (x86 syscall_64.tbl, asm-generic/unistd.h). */
const renameat2Number: Partial<Record<string, number>> = { x64: 316, arm64: 276 };
const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const errnoNames: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  5: "EIO",
  13: "EACCES",
  16: "EBUSY",
  17: "EEXIST",
  18: "EXDEV",
  20: "ENOTDIR",
  22: "EINVAL",
  28: "ENOSPC",
  30: "EROFS",
  38: "ENOSYS",
  39: "ENOTEMPTY",
  40: "ELOOP",
  95: "EOPNOTSUPP",
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
      });
      const errno = () => {
        const location = symbols.__errno_location();
        return location === null ? 5 : read.i32(location);
      };
      return {
        errno,
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
  throw Object.assign(new Error(`${code}: renameat2`), { code, syscall: "renameat2" });
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
