// Directory handles below a trusted base, opened part by part without following a link, kept in a bounded cache,
// flushed once per batch.

import * as fs from "node:fs";
import {
  CitadelError,
  isWithin,
  nameOf,
  parentOf,
  relativeTo,
  type AbsolutePath,
} from "../core/index.ts";
import { DirectoryHandle, O_PATH } from "./directory-handle.ts";
import { fromErrno, isErrno } from "./errno.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

export interface Located {
  readonly directory: DirectoryHandle;
  readonly name: string;
}

export class DirectoryTree implements Disposable {
  readonly #handles = new Map<string, DirectoryHandle>();

  /**
   * @param base a real path that is trusted as it is: HostPaths.root
   * @param limit how many handles are kept open; the least recently used one is flushed and closed
   */
  constructor(
    readonly base: AbsolutePath,
    private readonly limit = 128,
  ) {}

  /**
   * The handle of the directory `path`; stays valid until more than `limit` others were opened.
   * @throws code `SYMLINK_IN_PATH` naming the part that is a link, `NOT_FOUND`, `NOT_A_DIRECTORY`
   */
  open(path: AbsolutePath): DirectoryHandle {
    const kept = this.#handles.get(path);
    if (kept !== undefined) {
      if (this.#handles.size > this.limit / 2) this.#touch(path, kept);
      return kept;
    }
    const handle = new DirectoryHandle(path, this.#openChain(path));
    this.#handles.set(path, handle);
    if (this.#handles.size > this.limit) this.#evict();
    return handle;
  }

  /** Like `open`; undefined where a part of the path is missing or no directory. */
  tryOpen(path: AbsolutePath): DirectoryHandle | undefined {
    try {
      return this.open(path);
    } catch (thrown) {
      const code = thrown instanceof CitadelError ? thrown.code : "";
      if (code === "NOT_FOUND" || code === "NOT_A_DIRECTORY") return undefined;
      throw thrown;
    }
  }

  /** The open parent of `path` and its last part. */
  locate(path: AbsolutePath): Located {
    return { directory: this.open(parentOf(path)), name: nameOf(path) };
  }

  /** Closes the handles of `path` and below: after it was renamed or removed they mean something else. */
  forget(path: string): void {
    for (const [kept, handle] of this.#handles) {
      if (!isWithin(kept, path)) continue;
      this.#handles.delete(kept);
      try {
        if (handle.dirty) handle.sync();
      } finally {
        handle.close();
      }
    }
  }

  /** Flushes every directory whose entries changed since the last call, each once. */
  sync(): void {
    for (const handle of this.#handles.values()) if (handle.dirty) handle.sync();
  }

  [Symbol.dispose](): void {
    for (const handle of this.#handles.values()) handle.close();
    this.#handles.clear();
  }

  #touch(path: string, handle: DirectoryHandle): void {
    this.#handles.delete(path);
    this.#handles.set(path, handle);
  }

  #evict(): void {
    const oldest = this.#handles.entries().next().value;
    if (oldest === undefined) return;
    const [path, handle] = oldest;
    this.#handles.delete(path);
    try {
      if (handle.dirty) handle.sync();
    } finally {
      handle.close();
    }
  }

  #openChain(path: AbsolutePath): number {
    if (!isWithin(path, this.base)) {
      throw new CitadelError({
        kind: "internal",
        code: "PATH_OUTSIDE_ROOT",
        message: `${path} does not lie below ${this.base}`,
        path,
        hint: "this is a bug in citadel-agent; please report it with the output of `citadel-agent incident`",
      });
    }
    const parts = relativeTo(path, this.base).split("/");
    if (path === this.base) return openBase(this.base, O_RDONLY);
    let fd = openBase(this.base, O_PATH);
    let walked = this.base === "/" ? "" : this.base;
    for (const [at, part] of parts.entries()) {
      walked = `${walked}/${part}` as AbsolutePath;
      const parent = fd;
      try {
        fd = openPart(parent, part, walked, at === parts.length - 1 ? O_RDONLY : O_PATH);
      } finally {
        fs.closeSync(parent);
      }
    }
    return fd;
  }
}

function openBase(path: string, flags: number): number {
  try {
    return fs.openSync(path, flags | O_DIRECTORY);
  } catch (thrown) {
    throw fromErrno(thrown, "open", path);
  }
}

/** Opens one part below `parent`; tells a link from a file, which open(2) reports alike (ENOTDIR). */
function openPart(parent: number, part: string, path: string, flags: number): number {
  const through = `/proc/self/fd/${parent}/${part}`;
  try {
    return fs.openSync(through, flags | O_DIRECTORY | O_NOFOLLOW);
  } catch (thrown) {
    if (!isErrno(thrown, "ENOTDIR", "ELOOP")) throw fromErrno(thrown, "open", path);
    const found = fs.lstatSync(through, { throwIfNoEntry: false });
    if (found?.isSymbolicLink() !== true) throw fromErrno(thrown, "open", path);
    throw new CitadelError({
      kind: "conflict",
      code: "SYMLINK_IN_PATH",
      message: `${path} is a symbolic link where a directory is expected`,
      path,
      operation: "open",
      errno: "ELOOP",
      hint: `set the path to what it resolves to (\`realpath ${path}\`), or put a directory there`,
      cause: thrown,
    });
  }
}
