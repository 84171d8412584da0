// File calls for trees whose names are bytes: a path here is a string with one character (0..255) per byte, and an
// error is the system's own (with `code`), for callers that decide by it. Nothing follows a link in the last part.

import * as fs from "node:fs";
import { O_PATH } from "./directory-handle.ts";
import { leaveDirect, setMtimeFd, setMtimeHeld, setXattrFd, setXattrHeld } from "./native.ts";
import { isErrno } from "./errno.ts";
import { makeDirectoryAt } from "./pinned-directory.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = fs.constants;
const { O_DIRECT, O_NOATIME } = fs.constants;

/** The path's bytes, for calls of node:fs. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

/** Whether opening with O_DIRECT was refused: then the caller opens without it. */
function isUnsupported(thrown: unknown): boolean {
  return isErrno(thrown, "EINVAL", "ENOTSUP", "EOPNOTSUPP");
}

export interface OpenedFile {
  readonly fd: number;
  readonly direct: boolean;
}

/**
 * Opens a file for reading without following a link, without waiting (a FIFO that took its place), and without
 * touching its access time where we may.
 * @param direct past the page cache, where the file system can
 */
export function openForReading(path: string, direct: boolean): OpenedFile {
  const bytes = pathBytes(path);
  const plain = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  const open = (flags: number): number => {
    try {
      return fs.openSync(bytes, flags | O_NOATIME);
    } catch (thrown) {
      if (!isErrno(thrown, "EPERM")) throw thrown; // O_NOATIME is the owner's and root's
      return fs.openSync(bytes, flags);
    }
  };
  if (!direct) return { fd: open(plain), direct: false };
  try {
    return { fd: open(plain | O_DIRECT), direct: true };
  } catch (thrown) {
    if (!isUnsupported(thrown)) throw thrown;
    return { fd: open(plain), direct: false };
  }
}

/** Creates a file that must not be there yet, mode 0600; what a killed run left in its place is removed. */
export function createForWriting(path: string, direct: boolean): OpenedFile {
  const bytes = pathBytes(path);
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return { fd: fs.openSync(bytes, direct ? flags | O_DIRECT : flags, 0o600), direct };
    } catch (thrown) {
      if (isErrno(thrown, "EEXIST") && attempt < 2) {
        fs.unlinkSync(bytes);
      } else if (direct && isUnsupported(thrown)) {
        removeFile(path); // open(2) with O_CREAT may have made the file before it refused O_DIRECT
        return createForWriting(path, false);
      } else {
        throw thrown;
      }
    }
  }
}

/** Makes the call, and once more without O_DIRECT where that was refused. */
export async function pastDirect<T>(fd: number, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    if (!isErrno(thrown, "EINVAL")) throw thrown;
    leaveDirect(fd);
    return call();
  }
}

/** The same for a call that waits. */
export function pastDirectSync<T>(fd: number, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    if (!isErrno(thrown, "EINVAL")) throw thrown;
    leaveDirect(fd);
    return call();
  }
}

/** fs.read or fs.write, of which this form is one of many. */
type Call = (
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
  done: (error: Error | null, count: number) => void,
) => void;

/** pread(2) or pwrite(2), on the I/O threads. @returns bytes read or written, 0 at the end */
function callAt(call: Call, fd: number, buffer: Uint8Array, position: number): Promise<number> {
  return pastDirect(fd, () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    call(fd, buffer, 0, buffer.length, position, (error, count) =>
      error ? reject(error) : resolve(count),
    );
    return promise;
  });
}

/** Reads until `buffer` is full or the file ends. */
export async function readFullyAt(
  fd: number,
  buffer: Uint8Array,
  position: number,
): Promise<number> {
  let done = 0;
  while (done < buffer.length) {
    const count = await callAt(
      fs.read,
      fd,
      done === 0 ? buffer : buffer.subarray(done),
      position + done,
    );
    if (count === 0) break;
    done += count;
    if (count % 4096 !== 0) break; // the end: with O_DIRECT there is no reading on from an odd place
  }
  return done;
}

