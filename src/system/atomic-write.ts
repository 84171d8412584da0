// The one way in which a file that must survive is written: temporary sibling, fsync, rename, fsync of the
// directory. A failed fsync is never retried: the kernel may have dropped the pages (fsync(2), "fsyncgate").

import { closeSync, constants, fchmodSync, fchownSync, fsyncSync, openSync } from "node:fs";
import { renameSync, unlinkSync, writeSync } from "node:fs";
import { parentOf } from "../core/index.ts";
import { withErrno } from "./errno.ts";
import { randomBytes } from "./random.ts";

export interface AtomicWriteOptions {
  /** Permission bits, set whatever the umask is. Default 0o644. */
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** Prefix of every temporary name of ours; `repair` takes old ones for leftovers. */
export const temporaryPrefix = ".citadel-agent.";

/** A name for a temporary sibling that nobody can guess (96 random bits). */
export function temporaryName(): string {
  return `${temporaryPrefix}${randomBytes(12).toString("hex")}.tmp`;
}

/**
 * Replaces `path` by `content`: a reader sees the old file or the new one, also after a power cut.
 * The parent must be a directory that only we or root can write: paths below a storage root go through
 * `DirectoryHandle` instead.
 * @throws kinds of `fromErrno`; nothing is left behind
 */
export function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: AtomicWriteOptions = {},
): void {
  const parent = parentOf(path);
  const temporary = `${parent}/${temporaryName()}`;
  try {
    writeNew(temporary, content, options);
    withErrno("rename", path, () => renameSync(temporary, path));
  } catch (thrown) {
    try {
      unlinkSync(temporary);
    } catch {
      // it was never made, or was renamed: there is nothing to clean up
    }
    throw thrown;
  }
  syncDirectory(parent);
}

function writeNew(path: string, content: string | Uint8Array, options: AtomicWriteOptions): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = withErrno("open", path, () => openSync(path, flags, 0o600));
  try {
    writeAll(fd, content, path);
    withErrno("fchmod", path, () => fchmodSync(fd, options.mode ?? 0o644));
    if (options.uid !== undefined && options.gid !== undefined) {
      const { uid, gid } = options;
      withErrno("fchown", path, () => fchownSync(fd, uid, gid));
    }
    withErrno("fsync", path, () => fsyncSync(fd));
  } finally {
    closeSync(fd);
  }
}

/** Writes everything: write(2) may write less than asked. */
export function writeAll(fd: number, content: string | Uint8Array, path: string): void {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  let offset = 0;
  while (offset < bytes.length) {
    offset += withErrno("write", path, () => writeSync(fd, bytes, offset));
  }
}

/** Flushes the entries of a directory (fsync(2): syncing a file does not sync its name). */
export function syncDirectory(path: string): void {
  const fd = withErrno("open", path, () =>
    openSync(path, constants.O_RDONLY | constants.O_DIRECTORY),
  );
  try {
    withErrno("fsync", path, () => fsyncSync(fd));
  } finally {
    closeSync(fd);
  }
}
