// The tree of a snapshot that is repaired, as root writes into it: every directory is opened from its parent without
// following a link, because the disk may come from anywhere. New files are made at the top of the snapshot, where nobody
// restores from and no verification counts them, and renamed to their places.

import { temporaryName, temporaryPrefix } from "../../system/atomic-write.ts";
import { DirectoryCache, isAbsent } from "../../system/directory-cache.ts";
import { isErrno } from "../../system/errno.ts";
import { statExact } from "../../system/native.ts";
import {
  closeFile,
  flushFile,
  hardLink,
  makeDirectory,
  makeSymlink,
  openDirectory,
  removeEmptyDirectory,
  removeFile,
  renamePath,
  setMode,
} from "../../system/raw-file.ts";
import type { PinnedDirectory } from "../../system/pinned-directory.ts";
import { typeOfMode } from "../create/entry.ts";
import type { BytePath } from "../format/byte-path.ts";

/** What tells one file from another on this machine. */
export interface Inode {
  readonly dev: number;
  readonly ino: bigint;
}

/** The inode of the file at a path. @returns undefined where none is, or nothing can be seen */
export function inodeOf(path: string): (Inode & { readonly linkCount: number }) | undefined {
  try {
    const stat = statExact(path);
    return typeOfMode(stat.mode) === "file" ? stat : undefined;
  } catch {
    return undefined;
  }
}

export class SnapshotTree implements Disposable {
  readonly #directories: DirectoryCache;
  readonly #top: string;

  /** @param pin the snapshot's directory, which must be ours alone; it stays the caller's */
  constructor(pin: PinnedDirectory) {
    this.#top = pin.through;
    this.#directories = new DirectoryCache(`${pin.through}/.`);
  }

  /** The way to a path of the snapshot, its parent pinned: to be used at once. @throws SYMLINK_IN_PATH, NOT_FOUND */
  at(path: BytePath): string {
    return this.#directories.at(path);
  }

  inodeOf(path: BytePath): ReturnType<typeof inodeOf> {
    try {
      return inodeOf(this.at(path));
    } catch {
      return undefined; // its directory is not there, or is a link
    }
  }

  /** Makes the directories above a path. @throws SYMLINK_IN_PATH, or what lies in the place of a directory */
  makeParents(path: BytePath): void {
    for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
      const parent = path.slice(0, end);
      try {
        this.#directories.directory(parent);
      } catch (thrown) {
        if (!isAbsent(thrown)) throw thrown;
        this.#inWritable(parent as BytePath, () => {
          makeDirectory(this.#directories.at(parent), 0o700);
        });
      }
    }
  }

  /** Makes a directory what the manifest says; what is no directory gives way. */
  makeDirectory(path: BytePath, mode: number): void {
    this.makeParents(path);
    this.#inWritable(path, () => {
      const place = this.at(path);
      const type = typeOfPath(place);
      if (type !== undefined && type !== "directory") removeFile(place);
      makeDirectory(place, mode);
    });
    this.#directories.forget(path);
    setMode(`/proc/self/fd/${this.#directories.directory(path)}/.`, mode);
  }

  makeSymlink(path: BytePath, target: string): void {
    const temporary = this.temporary();
    makeSymlink(target, temporary);
    this.#moveOrRemove(temporary, path);
  }

  /** A name at the top that nobody can guess. */
  temporary(): string {
    return `${this.#top}/${temporaryName()}`;
  }

  /**
   * Puts what was made under a temporary name into its place, where a file, an empty directory or nothing lies.
   * @throws the system's error; EISDIR where a directory that is not empty lies there
   */
  move(temporary: string, path: BytePath): void {
    this.makeParents(path);
    this.#inWritable(path, () => {
      const place = this.at(path);
      if (typeOfPath(place) === "directory") removeEmptyDirectory(place);
      renamePath(temporary, place);
    });
  }

  /** Without root's rights a directory that is read-only at the source has to be opened for the moment. */
  #inWritable(path: BytePath, change: () => void): void {
    try {
      return change();
    } catch (thrown) {
      if (!isErrno(thrown, "EACCES")) throw thrown;
    }
    const parent = `/proc/self/fd/${this.#directories.directory(path.slice(0, path.lastIndexOf("/")))}/.`;
    const { mode } = statExact(parent);
    setMode(parent, (mode & 0o7777) | 0o300);
    try {
      change();
    } finally {
      setMode(parent, mode & 0o7777);
    }
  }

  /** Gives a path a file of another snapshot, or of this one. */
  linkFrom(existing: string, path: BytePath): void {
    const temporary = this.temporary();
    hardLink(existing, temporary);
    this.#moveOrRemove(temporary, path);
  }

  #moveOrRemove(temporary: string, path: BytePath): void {
    try {
      this.move(temporary, path);
    } catch (thrown) {
      removeFile(temporary);
      throw thrown;
    }
  }

  /** Flushes the directory of a path. */
  async flushParent(path: BytePath): Promise<void> {
    const parent = path.slice(0, path.lastIndexOf("/"));
    const fd = openDirectory(`/proc/self/fd/${this.#directories.directory(parent)}/.`);
    await flushFile(fd).finally(() => closeFile(fd));
  }

  /** For syncfs. */
  get fd(): number {
    return this.#directories.rootFd;
  }

  /** Removes what killed repairs left. Only while no other repair runs. */
  dropLeftovers(): void {
    for (const name of this.#directories.names(".")) {
      if (!name.startsWith(temporaryPrefix)) continue;
      const place = `${this.#top}/${name}`;
      if (typeOfPath(place) !== "directory") removeFile(place);
    }
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]();
  }
}

function typeOfPath(path: string): ReturnType<typeof typeOfMode> | undefined {
  try {
    return typeOfMode(statExact(path).mode);
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined;
    throw thrown;
  }
}
