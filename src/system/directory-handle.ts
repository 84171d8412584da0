// A directory held open by descriptor. Every change goes through it (by an *at call, or as /proc/self/fd/N/name), so
// that a parent which its owner swaps for a link meanwhile leads us nowhere (spec/links.md, "Root in other people's directories").
// Opening the chain and keeping handles is directory-tree.ts.

import * as fs from "node:fs";
import { CitadelError } from "../core/index.ts";
import { writeAll } from "./atomic-write.ts";
import { fromErrno, isErrno } from "./errno.ts";
import { toFileStat, type FileStat } from "./files.ts";
import { chownHeld, renameAt, renameWith, symlinkAt } from "./libc.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = fs.constants;
/** open(2); node:fs has no name for it. The same value on every Linux architecture that we build for. */
export const O_PATH = 0o10000000;

/** A name in a directory; bytes where it is not UTF-8. */
export type EntryName = string | Buffer;

export interface NewFileOptions {
  readonly mode: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** What one path's descriptor was found to be, for changes that need the object itself. */
export interface ObjectChange {
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export class DirectoryHandle {
  readonly #prefix: string;
  /** Entries changed since the last `sync`. */
  dirty = false;

  /** @param fd a directory opened O_RDONLY; closed by `close` */
  constructor(
    readonly path: string,
    readonly fd: number,
  ) {
    this.#prefix = `/proc/self/fd/${fd}/`;
  }

  /** The way to `name` through the descriptor. */
  at(name: string): string;
  at(name: EntryName): string | Buffer;
  at(name: EntryName): string | Buffer {
    return typeof name === "string"
      ? this.#prefix + name
      : Buffer.concat([Buffer.from(this.#prefix), name]);
  }

  /** `name` as people see it. */
  pathOf(name: EntryName): string {
    return this.path === "/" ? `/${name.toString()}` : `${this.path}/${name.toString()}`;
  }

  /** lstat(2); undefined where nothing is. */
  lstat(name: EntryName): FileStat | undefined {
    try {
      const stat = fs.lstatSync(this.at(name), { throwIfNoEntry: false });
      return stat && toFileStat(stat);
    } catch (thrown) {
      throw this.#error("lstat", name, thrown);
    }
  }

  /** readlink(2) @throws code `NAME_NOT_UTF8` where the target cannot be told as text */
  readlink(name: EntryName): string {
    try {
      const text = fs.readlinkSync(this.at(name));
      if (text.includes("\uFFFD")) this.#assertUtf8(name, text);
      return text;
    } catch (thrown) {
      throw this.#error("readlink", name, thrown);
    }
  }

  #assertUtf8(name: EntryName, text: string): void {
    const bytes = fs.readlinkSync(this.at(name), { encoding: "buffer" });
    if (bytes.equals(Buffer.from(text))) return;
    throw new CitadelError({
      kind: "unsupported",
      code: "NAME_NOT_UTF8",
      message: `the target of the link ${this.pathOf(name)} is not UTF-8`,
      path: this.pathOf(name),
      hint: "replace this link by hand: the agent could not put it back as it was",
    });
  }

  /** Names in the directory as bytes, sorted. */
  list(): Buffer[] {
    try {
      const names = fs.readdirSync(this.#prefix, { encoding: "buffer" });
      return names.sort(Buffer.compare);
    } catch (thrown) {
      throw fromErrno(thrown, "readdir", this.path);
    }
  }

  /** Names in the directory as text, in no order. */
  names(): string[] {
    try {
      return fs.readdirSync(this.#prefix);
    } catch (thrown) {
      throw fromErrno(thrown, "readdir", this.path);
    }
  }

  symlink(target: string | Buffer, name: EntryName): void {
    try {
      const isText = typeof target === "string" && typeof name === "string";
      if (!isText || !symlinkAt(target, this.fd, name)) fs.symlinkSync(target, this.at(name));
    } catch (thrown) {
      throw this.#error("symlink", name, thrown);
    }
    this.dirty = true;
  }

  /** rename(2), over whatever `toName` is. */
  rename(name: EntryName, toName: EntryName, to: DirectoryHandle = this): void {
    try {
      const isText = typeof name === "string" && typeof toName === "string";
      if (!isText || !renameAt(this.fd, name, to.fd, toName)) {
        fs.renameSync(this.at(name), to.at(toName));
      }
    } catch (thrown) {
      throw to.#error("rename", toName, thrown);
    }
    this.dirty = true;
    to.dirty = true;
  }

  /**
   * Renames without replacing anything: renameat2(2), or link + unlink for files, or check + rename for
   * directories where the call is missing. @throws kind `conflict`, code `ALREADY_EXISTS`
   */
  renameNoReplace(name: EntryName, toName: EntryName, to: DirectoryHandle = this): void {
    try {
      if (!renameWith("no-replace", this.at(name), to.at(toName))) {
        this.#renameCarefully(name, toName, to);
      }
    } catch (thrown) {
      throw to.#error("rename", toName, thrown);
    }
    this.dirty = true;
    to.dirty = true;
  }

  #renameCarefully(name: EntryName, toName: EntryName, to: DirectoryHandle): void {
    const type = this.lstat(name)?.type;
    if (type === "directory") {
      if (to.lstat(toName) !== undefined) throw Object.assign(new Error(), { code: "EEXIST" });
      fs.renameSync(this.at(name), to.at(toName));
      return;
    }
    fs.linkSync(this.at(name), to.at(toName));
    fs.unlinkSync(this.at(name));
  }

  /** Exchanges two entries in one step. @returns false where the kernel or FFI cannot: nothing was done */
  exchange(name: EntryName, other: EntryName): boolean {
    try {
      const done = renameWith("exchange", this.at(name), this.at(other));
      if (done) this.dirty = true;
      return done;
    } catch (thrown) {
      throw this.#error("rename", other, thrown);
    }
  }

  /** link(2): a second name for a file; never replaces, never follows. */
  link(name: EntryName, toName: EntryName, to: DirectoryHandle = this): void {
    try {
      fs.linkSync(this.at(name), to.at(toName));
    } catch (thrown) {
      throw to.#error("link", toName, thrown);
    }
    to.dirty = true;
  }

  unlink(name: EntryName): void {
    try {
      fs.unlinkSync(this.at(name));
    } catch (thrown) {
      throw this.#error("unlink", name, thrown);
    }
    this.dirty = true;
  }

  /** rmdir(2) @throws kind `conflict`, code `NOT_EMPTY` */
  rmdir(name: EntryName): void {
    try {
      fs.rmdirSync(this.at(name));
    } catch (thrown) {
      throw this.#error("rmdir", name, thrown);
    }
    this.dirty = true;
  }

  /**
   * Makes a directory with exactly this mode and owner, whatever the umask: made 0700, then owner, then mode, all
   * on the descriptor of a directory that is empty and ours, so that nothing swapped in gets our chown.
   */
  mkdir(name: EntryName, options: NewFileOptions): void {
    try {
      fs.mkdirSync(this.at(name), 0o700);
    } catch (thrown) {
      throw this.#error("mkdir", name, thrown);
    }
    this.dirty = true;
    try {
      const fd = fs.openSync(this.at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        this.#assertFresh(fd, name);
        changeObject(fd, fs.fstatSync(fd), options);
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    } catch (thrown) {
      throw this.#error("mkdir", name, thrown);
    }
  }

  #assertFresh(fd: number, name: EntryName): void {
    const stat = fs.fstatSync(fd);
    if (stat.uid === process.geteuid?.() && stat.nlink <= 2) return;
    throw swapped(this.pathOf(name));
  }

  /**
   * lchown(2) of a symbolic link, through a descriptor: what the directory's owner puts in its place (a hard link to
   * a file of root's, a snapshot of root's under this name) keeps its owner.
   * @throws code `HOST_CHANGED` where it is no link, or one with several names
   */
  lchown(name: EntryName, uid: number, gid: number): void {
    try {
      const fd = fs.openSync(this.at(name), O_PATH | O_NOFOLLOW);
      try {
        const stat = fs.fstatSync(fd);
        if (!stat.isSymbolicLink() || stat.nlink !== 1) throw swapped(this.pathOf(name));
        if (!chownHeld(fd, uid, gid)) fs.chownSync(`/proc/self/fd/${fd}`, uid, gid);
      } finally {
        fs.closeSync(fd);
      }
    } catch (thrown) {
      throw this.#error("lchown", name, thrown);
    }
    this.dirty = true;
  }

  /**
   * Sets mode and owner of a file or directory through an O_PATH descriptor and flushes it.
   * @throws code `HARD_LINKED` for a file with more than one name: it may be someone's outside of this tree
   */
  change(name: EntryName, change: ObjectChange): void {
    try {
      const fd = fs.openSync(this.at(name), O_PATH | O_NOFOLLOW);
      try {
        const stat = fs.fstatSync(fd);
        this.#assertChangeable(stat, name);
        if (stat.isDirectory()) this.#assertNoSnapshot(fd, stat, name);
        changeThrough(`/proc/self/fd/${fd}`, stat, change);
        syncThrough(`/proc/self/fd/${fd}`);
      } finally {
        fs.closeSync(fd);
      }
    } catch (thrown) {
      throw this.#error(change.mode === undefined ? "chown" : "chmod", name, thrown);
    }
    this.dirty = true;
  }

  /**
   * Who owns `models` may rename root's `models/<id>` to `models/daily`: giving it the owner and mode of that would
   * open a snapshot to him.
   */
  #assertNoSnapshot(fd: number, stat: fs.Stats, name: EntryName): void {
    if (stat.uid !== 0 || process.geteuid?.() !== 0) return;
    const holds = (entry: string) =>
      fs.lstatSync(`/proc/self/fd/${fd}/${entry}`, { throwIfNoEntry: false })?.uid === 0;
    if (!holds("snapshot.json") && !holds(".work")) return;
    throw new CitadelError({
      kind: "conflict",
      code: "HOST_CHANGED",
      message: `${this.pathOf(name)} is a snapshot of root's; its owner and mode are left alone`,
      path: this.pathOf(name),
      hint: "somebody renamed a snapshot: rename it back to the id in its snapshot.json",
    });
  }

  #assertChangeable(stat: fs.Stats, name: EntryName): void {
    if (stat.isDirectory() || (stat.isFile() && stat.nlink === 1)) return;
    throw new CitadelError({
      kind: "conflict",
      code: stat.isFile() ? "HARD_LINKED" : "HOST_CHANGED",
      message: stat.isFile()
        ? `${this.pathOf(name)} has ${stat.nlink} names; mode and owner are left alone`
        : `${this.pathOf(name)} is neither a file nor a directory`,
      path: this.pathOf(name),
      hint: "look at it with `ls -li` and change it by hand if that is right",
    });
  }

  /** Creates a file that was not there, complete and flushed. @throws `ALREADY_EXISTS` */
  createFile(name: EntryName, content: string | Uint8Array, options: NewFileOptions): void {
    const fd = this.createFd(name);
    this.dirty = true;
    try {
      writeAll(fd, content, this.pathOf(name));
      changeObject(fd, fs.fstatSync(fd), options);
      fs.fsyncSync(fd);
    } catch (thrown) {
      throw this.#error("write", name, thrown);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** A descriptor for writing on a new empty file (0600), O_EXCL|O_NOFOLLOW. The caller closes it. */
  createFd(name: EntryName): number {
    try {
      return fs.openSync(this.at(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    } catch (thrown) {
      throw this.#error("open", name, thrown);
    }
  }

  /** A descriptor for reading a regular file, never through a link, never waiting on a FIFO. */
  openFile(name: EntryName): { fd: number; stat: FileStat } {
    try {
      const fd = fs.openSync(this.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      return { fd, stat: toFileStat(fs.fstatSync(fd)) };
    } catch (thrown) {
      throw this.#error("open", name, thrown);
    }
  }

  /** The content of a regular file of at most `limitBytes`. @throws code `FILE_TOO_LARGE` */
  readFile(name: EntryName, limitBytes: number): Buffer {
    const { fd, stat } = this.openFile(name);
    try {
      if (stat.type !== "file" || stat.sizeBytes > limitBytes) {
        throw new CitadelError({
          kind: "unsupported",
          code: "FILE_TOO_LARGE",
          message: `${this.pathOf(name)} is not a file of at most ${limitBytes} bytes`,
          path: this.pathOf(name),
          hint: "move it aside by hand; files this large are not kept in the journal",
        });
      }
      return fs.readFileSync(fd);
    } catch (thrown) {
      throw this.#error("read", name, thrown);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** The directory `name` as a handle of its own, never through a link. The caller closes it. */
  openDirectory(name: EntryName): DirectoryHandle {
    try {
      const fd = fs.openSync(this.at(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      return new DirectoryHandle(this.pathOf(name), fd);
    } catch (thrown) {
      throw this.#error("open", name, thrown);
    }
  }

  /** The target of a link as bytes. */
  readlinkBytes(name: EntryName): Buffer {
    try {
      return fs.readlinkSync(this.at(name), { encoding: "buffer" });
    } catch (thrown) {
      throw this.#error("readlink", name, thrown);
    }
  }

  /** lutimes(3), to about 120 ns. @param mtimeMs as in FileStat */
  setTimes(name: EntryName, mtimeMs: number): void {
    try {
      fs.lutimesSync(this.at(name), mtimeMs / 1000, mtimeMs / 1000);
    } catch (thrown) {
      throw this.#error("utimensat", name, thrown);
    }
  }

  /** Flushes the directory's entries (fsync(2)). A failure is never retried. */
  sync(): void {
    try {
      fs.fsyncSync(this.fd);
    } catch (thrown) {
      throw fromErrno(thrown, "fsync", this.path);
    }
    this.dirty = false;
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  #error(call: string, name: EntryName, thrown: unknown): CitadelError {
    return fromErrno(thrown, call, this.pathOf(name));
  }
}

function swapped(path: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "HOST_CHANGED",
    message: `${path} was swapped while it was made`,
    path,
    hint: "see who else writes to this directory, then run the command again",
  });
}

/** Owner first: chown(2) clears setuid and setgid bits. */
function changeObject(fd: number, stat: fs.Stats, wanted: ObjectChange): void {
  const uid = wanted.uid ?? stat.uid;
  const gid = wanted.gid ?? stat.gid;
  if (uid !== stat.uid || gid !== stat.gid) fs.fchownSync(fd, uid, gid);
  if (wanted.mode !== undefined) fs.fchmodSync(fd, wanted.mode);
}

function changeThrough(path: string, stat: fs.Stats, wanted: ObjectChange): void {
  const uid = wanted.uid ?? stat.uid;
  const gid = wanted.gid ?? stat.gid;
  const chown = uid !== stat.uid || gid !== stat.gid;
  if (chown) fs.chownSync(path, uid, gid);
  const mode =
    wanted.mode ?? (chown && (stat.mode & 0o6000) !== 0 ? stat.mode & 0o7777 : undefined);
  if (mode !== undefined) fs.chmodSync(path, mode);
}

function syncThrough(path: string): void {
  let fd: number;
  try {
    fd = fs.openSync(path, O_RDONLY | O_NONBLOCK);
  } catch (thrown) {
    if (isErrno(thrown, "EACCES")) return; // ours but not readable: its parent's flush carries the inode
    throw thrown;
  }
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
