// Walks a tree in the order of path bytes, without following a link inside and without ever holding more than a bounded
// part of the names of the directories on the way down. Names are bytes: strings with one character (0..255) per byte.

import { closeSync, constants, openSync } from "node:fs";
import { DirectoryNames } from "./directory-names.ts";
import { type WalkedStat, openDirectoryAt, readLinkAt, walkStatAt, walkStatFd } from "./native.ts";
import { fromErrno, isErrno } from "./errno.ts";
import type { CitadelError } from "../core/index.ts";

export interface WalkedEntry {
  /** Relative to the root, one character per byte; `.` for the root itself. */
  readonly path: string;
  readonly stat: WalkedStat;
  /** Path of its directory with a slash at its end; empty at the first level. */
  readonly prefix: string;
  /** Where its last part stands in memory, zero-terminated, until the walk goes on; 0 where it does not. */
  readonly nameAddress: number;
  /** Target of a symbolic link, one character per byte. */
  readonly target: string | undefined;
  /** A directory whose content is not listed, as it is another file system's. */
  readonly isForeignMount: boolean;
  /** Why this entry (then `stat` may be that of the parent) or the content of this directory could not be read. */
  readonly failure: CitadelError | undefined;
}

export interface WalkOptions {
  readonly crossFileSystems: boolean;
}

interface Level {
  readonly fd: number;
  /** Path of the directory with a slash at its end; empty for the root. */
  readonly prefix: string;
  readonly names: DirectoryNames;
  /** Subdirectories that were seen and wait for their turn: few at any time. */
  readonly toEnter: Set<string>;
}

const maxDepth = 2000;

/**
 * Walks `root`, the root itself included (as `.`, at its place in the order).
 * A name that vanished between listing and looking is left out: it was never there.
 * @param root absolute path, one character per byte; a link there is not followed
 * @throws what opening the root gives, by `fromErrno`
 */
export function* walkTree(root: string, options: WalkOptions): Generator<WalkedEntry> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const rootFd = openRoot(root, flags);
  const levels: Level[] = [];
  try {
    const rootStat = walkStatFd(rootFd);
    levels.push(openLevel(rootFd, ""));
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const { names } = level;
      const failure = goOn(names, level.prefix);
      if (failure !== undefined) {
        closeSync(level.fd);
        levels.pop();
        const path = level.prefix === "" ? "." : level.prefix.slice(0, -1);
        if (failure !== "end") yield { ...plain(path, rootStat), failure };
        continue;
      }
      const { name } = names;
      if (name === ".") {
        yield plain(".", rootStat);
        continue;
      }
      const entry = name.endsWith("/")
        ? enter(levels, level, name.slice(0, -1))
        : look(level, name, names.address, rootStat, options);
      if (entry !== undefined) yield entry;
    }
  } finally {
    for (const level of levels) closeSync(level.fd);
  }
}

/** Goes on to the next name. @returns why there is none: a large directory is read again on the way, and may be gone */
function goOn(names: DirectoryNames, prefix: string): "end" | CitadelError | undefined {
  try {
    return names.next() ? undefined : "end";
  } catch (thrown) {
    return isErrno(thrown, "ENOENT") ? "end" : fromErrno(thrown, "readdir", displayOf(prefix));
  }
}

function openRoot(root: string, flags: number): number {
  try {
    return openSync(Buffer.from(root, "latin1"), flags);
  } catch (thrown) {
    throw fromErrno(thrown, "open", displayOf(root));
  }
}

function displayOf(path: string): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

function plain(path: string, stat: WalkedStat, target?: string): WalkedEntry {
  return {
    path,
    stat,
    target,
    isForeignMount: false,
    failure: undefined,
    prefix: "",
    nameAddress: 0,
  };
}

function look(
  level: Level,
  name: string,
  pointer: number,
  rootStat: WalkedStat,
  options: WalkOptions,
): WalkedEntry | undefined {
  const path = level.prefix + name;
  try {
    const stat = walkStatAt(level.fd, pointer);
    const type = stat.mode & constants.S_IFMT;
    if (type === constants.S_IFLNK) return plain(path, stat, readLinkAt(level.fd, pointer));
    if (stat.isMountRoot && !options.crossFileSystems) {
      return { ...plain(path, stat), isForeignMount: true };
    }
    if (type === constants.S_IFDIR) level.toEnter.add(name);
    return {
      path,
      stat,
      target: undefined,
      isForeignMount: false,
      failure: undefined,
      prefix: level.prefix,
      nameAddress: pointer,
    };
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT")) return undefined;
    return { ...plain(path, rootStat), failure: fromErrno(thrown, "statx", displayOf(path)) };
  }
}

/** Goes down into a directory. @returns an entry only where that failed */
function enter(levels: Level[], level: Level, name: string): WalkedEntry | undefined {
  if (!level.toEnter.delete(name)) return undefined;
  const path = level.prefix + name;
  let fd = -1;
  try {
    if (levels.length >= maxDepth) throw Object.assign(new Error("ELOOP"), { code: "ELOOP" });
    fd = openDirectoryAt(level.fd, Buffer.from(`${name}\0`, "latin1"));
    levels.push(openLevel(fd, `${path}/`));
    return undefined;
  } catch (thrown) {
    if (fd >= 0) closeSync(fd);
    if (isErrno(thrown, "ENOENT")) return undefined;
    const failure = fromErrno(thrown, "readdir", displayOf(path));
    return { ...plain(path, walkStatFd(level.fd)), failure };
  }
}

function openLevel(fd: number, prefix: string): Level {
  return { fd, prefix, names: new DirectoryNames(fd, prefix === ""), toEnter: new Set() };
}
