// Keeps the resident memory of a long-running process small: collects its heap and gives back the pages of the
// program that it used once, while it started, and that the kernel can read again from the page cache.

import { readFileSync } from "node:fs";
import { dlopen, FFIType, type Pointer } from "bun:ffi";

/** madvise(2): the range's pages are not needed soon. */
const MADV_DONTNEED = 4;

/**
 * Ranges of `program` that hold nothing but pages of the file: read-only mappings in which no page was ever written
 * (proc(5), smaps: `Anonymous` counts private copies, as relocations make them; those would be lost).
 * @param smaps the text of /proc/PID/smaps
 */
export function parseCleanRanges(
  smaps: string,
  program: string,
): { start: number; bytes: number }[] {
  const ranges: { start: number; bytes: number }[] = [];
  let current: { start: number; bytes: number } | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(.*)$/.exec(line);
    if (head !== null) {
      const [, start = "", end = "", flags = "", path] = head;
      const first = Number.parseInt(start, 16);
      const isClean = path === program && (flags === "r-xp" || flags === "r--p");
      current = isClean ? { start: first, bytes: Number.parseInt(end, 16) - first } : undefined;
    } else if (current !== undefined && line.startsWith("Anonymous:")) {
      if (Number.parseInt(line.slice("Anonymous:".length), 10) === 0) ranges.push(current);
      current = undefined;
    }
  }
  return ranges;
}

let madvise: ((address: Pointer, bytes: number, advice: number) => number) | null | undefined;

function loadMadvise(): NonNullable<typeof madvise> | null {
  const signature = { args: [FFIType.ptr, FFIType.i64_fast, FFIType.i32], returns: FFIType.i32 };
  for (const library of ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"]) {
    try {
      return dlopen(library, { madvise: signature }).symbols.madvise as NonNullable<typeof madvise>;
    } catch {
      // not this C library
    }
  }
  return null;
}

/**
 * Collects the heap, then takes the program's own clean pages out of this process (they stay in the page cache: the
 * next use maps them again). Does nothing where /proc or FFI cannot be had.
 * @returns the bytes of address space that were given back
 */
export function trimMemory(): number {
  Bun.gc(true);
  Bun.shrink();
  madvise ??= loadMadvise();
  if (madvise === null) return 0;
  let bytes = 0;
  try {
    for (const range of parseCleanRanges(
      readFileSync("/proc/self/smaps", "utf8"),
      process.execPath,
    )) {
      if (madvise(range.start as Pointer, range.bytes, MADV_DONTNEED) === 0) bytes += range.bytes;
    }
  } catch {
    // no /proc: nothing to give back
  }
  return bytes;
}

/**
 * What a command that goes through any number of files stays below before it collects: the collector sizes its heap by
 * the machine's memory and would let millions of entries lie. The bar is 150 MiB (spec/backup.md).
 */
const comfortableBytes = 112 * 1024 * 1024;

/** Trims if the process has grown. Asking costs 7 µs. */
export function trimGrownMemory(): void {
  if (process.memoryUsage.rss() > comfortableBytes) trimMemory();
}

/** Collects this worker's own heap if the process has grown: no other thread can. */
export function collectGrownMemory(): void {
  if (process.memoryUsage.rss() <= comfortableBytes) return;
  Bun.gc(true);
  Bun.shrink();
}
