// Reads /dev/kmsg without waiting: what the kernel said since a sequence number. Opened anew for each look, so that
// nothing is held between; records are skipped by their number. Under our unit systemd has opened it on standard input
// (`StandardInput=file:/dev/kmsg`), because the daemon itself runs without the right to (CAP_SYSLOG).
// Format: https://docs.kernel.org/admin-guide/abi/dev-kmsg (Documentation/ABI/testing/dev-kmsg).

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { dlopen, FFIType } from "bun:ffi";
import { fromErrno, isErrno, withErrno } from "./errno.ts";

// A record is at most PRINTK_MESSAGE_MAX (2048) bytes plus its dictionary; a shorter buffer gives EINVAL.
const recordBytes = 16 * 1024;
const maxReads = 50_000;

/**
 * Everything that can be read now, as text, one record per line.
 * @returns `lost`: records were overwritten while we read; the rest goes on after the gap
 * @throws kind `permission` where the kernel keeps its log from us (dmesg_restrict), `not-found` where there is none
 */
export function readKernelLog(path: string): { readonly text: string; readonly lost: boolean } {
  const inherited = path === "/dev/kmsg" && rewindInherited();
  const fd = inherited
    ? 0
    : withErrno("open", path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  const buffer = Buffer.alloc(recordBytes);
  const parts: string[] = [];
  let lost = false;
  try {
    for (let reads = 0; reads < maxReads; reads += 1) {
      try {
        const size = readSync(fd, buffer, 0, buffer.length, null);
        if (size === 0) break;
        parts.push(buffer.toString("utf8", 0, size));
      } catch (thrown) {
        if (isErrno(thrown, "EAGAIN")) break;
        // EPIPE: the record at our place is gone; the next read goes on with the oldest one.
        if (!isErrno(thrown, "EPIPE")) throw fromErrno(thrown, "read", path);
        lost = true;
      }
    }
  } finally {
    if (!inherited) closeSync(fd);
  }
  return { text: parts.join(""), lost };
}

const kmsgDevice = (1 << 8) | 11; // major 1, minor 11: Documentation/admin-guide/devices.txt
const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** Whether standard input is the kernel's log; then it is set to its first record, and to not wait. */
function rewindInherited(): boolean {
  try {
    const stat = fstatSync(0);
    if (!stat.isCharacterDevice() || stat.rdev !== kmsgDevice) return false;
  } catch {
    return false; // no standard input at all
  }
  for (const library of libraries) {
    try {
      const { symbols, close } = dlopen(library, {
        fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i64], returns: FFIType.i32 },
        lseek: { args: [FFIType.i32, FFIType.i64, FFIType.i32], returns: FFIType.i64 },
      });
      const setFlags = 4; // F_SETFL, fcntl.h
      const isSet = symbols.fcntl(0, setFlags, constants.O_NONBLOCK) === 0;
      const isAtStart = Number(symbols.lseek(0, 0, 0)) === 0;
      close();
      return isSet && isAtStart;
    } catch {
      // not this C library: the next name, or no FFI at all
    }
  }
  return false;
}

/** Whether this process may open the kernel's log: in many containers it is there and may not be read. */
export function mayReadKernelLog(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false; // absent, or kept from us: the unit then goes without
  }
}
