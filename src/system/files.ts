// Looking at files: thin, synchronous, with errors that name the call and the path. Changing a storage tree goes
// through `directory-handle.ts`, writing a file that must survive through `atomic-write.ts`.

import * as fs from "node:fs";
import { isErrno, withErrno } from "./errno.ts";

export type FileType =
  "file" | "directory" | "link" | "fifo" | "socket" | "block" | "character" | "unknown";

export interface FileStat {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky: 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly ino: number;
  /** st_dev as Linux numbers it. */
  readonly dev: number;
  readonly linkCount: number;
}

const typeBits: Record<number, FileType> = {
  [fs.constants.S_IFREG]: "file",
  [fs.constants.S_IFDIR]: "directory",
  [fs.constants.S_IFLNK]: "link",
  [fs.constants.S_IFIFO]: "fifo",
  [fs.constants.S_IFSOCK]: "socket",
  [fs.constants.S_IFBLK]: "block",
  [fs.constants.S_IFCHR]: "character",
};

export function toFileStat(stat: fs.Stats): FileStat {
  return {
    type: typeBits[stat.mode & fs.constants.S_IFMT] ?? "unknown",
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: stat.size,
    mtimeMs: stat.mtimeMs,
    ino: stat.ino,
    dev: stat.dev,
    linkCount: stat.nlink,
  };
}

/** lstat(2); undefined where nothing is (ENOENT, or a parent is not a directory). */
export function lstat(path: string): FileStat | undefined {
  const stat = withErrno("lstat", path, () => absentAsUndefined(() => fs.lstatSync(path)));
  return stat && toFileStat(stat);
}

/** stat(2), through links; undefined where nothing is. A loop is ELOOP, thrown as SYMLINK_IN_PATH. */
export function stat(path: string | Buffer): FileStat | undefined {
  const shown = path.toString();
  const found = withErrno("stat", shown, () => absentAsUndefined(() => fs.statSync(path)));
  return found && toFileStat(found);
}

/** readlink(2) @returns the target as text @throws kinds of fromErrno; EINVAL if it is no link */
export function readlink(path: string): string {
  return withErrno("readlink", path, () => fs.readlinkSync(path));
}

/** Names in a directory, sorted; undefined where there is none. */
export function listDirectory(path: string): string[] | undefined {
  return withErrno("readdir", path, () => absentAsUndefined(() => fs.readdirSync(path).sort()));
}

/** The file's text; undefined where there is none. For /proc, /sys, /etc: whole small files. */
export function readText(path: string): string | undefined {
  return withErrno("read", path, () => absentAsUndefined(() => fs.readFileSync(path, "utf8")));
}

/** The file's bytes; undefined where there is none. */
export function readBytes(path: string): Buffer | undefined {
  return withErrno("read", path, () => absentAsUndefined(() => fs.readFileSync(path)));
}

/** realpath(3); undefined where nothing is. */
export function realpath(path: string): string | undefined {
  return withErrno("realpath", path, () => absentAsUndefined(() => fs.realpathSync(path)));
}

/** The same for a path in bytes, and giving bytes: a link may lead to a name that is not UTF-8. */
export function realpathBytes(path: Buffer): Buffer | undefined {
  return withErrno("realpath", path.toString(), () =>
    absentAsUndefined(() => fs.realpathSync(path, { encoding: "buffer" })),
  );
}

/** Whether the process may use `path` so (access(2) with the real ids; root may nearly always). */
export function mayAccess(path: string, how: "read" | "write" | "execute"): boolean {
  const mode = { read: fs.constants.R_OK, write: fs.constants.W_OK, execute: fs.constants.X_OK };
  try {
    fs.accessSync(path, mode[how]);
    return true;
  } catch {
    return false; // every reason means "no" here; who needs the reason tries the call itself
  }
}

/**
 * Asks before the first write: the same answer that a write gives, and before anything was begun.
 * @param operation what was to be done there, for the message
 * @throws kind `permission`; `read-only` for a file system that nobody can write, root included
 */
export function assertMayWrite(path: string, operation: string): void {
  withErrno(operation, path, () => fs.accessSync(path, fs.constants.W_OK));
}

/** mkdir -p for directories of our own (state, run): not for trees that others can write. */
export function makeDirectories(path: string, mode: number): void {
  withErrno("mkdir", path, () => fs.mkdirSync(path, { recursive: true, mode }));
}

export interface FileSystemUsage {
  readonly totalBytes: number;
  /** What unprivileged users may still use (f_bavail). */
  readonly availableBytes: number;
  readonly freeBytes: number;
  /** total - free: reserved blocks count as free, as in `df`. */
  readonly usedBytes: number;
  /** used / (used + available), as `df` counts. 0 where the file system has no size. */
  readonly usage: number;
  readonly inodesTotal: number;
  readonly inodesFree: number;
  /** Share of inodes used; undefined where the file system does not count them (btrfs). */
  readonly inodeUsage: number | undefined;
  readonly fsType: number;
}

/** statfs(2) of a path. May hang on a dead mount: ask through a child where that matters. */
export function fileSystemUsage(path: string): FileSystemUsage {
  const s = withErrno("statfs", path, () => fs.statfsSync(path)) as fs.StatsFs & {
    frsize?: number;
  };
  const blockBytes = s.frsize ?? s.bsize;
  const usedBytes = (s.blocks - s.bfree) * blockBytes;
  const availableBytes = s.bavail * blockBytes;
  const reach = usedBytes + availableBytes;
  return {
    totalBytes: s.blocks * blockBytes,
    availableBytes,
    freeBytes: s.bfree * blockBytes,
    usedBytes,
    usage: reach === 0 ? 0 : usedBytes / reach,
    inodesTotal: s.files,
    inodesFree: s.ffree,
    inodeUsage: s.files === 0 ? undefined : (s.files - s.ffree) / s.files,
    fsType: s.type,
  };
}

function absentAsUndefined<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT", "ENOTDIR")) return undefined;
    throw thrown;
  }
}
