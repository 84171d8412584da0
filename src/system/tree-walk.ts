// Walks a tree in the order of path bytes, without following a link inside and without ever holding more than the
// names of the directories on the way down. Names are bytes: strings with one character (0..255) per byte.

import { closeSync, constants, openSync } from "node:fs";
import {
  type ExactStat,
  addressOf,
  openDirectoryAt,
  readDirents,
  readLinkAt,
  statAt,
  statFd,
} from "./native.ts";
import { fromErrno, isErrno } from "./errno.ts";
import type { CitadelError } from "../core/index.ts";

export interface WalkedEntry {
  /** Relative to the root, one character per byte; `.` for the root itself. */
  readonly path: string;
  readonly stat: ExactStat;
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

/** The names of one directory, zero-terminated one after another; a directory is there twice: `a` and `a/`. */
interface Listing {
  readonly names: Buffer;
  /** Offsets of the names, sorted by bytes. */
  readonly order: Uint32Array;
}

interface Level {
  readonly fd: number;
  /** Path of the directory with a slash at its end; empty for the root. */
  readonly prefix: string;
  readonly listing: Listing;
  next: number;
  /** Subdirectories that are not to be entered. */
  readonly closed: Set<string>;
}

const direntsBuffer = Buffer.from(new ArrayBuffer(256 * 1024));
const directoryType = 4; // DT_DIR
const unknownType = 0; // DT_UNKNOWN
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
    const rootStat = statFd(rootFd);
    levels.push(openLevel(rootFd, ""));
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const offset = level.listing.order[level.next];
      if (offset === undefined) {
        closeSync(level.fd);
        levels.pop();
        continue;
      }
      level.next += 1;
      const { names } = level.listing;
      const end = names.indexOf(0, offset);
      if (names[end - 1] === slash) {
        const entry = enter(levels, level, names.toString("latin1", offset, end - 1));
        if (entry !== undefined) yield entry;
        continue;
      }
      const name = names.toString("latin1", offset, end);
      if (name === ".") {
        yield plain(".", rootStat);
        continue;
      }
      const entry = look(level, name, addressOf(names) + offset, rootStat, options);
      if (entry !== undefined) yield entry;
    }
  } finally {
    for (const level of levels) closeSync(level.fd);
  }
}

const slash = 0x2f;

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

function plain(path: string, stat: ExactStat, target?: string): WalkedEntry {
  return { path, stat, target, isForeignMount: false, failure: undefined };
}

function look(
  level: Level,
  name: string,
  pointer: number,
  rootStat: ExactStat,
  options: WalkOptions,
): WalkedEntry | undefined {
  const path = level.prefix + name;
  try {
    const stat = statAt(level.fd, pointer);
    const type = stat.mode & constants.S_IFMT;
    if (type === constants.S_IFLNK) return plain(path, stat, readLinkAt(level.fd, pointer));
    if (type !== constants.S_IFDIR) level.closed.add(name);
    if (stat.isMountRoot && !options.crossFileSystems) {
      level.closed.add(name);
      return { ...plain(path, stat), isForeignMount: true };
    }
    return plain(path, stat);
  } catch (thrown) {
    level.closed.add(name);
    if (isErrno(thrown, "ENOENT")) return undefined;
    return { ...plain(path, rootStat), failure: fromErrno(thrown, "statx", displayOf(path)) };
  }
}

/** Goes down into a directory. @returns an entry only where that failed */
function enter(levels: Level[], level: Level, name: string): WalkedEntry | undefined {
  if (level.closed.delete(name)) return undefined;
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
    return { ...plain(path, statFd(level.fd)), failure };
  }
}

function openLevel(fd: number, prefix: string): Level {
  return { fd, prefix, listing: list(fd, prefix === ""), next: 0, closed: new Set() };
}

/** Lists an open directory, sorted. @param withSelf whether `.` is wanted among the names */
function list(fd: number, withSelf: boolean): Listing {
  let names = Buffer.from(new ArrayBuffer(8192)); // its address is kept: never a small typed array
  let used = 0;
  const offsets: number[] = [];
  const add = (from: Buffer, start: number, end: number, tail: string) => {
    const length = end - start + tail.length + 1;
    while (used + length > names.length) {
      const grown = Buffer.from(new ArrayBuffer(names.length * 2));
      names.copy(grown, 0, 0, used);
      names = grown;
    }
    offsets.push(used);
    from.copy(names, used, start, end);
    if (tail !== "") names[end - start + used] = slash;
    used += length;
    names[used - 1] = 0;
  };
  for (let filled = readDirents(fd, direntsBuffer); filled > 0;) {
    for (let at = 0; at < filled;) {
      const recordLength = direntsBuffer.readUInt16LE(at + 16);
      const type = direntsBuffer[at + 18];
      const start = at + 19;
      const end = direntsBuffer.indexOf(0, start);
      at += recordLength;
      const isDot = direntsBuffer[start] === 0x2e && end - start === 1;
      const isDots = end - start === 2 && direntsBuffer.readUInt16LE(start) === 0x2e2e;
      if (isDots || (isDot && !withSelf)) continue;
      add(direntsBuffer, start, end, "");
      if (!isDot && (type === directoryType || type === unknownType)) {
        add(direntsBuffer, start, end, "/");
      }
    }
    filled = readDirents(fd, direntsBuffer);
  }
  return { names, order: sortOffsets(names, offsets) };
}

function sortOffsets(names: Buffer, offsets: readonly number[]): Uint32Array {
  const order = Uint32Array.from(offsets);
  order.sort((left, right) => {
    let a = left;
    let b = right;
    while (names[a] === names[b] && names[a] !== 0) {
      a += 1;
      b += 1;
    }
    return (names[a] ?? 0) - (names[b] ?? 0);
  });
  return order;
}
