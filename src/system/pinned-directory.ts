// Directories held open while root works below a directory that somebody else owns: whatever its owner renames or
// swaps for a link meanwhile, `through` stays the directory that was opened. SQLite is the one user that resolves
// `through` back to a path: see scratch-index.ts.

import * as fs from "node:fs";
import { CitadelError, nameOf, normalizePath, parentOf, type AbsolutePath } from "../core/index.ts";
import { temporaryName } from "./atomic-write.ts";
import { DirectoryHandle } from "./directory-handle.ts";
import { DirectoryTree } from "./directory-tree.ts";
import { fromErrno, isErrno, withErrno } from "./errno.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

export interface PinnedDirectory extends Disposable {
  /** Where it lay when it was opened, for messages. */
  readonly path: AbsolutePath;
  /** `/proc/self/fd/N`: valid in this process, its threads included, until it is disposed of. */
  readonly through: AbsolutePath;
  readonly fd: number;
}

function pinned(path: string, fd: number): PinnedDirectory {
  let isOpen = true;
  return {
    path: path as AbsolutePath,
    through: `/proc/self/fd/${fd}` as AbsolutePath,
    fd,
    [Symbol.dispose]() {
      if (isOpen) fs.closeSync(fd);
      isOpen = false;
    },
  };
}

/**
 * Opens every part of `path` from `/` on without following a link.
 * @throws kinds of fromErrno: SYMLINK_IN_PATH, NOT_FOUND
 */
export function pinDirectory(path: AbsolutePath): PinnedDirectory {
  using tree = new DirectoryTree("/" as AbsolutePath);
  return pinned(path, reopen(tree.open(path).fd, path));
}

const maxLinks = 40; // path_resolution(7)

/**
 * As pinDirectory, for a path that a person typed: links in it are followed, but root follows only links of root's,
 * as anybody else could turn his to another place at any moment.
 * @throws SYMLINK_IN_PATH for somebody else's link, or more than 40
 */
export function pinTyped(typed: AbsolutePath): PinnedDirectory {
  let path = typed;
  for (let followed = 0; ; followed += 1) {
    try {
      return pinDirectory(path);
    } catch (thrown) {
      const link = thrown instanceof CitadelError ? thrown.path : undefined;
      const isLink = thrown instanceof CitadelError && thrown.code === "SYMLINK_IN_PATH";
      if (!isLink || link === undefined || followed === maxLinks) throw thrown;
      const stat = fs.lstatSync(link, { throwIfNoEntry: false });
      if (stat?.isSymbolicLink() !== true) throw thrown;
      if (process.geteuid?.() === 0 && stat.uid !== 0) throw thrown;
      const target = withErrno("readlink", link, () => fs.readlinkSync(link));
      const from = target.startsWith("/") ? target : `${parentOf(link)}/${target}`;
      path = normalizePath(`${from}${path.slice(link.length)}`) as AbsolutePath;
    }
  }
}

/**
 * Writes a new file, 0600 and flushed, where a person said: its directory is opened first (pinTyped), nothing that is
 * there is replaced or written through. A file that could not be finished is removed.
 * @throws kinds of fromErrno: ALREADY_EXISTS, SYMLINK_IN_PATH, NO_SPACE
 */
export function writeNewTyped(path: AbsolutePath, content: Uint8Array): void {
  using parent = pinTyped(parentOf(path));
  const directory = new DirectoryHandle(parent.path, parent.fd);
  const temporary = temporaryName();
  try {
    directory.createFile(temporary, content, { mode: 0o600 });
    directory.renameNoReplace(temporary, nameOf(path));
    directory.sync();
  } catch (thrown) {
    try {
      directory.unlink(temporary);
    } catch {
      // never made, or renamed already
    }
    throw thrown;
  }
}

/** As pinDirectory; what is missing of `names` below an open directory is made (0755, ours). */
export function pinBelow(
  parent: PinnedDirectory,
  names: readonly string[],
  make: boolean,
): PinnedDirectory | undefined {
  let at = pinned(parent.path, reopen(parent.fd, parent.path));
  for (const name of names) {
    using above = at;
    const path = `${above.path}/${name}`;
    try {
      at = pinned(path, openBelow(above.fd, name, path));
    } catch (thrown) {
      if (!(thrown instanceof CitadelError) || thrown.code !== "NOT_FOUND") throw thrown;
      if (!make) return undefined;
      withErrno("mkdir", path, () => makeDirectoryAt(`${above.through}/${name}`, 0o755));
      at = pinned(path, openBelow(above.fd, name, path));
    }
  }
  return at;
}

/**
 * Opens `name` below an open directory if it is a directory of ours alone: owned by us, closed to everybody else.
 * @returns undefined where it is not there, is a link or a file, or could have been made by somebody else
 */
export function pinOwn(parent: string, name: string): PinnedDirectory | undefined {
  let fd: number;
  try {
    fd = fs.openSync(`${parent}/${name}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT", "ENOTDIR", "ELOOP", "EACCES")) return undefined;
    throw fromErrno(thrown, "open", `${parent}/${name}`);
  }
  const stat = fs.fstatSync(fd);
  if (stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0) {
    return pinned(fs.readlinkSync(`/proc/self/fd/${fd}`), fd);
  }
  fs.closeSync(fd);
  return undefined;
}

/** Whether `path` (a link not followed) is the directory that is held open. */
export function isPinnedAt(pin: PinnedDirectory, path: string): boolean {
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  const held = fs.fstatSync(pin.fd);
  return there !== undefined && there.ino === held.ino && there.dev === held.dev;
}

function reopen(fd: number, shown: string): number {
  return withErrno("open", shown, () => fs.openSync(`/proc/self/fd/${fd}`, O_RDONLY | O_DIRECTORY));
}

function openBelow(parentFd: number, name: string, shown: string): number {
  const path = `/proc/self/fd/${parentFd}/${name}`;
  try {
    return fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (thrown) {
    const isLink = fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    const cause = isLink ? Object.assign(new Error("ELOOP"), { code: "ELOOP" }) : thrown;
    throw fromErrno(cause, "open", shown);
  }
}

/**
 * mkdir(2) with the mode given, whatever the umask; the mode goes to the directory that was made, never to what
 * somebody put in its place. @returns false where there is something already @throws the system's error
 */
export function makeDirectoryAt(path: string | Buffer, mode: number): boolean {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (thrown) {
    if (isErrno(thrown, "EEXIST")) return false;
    throw thrown;
  }
  if (mode === 0o700) return true;
  const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    // ours, and of us alone until now: an own directory that was swapped in gains nothing by a mode
    const stat = fs.fstatSync(fd);
    if (stat.uid === process.geteuid?.() && stat.nlink <= 2) fs.fchmodSync(fd, mode);
  } finally {
    fs.closeSync(fd);
  }
  return true;
}
