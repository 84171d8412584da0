// Walks a tree in the order of path bytes, without following a link inside and without ever holding more than the
// names of the directories on the way down. Names are bytes: strings with one character (0..255) per byte.

import { closeSync, constants, openSync } from "node:fs";
import {
  type WalkedStat,
  addressOf,
  openDirectoryAt,
  readDirents,
  readLinkAt,
  walkStatAt,
  walkStatFd,
} from "./native.ts";
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

/**
 * The names of one directory, zero-terminated, in blocks: a name lies whole in one block. A directory is there twice:
 * `a` and `a/`. A place is the number of the block times its size, and the offset in it.
 */
interface Listing {
  readonly blocks: readonly Buffer[];
  /** Addresses of the blocks. */
  readonly addresses: readonly number[];
  /** Places of the names, sorted by bytes. */
  readonly order: Uint32Array;
}

interface Level {
  readonly fd: number;
  /** Path of the directory with a slash at its end; empty for the root. */
  readonly prefix: string;
  readonly listing: Listing;
  next: number;
  /** Subdirectories that were seen and wait for their turn: few at any time. */
  readonly toEnter: Set<string>;
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
    const rootStat = walkStatFd(rootFd);
    levels.push(openLevel(rootFd, ""));
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const place = level.listing.order[level.next];
      if (place === undefined) {
        closeSync(level.fd);
        levels.pop();
        continue;
      }
      level.next += 1;
      const number = Math.floor(place / blockBytes);
      const offset = place % blockBytes;
      const block = level.listing.blocks[number] ?? direntsBuffer;
      const end = block.indexOf(0, offset);
      if (block[end - 1] === slash) {
        const entry = enter(levels, level, block.toString("latin1", offset, end - 1));
        if (entry !== undefined) yield entry;
        continue;
      }
      const name = block.toString("latin1", offset, end);
      if (name === ".") {
        yield plain(".", rootStat);
        continue;
      }
      const address = (level.listing.addresses[number] ?? 0) + offset;
      const entry = look(level, name, address, rootStat, options);
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
  return { fd, prefix, listing: list(fd, prefix === ""), next: 0, toEnter: new Set() };
}

/** Lists an open directory, sorted. @param withSelf whether `.` is wanted among the names */
function list(fd: number, withSelf: boolean): Listing {
  const names = new NameStore();
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
      names.add(start, end, false);
      if (!isDot && (type === directoryType || type === unknownType)) names.add(start, end, true);
    }
    filled = readDirents(fd, direntsBuffer);
  }
  return names.finish();
}

const firstBlockBytes = 4096;
const blockBytes = 256 * 1024;

/** Collects names; memory grows by blocks, so that a directory of a million names costs what they take and no more. */
class NameStore {
  readonly #blocks: Buffer[] = [];
  #room = 0;
  #used = 0;
  #places = new Uint32Array(256);
  #count = 0;

  /** Adds the name at [start, end) of the dirents buffer. */
  add(start: number, end: number, withSlash: boolean): void {
    const length = end - start + (withSlash ? 2 : 1);
    if (this.#used + length > this.#room) this.#grow();
    const block = this.#blocks.at(-1);
    if (block === undefined) return;
    if (this.#count === this.#places.length) {
      const places = new Uint32Array(this.#count * 2);
      places.set(this.#places);
      this.#places = places;
    }
    this.#places[this.#count] = (this.#blocks.length - 1) * blockBytes + this.#used;
    this.#count += 1;
    direntsBuffer.copy(block, this.#used, start, end);
    if (withSlash) block[this.#used + length - 2] = slash;
    block[this.#used + length - 1] = 0;
    this.#used += length;
  }

  #grow(): void {
    // with an ArrayBuffer of its own, as its address is kept; most directories are small
    this.#room = this.#blocks.length === 0 ? firstBlockBytes : blockBytes;
    this.#blocks.push(Buffer.from(new ArrayBuffer(this.#room)));
    this.#used = 0;
  }

  finish(): Listing {
    const blocks = this.#blocks;
    const order = this.#places.subarray(0, this.#count);
    order.sort((left, right) => {
      const first = blocks[Math.floor(left / blockBytes)] ?? direntsBuffer;
      const second = blocks[Math.floor(right / blockBytes)] ?? direntsBuffer;
      let a = left % blockBytes;
      let b = right % blockBytes;
      while (first[a] === second[b] && first[a] !== 0) {
        a += 1;
        b += 1;
      }
      return (first[a] ?? 0) - (second[b] ?? 0);
    });
    return { blocks, addresses: blocks.map(addressOf), order };
  }
}
