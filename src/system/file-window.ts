// A part of a file seen in the page cache itself, without copying it out: mmap(2). What makes that dangerous is that a
// page which cannot be had is a SIGBUS, which ends the process. So pages are taken only of a file that is held by a
// lease (fcntl(2), F_SETLEASE: whoever wants to shorten or write it waits until we let go, and none is given while
// somebody has it open for writing), on file systems of this host, and all of them are brought in by a call that says
// so where one cannot be read (MADV_POPULATE_READ) before any is touched. Where one of these is not to be had the
// caller reads instead. What is left is a page that is reclaimed in the milliseconds between and then cannot be read
// again, and a process that is stopped for longer than the kernel lets a writer wait (45 s): only for what is in the cache
// anyway.

import * as fs from "node:fs";
import { dlopen, toArrayBuffer, type Pointer } from "bun:ffi";

const symbols = {
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
  madvise: { args: ["ptr", "u64", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
} as const;

type Library = ReturnType<typeof dlopen<typeof symbols>>["symbols"];

// Linux, the same on x86-64 and arm64: mman.h, mman-common.h, fcntl.h, signal.h of its uapi headers.
const PROT_NONE = 0;
const PROT_READ = 1;
const MAP_SHARED = 0x01;
const MAP_FIXED = 0x10;
const nothing = 0x02 | 0x20 | 0x4000; // MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
const MADV_SEQUENTIAL = 2;
/** Since Linux 5.14. */
const MADV_POPULATE_READ = 22;
const F_SETSIG = 10;
const F_SETLEASE = 1024;
const F_GETLEASE = 1025;
const F_RDLCK = 0;
const F_UNLCK = 2;
/** Ignored unless somebody asks for it: what the kernel would send by default ends a process. */
const SIGURG = 23;

/** ext4, XFS, btrfs, tmpfs (statfs(2)): a file is shortened only by this kernel, which knows of our lease. */
const localTypes = new Set([0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994]);

function openLibrary(): Library | undefined {
  if (process.platform !== "linux" || process.env["CITADEL_TEST_NO_FFI"] === "1") return undefined;
  const musl = `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`;
  for (const name of ["libc.so.6", musl]) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // not this C library
    }
  }
  return undefined;
}

/** What mmap(2) gave; undefined for MAP_FAILED, which is -1. */
function toAddress(given: Pointer | bigint | null): Pointer | undefined {
  const address = Number(given ?? -1);
  return address > 0 && Number.isSafeInteger(address) ? (address as Pointer) : undefined;
}

/** Addresses that show a part of one file at a time. */
export class FileWindow {
  readonly #libc: Library;
  readonly #at: Pointer;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  private constructor(libc: Library, at: Pointer, sizeBytes: number) {
    this.#libc = libc;
    this.#at = at;
    this.#bytes = new Uint8Array(toArrayBuffer(at, 0, sizeBytes));
  }

  /** @returns undefined where there is no FFI, or no such memory @param sizeBytes of whole pages */
  static open(sizeBytes: number): FileWindow | undefined {
    const libc = openLibrary();
    if (libc === undefined) return undefined;
    const at = toAddress(libc.mmap(null, sizeBytes, PROT_NONE, nothing, -1, 0));
    return at === undefined ? undefined : new FileWindow(libc, at, sizeBytes);
  }

  /**
   * Keeps others from shortening the file until `release`; a writer waits for that.
   * @param fd opened for reading only @param path of the same file
   * @returns false where that cannot be had: then nothing of it may be shown
   */
  hold(fd: number, path: string | Buffer): boolean {
    try {
      if (!localTypes.has(fs.statfsSync(path).type)) return false;
    } catch {
      return false;
    }
    // in this order: a lease that is wanted back at once must not find the signal that ends us
    if (this.#libc.fcntl(fd, F_SETSIG, SIGURG) !== 0) return false;
    return this.#libc.fcntl(fd, F_SETLEASE, F_RDLCK) === 0;
  }

  /**
   * Shows bytes of a file that is held.
   * @param offset of a whole page @param length at most the window's
   * @returns valid until the next call; undefined where some of them cannot be read (read(2) says why), or somebody
   *   wants to write the file: it is not held any more then
   */
  show(fd: number, offset: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    const { mmap, madvise, fcntl } = this.#libc;
    if (fcntl(fd, F_GETLEASE, 0) !== F_RDLCK) {
      this.release(fd); // a writer waits
      return undefined;
    }
    const pages = Math.ceil(length / 4096) * 4096;
    const shown = mmap(this.#at, pages, PROT_READ, MAP_SHARED | MAP_FIXED, fd, offset);
    if (toAddress(shown) === undefined) return undefined;
    madvise(this.#at, pages, MADV_SEQUENTIAL);
    if (madvise(this.#at, pages, MADV_POPULATE_READ) !== 0) return undefined;
    return this.#bytes.subarray(0, length);
  }

  /** Shows nothing any more, and lets others have the file. */
  release(fd: number): void {
    this.#libc.mmap(this.#at, this.#bytes.length, PROT_NONE, nothing | MAP_FIXED, -1, 0);
    this.#libc.fcntl(fd, F_SETLEASE, F_UNLCK);
  }
}
