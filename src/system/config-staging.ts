// Copies of configuration and state files into a private directory, from which a snapshot is made: small files, with
// owner, mode and time, and databases as one consistent file each.

import { Database } from "bun:sqlite";
import * as fs from "node:fs";
import { parentOf } from "../core/index.ts";
import { setMtimeFd, type WalkedStat } from "./native.ts";
import { writeAll } from "./atomic-write.ts";
import { fromErrno, isErrno, withErrno } from "./errno.ts";
import type { PinnedDirectory } from "./pinned-directory.ts";

/** Makes an empty directory that only we may enter; what was there is removed. */
export function resetPrivateDirectory(path: string): void {
  withErrno("rm", path, () => fs.rmSync(path, { recursive: true, force: true }));
  withErrno("mkdir", path, () => fs.mkdirSync(path, { recursive: true, mode: 0o700 }));
}

export function removeDirectory(path: string): void {
  withErrno("rm", path, () => fs.rmSync(path, { recursive: true, force: true }));
}

export interface StagedFile {
  readonly content: Buffer;
  /** Of the open file the content came from. */
  readonly stat: fs.BigIntStats;
}

/**
 * The content of a regular file below an open directory, no link followed in any part of its path. In a directory
 * that somebody else may write, a file with several names is not read: he may have no right to read it himself.
 * @param parts path below `directory`, one character per byte
 * @param limitBytes of a larger one nothing is read
 * @returns undefined where there is none, or something else of that name, or more than the limit
 */
export function readBelow(
  directory: PinnedDirectory,
  parts: readonly string[],
  limitBytes: number,
): StagedFile | undefined {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = fs.constants;
  const opened: number[] = [];
  try {
    let at = directory.fd;
    let isOurs = true;
    for (const [index, part] of parts.entries()) {
      isOurs &&= isOursAlone(at);
      const kind = index === parts.length - 1 ? O_NONBLOCK : O_DIRECTORY;
      const path = Buffer.from(`/proc/self/fd/${at}/${part}`, "latin1");
      at = fs.openSync(path, O_RDONLY | O_NOFOLLOW | kind);
      opened.push(at);
    }
    const stat = fs.fstatSync(at, { bigint: true });
    if (!stat.isFile() || stat.size > limitBytes || (stat.nlink > 1n && !isOurs)) return undefined;
    return { content: fs.readFileSync(at), stat };
  } catch (thrown) {
    // absent, a link, or not ours to read: the caller lists it
    if (isErrno(thrown, "ENOENT", "ENOTDIR", "ELOOP", "EACCES", "ENXIO")) return undefined;
    throw fromErrno(thrown, "read", `${directory.path}/${parts.join("/")}`);
  } finally {
    for (const fd of opened) fs.closeSync(fd);
  }
}

/** Whether nobody but root and we can put files into an open directory. */
function isOursAlone(fd: number): boolean {
  const { uid, mode } = fs.fstatSync(fd);
  return (uid === 0 || uid === process.geteuid?.()) && (mode & 0o022) === 0;
}

/** Writes a copy with the owner and time of the original. @param mode instead of the original's */
export function stageContent(copy: string, { content, stat }: StagedFile, mode?: number): void {
  withErrno("write", copy, () => {
    fs.mkdirSync(parentOf(copy), { recursive: true, mode: 0o755 });
    const fd = fs.openSync(copy, "wx", 0o600);
    try {
      writeAll(fd, content, copy);
      if (process.geteuid?.() === 0) fs.fchownSync(fd, Number(stat.uid), Number(stat.gid));
      fs.fchmodSync(fd, mode ?? Number(stat.mode) & 0o7777);
      setMtimeFd(fd, stat.mtimeNs);
    } finally {
      fs.closeSync(fd);
    }
  });
}

/** Makes a directory with the owner and mode of the original; we can always write into it. */
export function stageDirectory(copy: string, stat: Pick<WalkedStat, "mode" | "uid" | "gid">): void {
  withErrno("mkdir", copy, () => {
    fs.mkdirSync(copy, { recursive: true, mode: 0o755 });
    if (process.geteuid?.() === 0) fs.chownSync(copy, stat.uid, stat.gid);
    fs.chmodSync(copy, (stat.mode & 0o7777) | 0o700);
  });
}

/** Makes the same link; what it leads to is not looked at. @param target one character per byte */
export function stageLink(
  copy: string,
  target: string,
  stat: Pick<WalkedStat, "uid" | "gid">,
): void {
  withErrno("symlink", copy, () => {
    fs.mkdirSync(parentOf(copy), { recursive: true, mode: 0o755 });
    fs.symlinkSync(Buffer.from(target, "latin1"), copy);
    if (process.geteuid?.() === 0) fs.lchownSync(copy, stat.uid, stat.gid);
  });
}

/**
 * Writes a consistent copy of a SQLite database that others may be writing to.
 * @param settle a statement that is run in the copy
 * @see https://sqlite.org/lang_vacuum.html
 */
export function stageDatabase(original: string, copy: string, settle?: string): void {
  withErrno("copy database", original, () => {
    fs.mkdirSync(parentOf(copy), { recursive: true, mode: 0o755 });
    const database = new Database(original, { readwrite: true });
    try {
      database.run("PRAGMA busy_timeout = 5000");
      database.run("VACUUM INTO ?", [copy]);
    } finally {
      database.close();
    }
    fs.chmodSync(copy, 0o600);
    if (settle === undefined) return;
    const copied = new Database(copy, { readwrite: true });
    try {
      copied.run(settle);
    } finally {
      copied.close();
    }
  });
}
