// Reads /dev/kmsg without waiting: first what is there, then what came since. It stays open between, because reading
// it all anew each minute cost the daemon a tenth of its processor time. Under our unit systemd has opened it on standard input
// (`StandardInput=file:/dev/kmsg`), because the daemon itself runs without the right to (CAP_SYSLOG).
// Format: https://docs.kernel.org/admin-guide/abi/dev-kmsg (Documentation/ABI/testing/dev-kmsg).

import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { dlopen, FFIType } from "bun:ffi";
import { fromErrno, isErrno, withErrno } from "./errno.ts";

// A record is at most PRINTK_MESSAGE_MAX (2048) bytes plus its dictionary; a shorter buffer gives EINVAL.
const recordBytes = 16 * 1024;
const maxReads = 50_000;

/** The kernel's log, read on from where the last read ended. */
export interface KernelLog {
  /**
   * The first time everything there is, as text, one record per line; then what came since. A regular file (a recorded
   * log) is read whole each time.
   * @returns `lost`: records were overwritten while we read; the rest goes on after the gap
   * @throws kind `permission` where the kernel keeps its log from us (dmesg_restrict), `not-found` where there is none
   */
  read(): { readonly text: string; readonly lost: boolean };
}

/** The device's log that is held open; another takes its place. */
let held: { readonly owner: object; readonly fd: number } | undefined;

/** Nothing is opened before the first read. Of the device one is open per process: an earlier one begins anew. */
export function openKernelLog(path: string): KernelLog {
  const owner = {};
  return {
    read() {
      if (path !== "/dev/kmsg") {
        const fd = open(path);
        try {
          return drain(fd, path);
        } finally {
          closeSync(fd);
        }
      }
      if (held?.owner !== owner) {
        if (held !== undefined && held.fd !== 0) closeSync(held.fd);
        held = undefined;
        held = { owner, fd: rewindInherited() ? 0 : open(path) };
      }
      return drain(held.fd, path);
    },
  };
}

function open(path: string): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  return withErrno("open", path, () => openSync(path, flags));
}

function drain(fd: number, path: string): { readonly text: string; readonly lost: boolean } {
  const buffer = Buffer.alloc(recordBytes);
  const parts: string[] = [];
  let lost = false;
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
