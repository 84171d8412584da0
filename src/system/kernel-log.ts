// Reads /dev/kmsg without waiting: what the kernel said since a sequence number. Opened anew for each look, so that
// nothing is held between; records are skipped by their number.
// Format: https://docs.kernel.org/admin-guide/abi/dev-kmsg (Documentation/ABI/testing/dev-kmsg).

import { closeSync, constants, openSync, readSync } from "node:fs";
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
  const fd = withErrno("open", path, () =>
    openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
  );
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
    closeSync(fd);
  }
  return { text: parts.join(""), lost };
}