/** Reads until `buffer` is full or the file ends, on this thread. */
export function readFullySync(fd: number, buffer: Uint8Array, position: number): number {
  let done = 0;
  while (done < buffer.length) {
    const count = pastDirectSync(fd, () =>
      fs.readSync(fd, buffer, done, buffer.length - done, position + done),
    );
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes everything, on the I/O threads. */
export async function writeFullyAt(
  fd: number,
  buffer: Uint8Array,
  position: number,
): Promise<void> {
  let done = 0;
  while (done < buffer.length) {
    done += await callAt(
      fs.write,
      fd,
      done === 0 ? buffer : buffer.subarray(done),
      position + done,
    );
  }
}

/** Writes everything, on this thread. */
export function writeFullySync(fd: number, buffer: Uint8Array, position: number): void {
  let done = 0;
  while (done < buffer.length) {
    done += pastDirectSync(fd, () =>
      fs.writeSync(fd, buffer, done, buffer.length - done, position + done),
    );
  }
}

/** What a copied file gets besides its content. */
export interface FileAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

/**
 * Sets owner, attributes, mode and time, in the order in which none undoes another. An owner or attribute that we
 * may not set, or that the file system cannot hold, is left: the manifest has it.
 */
export function setAttributes(fd: number, wanted: FileAttributes): void {
  try {
    fs.fchownSync(fd, wanted.uid, wanted.gid);
  } catch (thrown) {
    if (!isErrno(thrown, "EPERM", "EINVAL", "ENOTSUP", "EOPNOTSUPP")) throw thrown;
  }
  for (const [name, value] of wanted.xattrs ?? []) setXattrFd(fd, name, value);
  fs.fchmodSync(fd, wanted.mode & 0o7777);
  setMtimeFd(fd, wanted.mtimeNs);
}

export function truncateFile(fd: number, sizeBytes: number): void {
  fs.ftruncateSync(fd, sizeBytes);
}

/** fsync(2) on the I/O threads. */
export function flushFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fsync(fd, (error) => (error ? reject(error) : resolve()));
  });
}

export function closeFile(fd: number): void {
  fs.closeSync(fd);
}

/** unlink(2); what is not there is fine. */
export function removeFile(path: string): void {
  try {
    fs.unlinkSync(pathBytes(path));
  } catch (thrown) {
    if (!isErrno(thrown, "ENOENT", "ENOTDIR")) throw thrown;
  }
}

/** rmdir(2). @throws EISDIR where it is not empty, which says what is in the way; the system's error */
export function removeEmptyDirectory(path: string): void {
  try {
    fs.rmdirSync(pathBytes(path));
  } catch (thrown) {
    if (!isErrno(thrown, "ENOTEMPTY", "EEXIST")) throw thrown;
    const message = "EISDIR: a directory that is not empty lies in its place";
    throw Object.assign(new Error(message, { cause: thrown }), { code: "EISDIR" });
  }
}

/** link(2). @throws the system's error: EEXIST, EMLINK, EPERM, EXDEV */
export function hardLink(existing: string, path: string): void {
  fs.linkSync(pathBytes(existing), pathBytes(path));
}

/** mkdir(2) with the mode given, whatever the umask. @returns false where there is something already */
export function makeDirectory(path: string, mode: number): boolean {
  return makeDirectoryAt(pathBytes(path), mode);
}

export function makeSymlink(target: string, path: string): void {
  fs.symlinkSync(pathBytes(target), pathBytes(path));
}

/** lchown(2); an owner that we may not set is left. */
export function setOwner(path: string, uid: number, gid: number): void {
  try {
    fs.lchownSync(pathBytes(path), uid, gid);
  } catch (thrown) {
    if (!isErrno(thrown, "EPERM", "EINVAL", "ENOTSUP", "EOPNOTSUPP")) throw thrown;
  }
}

/**
 * setAttributes for a link, FIFO, socket or device that was just made in a directory that somebody else may write: what
 * he put in its place meanwhile (a hard link, a directory of ours) stays as it is. A link has no mode of its own.
 * @throws EEXIST where it is not a new one of ours
 */
export function setAttributesOfNew(path: string, wanted: FileAttributes): void {
  const fd = fs.openSync(pathBytes(path), O_PATH | O_NOFOLLOW);
  try {
    const stat = fs.fstatSync(fd);
    const isNew = stat.uid === process.geteuid?.() && stat.nlink === 1;
    if (!isNew || stat.isFile() || stat.isDirectory()) {
      throw Object.assign(new Error("EEXIST: swapped while it was made"), { code: "EEXIST" });
    }
    setHeldOwner(fd, wanted.uid, wanted.gid);
    for (const [name, value] of wanted.xattrs ?? []) setXattrHeld(fd, name, value);
    if (!stat.isSymbolicLink()) fs.chmodSync(`/proc/self/fd/${fd}`, wanted.mode & 0o7777);
    setMtimeHeld(fd, wanted.mtimeNs);
  } finally {
    fs.closeSync(fd);
  }
}

