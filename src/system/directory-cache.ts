// Directories below a root that others may change while we work: each is opened from its parent's descriptor without
// following a link, and files are named through that descriptor (`/proc/self/fd/N/name`), so that nobody can swap a
// part of a path for a link between our look and our call. Paths hold one character (0..255) per byte.

import * as fs from "node:fs";
import { CitadelError } from "../core/index.ts";
import { cString, openDirectoryAt } from "./native.ts";
import { fromErrno, isErrno } from "./errno.ts";
import { hardLink } from "./raw-file.ts";

/** Descriptors kept open; deeper trees open theirs again. */
const maxOpen = 128;

const shown = (path: string) => Buffer.from(path, "latin1").toString("utf8");

export class DirectoryCache implements Disposable {
  #root: number;
  readonly #open = new Map<string, number>();

  /** @param root absolute path as text; a link in its last part is refused @throws kinds of fromErrno */
  constructor(root: string) {
    const flags = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;
    try {
      this.#root = fs.openSync(root, flags);
    } catch (thrown) {
      throw fromErrno(thrown, "open", root);
    }
  }

  /** The descriptor of the root, for syncfs, fsync, fstat. */
  get rootFd(): number {
    return this.#root;
  }

  /** Descriptor of a directory; valid until 128 others were asked for. @throws kinds of fromErrno: SYMLINK_IN_PATH */
  directory(path: string): number {
    if (path === "." || path === "") return this.#root;
    const known = this.#open.get(path);
    if (known !== undefined) {
      this.#open.delete(path); // to the end: the one used last goes last
      this.#open.set(path, known);
      return known;
    }
    const cut = path.lastIndexOf("/");
    const parent = this.directory(cut === -1 ? "." : path.slice(0, cut));
    let fd: number;
    try {
      fd = openDirectoryAt(parent, cString(path.slice(cut + 1)));
    } catch (thrown) {
      throw fromErrno(thrown, "open", shown(path));
    }
    this.#open.set(path, fd);
    if (this.#open.size > maxOpen) {
      const [[oldest, oldestFd]] = this.#open as unknown as [[string, number]];
      this.#open.delete(oldest);
      fs.closeSync(oldestFd);
    }
    return fd;
  }

  /** A path for a system call, its parent pinned: to be used at once. */
  at(path: string): string {
    const cut = path.lastIndexOf("/");
    const parent = this.directory(cut === -1 ? "." : path.slice(0, cut));
    return `/proc/self/fd/${parent}/${path.slice(cut + 1)}`;
  }

  /** link(2) of a file below the root to another place below it. @throws kinds of fromErrno; the system's error */
  link(existing: string, path: string): void {
    const from = this.at(existing);
    if (path.split("/").length < maxOpen) return hardLink(from, this.at(path));
    // so deep that looking the second one up may close the first one's directory
    const cut = from.lastIndexOf("/");
    const held = fs.openSync(`${from.slice(0, cut)}/.`, fs.constants.O_RDONLY);
    try {
      hardLink(`/proc/self/fd/${held}${from.slice(cut)}`, this.at(path));
    } finally {
      fs.closeSync(held);
    }
  }

  /** The names in a directory, one character per byte, in no order; none where it does not exist. */
  names(path: string): string[] {
    try {
      return fs.readdirSync(`/proc/self/fd/${this.directory(path)}/`, "latin1");
    } catch (thrown) {
      if (isAbsent(thrown)) return [];
      throw thrown instanceof CitadelError ? thrown : fromErrno(thrown, "readdir", shown(path));
    }
  }

  /** Forgets a directory that was removed or replaced. */
  forget(path: string): void {
    for (const [name, fd] of this.#open) {
      if (name !== path && !name.startsWith(`${path}/`)) continue;
      this.#open.delete(name);
      fs.closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) fs.closeSync(fd);
    this.#open.clear();
    fs.closeSync(this.#root);
    this.#root = -1; // the number may be another file's soon: who comes too late must not find that
  }
}

/** Whether a call failed because nothing is there. */
export function isAbsent(thrown: unknown): boolean {
  return isErrno(thrown, "ENOENT") || isErrno((thrown as Error).cause, "ENOENT");
}
