// A file that holds space back, to be given up when a disk is full and someone has to work on it all the same.

import * as fs from "node:fs";
import { isErrno } from "./errno.ts";

const blockBytes = 1024 * 1024;

/**
 * Makes the file hold `sizeBytes`, if three times that is free beside it; a file of another size is made anew.
 * @returns whether it is there now
 */
export function keepReserve(path: string, sizeBytes: number): boolean {
  if (sizeBytes === 0) {
    releaseReserve(path);
    return false;
  }
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  const isOurs = found?.isFile() === true && found.uid === process.geteuid?.() && found.nlink === 1;
  if (isOurs && found.size === sizeBytes) return true;
  const parent = fs.statfsSync(path.slice(0, path.lastIndexOf("/")) || "/");
  if (parent.bavail * parent.bsize < sizeBytes * 3) return false;
  // The backup root may be somebody else's: what lies there is taken away, never opened (a FIFO would not return).
  if (found !== undefined) releaseReserve(path);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  try {
    const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      // random bytes: a file system that compresses would hold back nothing for zeros
      const block = crypto.getRandomValues(new Uint8Array(64 * 1024));
      const buffer = Buffer.alloc(blockBytes);
      for (let at = 0; at < blockBytes; at += block.length) buffer.set(block, at);
      for (let at = 0; at < sizeBytes; at += blockBytes) {
        fs.writeSync(fd, buffer, 0, Math.min(blockBytes, sizeBytes - at), at);
      }
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    return true;
  } catch (thrown) {
    if (!isErrno(thrown, "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EEXIST")) throw thrown;
    releaseReserve(path);
    return false;
  }
}

/** Gives the space up. @returns how much there was */
export function releaseReserve(path: string): number {
  try {
    const { size } = fs.lstatSync(path);
    fs.unlinkSync(path);
    return size;
  } catch (thrown) {
    if (!isErrno(thrown, "ENOENT", "EROFS", "EACCES", "EPERM", "EISDIR")) throw thrown;
    return 0;
  }
}