function setHeldOwner(fd: number, uid: number, gid: number): void {
  try {
    fs.chownSync(`/proc/self/fd/${fd}`, uid, gid);
  } catch (thrown) {
    if (!isErrno(thrown, "EPERM", "EINVAL", "ENOTSUP", "EOPNOTSUPP")) throw thrown;
  }
}

export function setMode(path: string, mode: number): void {
  fs.chmodSync(pathBytes(path), mode);
}

export function renamePath(from: string, to: string): void {
  fs.renameSync(pathBytes(from), pathBytes(to));
}

/** Removes whatever lies there, a whole tree included. */
export function removeTree(path: string): void {
  try {
    fs.rmSync(pathBytes(path), { recursive: true, force: true });
  } catch (thrown) {
    // Bun 1.4.5 tells every error that rm does not expect (ENOSPC, EIO, EROFS) as EFAULT
    if (!isErrno(thrown, "EFAULT")) throw thrown;
    removeStepByStep(path);
  }
}

function removeStepByStep(path: string): void {
  const bytes = pathBytes(path);
  if (!fs.lstatSync(bytes).isDirectory()) return removeFile(path);
  for (const name of fs.readdirSync(bytes, { encoding: "buffer" })) {
    removeStepByStep(`${path}/${name.toString("latin1")}`);
  }
  fs.rmdirSync(bytes);
}

/** Where an open file really lies, with every link resolved. */
export function pathOfFd(fd: number): string {
  return fs.readlinkSync(`/proc/self/fd/${fd}`, "latin1" as BufferEncoding);
}

/** Opens a directory (for syncfs, fsync). */
export function openDirectory(path: string): number {
  return fs.openSync(pathBytes(path), O_RDONLY | O_DIRECTORY);
}

/** A file that is written from its beginning to its end, in blocks of 256 KiB. Latin1 text: one byte per character. */
export class SequentialWriter {
  readonly #fd: number;
  #pending: string[] = [];
  #pendingLength = 0;
  #sizeBytes = 0;
  readonly #onBlock: ((block: Buffer) => void) | undefined;

  /** @param onBlock sees every block before it is written (a running hash) */
  constructor(path: string, append = false, onBlock?: (block: Buffer) => void) {
    const flags = append ? fs.constants.O_APPEND : fs.constants.O_TRUNC;
    this.#fd = fs.openSync(pathBytes(path), O_WRONLY | O_CREAT | O_NOFOLLOW | flags, 0o600);
    this.#onBlock = onBlock;
  }

  get sizeBytes(): number {
    return this.#sizeBytes + this.#pendingLength;
  }

  /** @param text latin1, one character per byte; or UTF-8 text that is ASCII */
  write(text: string): void {
    this.#pending.push(text);
    this.#pendingLength += text.length;
    if (this.#pendingLength >= 256 * 1024) this.flush();
  }

  flush(): void {
    if (this.#pendingLength === 0) return;
    const block = Buffer.from(this.#pending.join(""), "latin1");
    this.#pending = [];
    this.#pendingLength = 0;
    this.#onBlock?.(block);
    let done = 0;
    while (done < block.length) done += fs.writeSync(this.#fd, block, done);
    this.#sizeBytes += block.length;
  }

  close(flushToDisk: boolean): void {
    try {
      this.flush();
      if (flushToDisk) fs.fsyncSync(this.#fd);
    } finally {
      fs.closeSync(this.#fd);
    }
  }

  /** Closes without writing what is pending: after a failure. */
  abandon(): void {
    fs.closeSync(this.#fd);
  }
}

/** The bytes of a file in blocks; the buffer is used again for the next one. */
export function* readBlocks(path: string, blockBytes = 256 * 1024): Generator<Buffer> {
  const fd = fs.openSync(pathBytes(path), O_RDONLY | O_NOFOLLOW);
  const buffer = Buffer.allocUnsafe(blockBytes);
  try {
    for (let at = 0; ;) {
      const count = fs.readSync(fd, buffer, 0, blockBytes, at);
      if (count === 0) return;
      at += count;
      yield buffer.subarray(0, count);
    }
  } finally {
    fs.closeSync(fd);
  }
}
