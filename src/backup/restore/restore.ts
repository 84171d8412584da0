// Restores a snapshot, or a part of it, into a new directory: staged beside the target, checked while written,
// flushed, renamed into place. The snapshot is taken for hostile: see DirectoryCache. Into an existing tree:
// restore/in-place.ts.

import { CitadelError, messageOf, type AbsolutePath } from "../../core/index.ts";
import type { Clock } from "../../system/index.ts";
import { DirectoryCache } from "../../system/directory-cache.ts";
import { fromErrno, isErrno } from "../../system/errno.ts";
import { syncFileSystem } from "../../system/native.ts";
import { pinTyped, type PinnedDirectory } from "../../system/pinned-directory.ts";
import { makeDirectory, removeTree, setAttributes } from "../../system/raw-file.ts";
import {
  freeBytesAt,
  isFreshStage,
  isSameInode,
  makeStage,
  placeStage,
  removeStaleStages,
  targetState,
} from "../../system/restore-target.ts";
import { parentOf, nameOf } from "../../core/index.ts";
import { type BytePath, displayPath, rootPath } from "../format/byte-path.ts";
import type { FileEntry, ManifestEntry, SpecialEntry } from "../format/manifest.ts";
import type { FoundSnapshot } from "../repository.ts";
import { NotRestored } from "./content.ts";
import { RestoreCrew } from "./crew.ts";
import { attributesOf, StrippedBits } from "./attributes.ts";
import { isLeftOut, restoreSpecial } from "./special.ts";
import { assertSpace, countNeed, filterPaths, type PathFilter } from "./plan.ts";
import { checkMetadata, readManifest } from "../snapshot-reader.ts";

export interface RestoreOptions {
  /** Absolute path of the new directory. */
  readonly to: string;
  /** Only what matches, and what lies below it. */
  readonly globs: readonly string[];
  /** setuid and setgid bits, devices, attributes that grant rights. */
  readonly privileged: boolean;
  /** We may give files to others. */
  readonly isRoot: boolean;
}

export interface RestoreContext {
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
}

export interface RestoreProgress {
  /** In place, everything is compared first. */
  readonly activity: "comparing" | "restoring";
  /** Holes included, as in `totalBytes`. */
  readonly doneBytes: number;
  readonly totalBytes?: number;
  readonly current: BytePath;
}

export interface RestoreFailure {
  readonly path: BytePath;
  readonly reason: string;
}

export interface RestoreReport {
  readonly snapshot: string;
  readonly to: string;
  /** Files that are now as in the snapshot, those that were so already included. */
  readonly files: number;
  /** Their content. */
  readonly bytes: number;
  readonly failed: readonly RestoreFailure[];
  /** What was left out by rule: devices, sockets. */
  readonly skipped: readonly RestoreFailure[];
  /** What of that had to be written; in place what matches is left. */
  readonly writtenFiles: number;
  readonly writtenBytes: number;
  /** Entries that were as in the snapshot before (in place). */
  readonly unchanged: number;
  readonly durationMs: number;
  readonly remarks: readonly string[];
}

/** @throws kind `integrity`, code `SNAPSHOT_DAMAGED`: metadata that cannot be trusted */
export function assertSoundMetadata(snapshot: FoundSnapshot): void {
  const { record } = snapshot;
  const wrong = record === undefined ? undefined : checkMetadata(snapshot.directory, record);
  const manifest = wrong?.find(({ name }) => name === "manifest.jsonl");
  if (record !== undefined && manifest === undefined) return;
  const why =
    record === undefined ? (snapshot.why ?? "it is not complete") : "its manifest is damaged";
  throw new CitadelError({
    kind: "integrity",
    code: "SNAPSHOT_DAMAGED",
    message: `cannot restore from ${snapshot.id}: ${why}`,
    path: snapshot.directory,
    hint: "choose another snapshot (`citadel-agent backup list`); docs/formats/snapshot.md says how to save what is left by hand",
  });
}

/**
 * Restores into a directory that is absent or empty.
 * @throws kind `conflict`, code `RESTORE_TARGET_NOT_EMPTY`; `no-space`; `integrity`; what the target's file system gives
 */
export async function restoreSnapshot(
  snapshot: FoundSnapshot,
  options: RestoreOptions,
  context: RestoreContext,
): Promise<RestoreReport> {
  const started = context.clock.monotonicMs();
  assertSoundMetadata(snapshot);
  using where = openTarget(options.to);
  const { place, target, parent } = where;
  const state = targetState(place);
  if (state === "filled" || state === "other") throw notEmpty(target);
  const isWanted = filterPaths(options.globs);
  const need = countNeed(readManifest(snapshot.directory), isWanted);
  if (need.entries === 0 && options.globs.length > 0) throw nothingMatches(options.globs);
  removeStaleStages(place);
  assertSpace(need.bytes, freeBytesAt(parent.through), parent.path);
  const stage = makeStage(place);
  try {
    using directories = new DirectoryCache(stage);
    if (!isFreshStage(directories.rootFd)) throw replaced(target);
    const writer = new TreeWriter(snapshot, options, directories, isWanted);
    const show = (doneBytes: number) =>
      context.onProgress?.({
        activity: "restoring",
        doneBytes,
        totalBytes: Math.max(need.contentBytes, doneBytes), // a name that can be no link is read again
        current: writer.current,
      });
    using crew = new RestoreCrew(context.clock, context.signal, show);
    await writer.run(crew);
    show(crew.doneBytes);
    syncFileSystem(directories.rootFd);
    context.signal?.throwIfAborted();
    placeStage(stage, place);
    if (!isSameInode(place, directories.rootFd)) throw replaced(target);
    return writer.report(target, context.clock.monotonicMs() - started);
  } catch (thrown) {
    removeTree(Buffer.from(stage).toString("latin1"));
    throw isErrno(thrown) ? fromErrno(thrown, thrown.syscall ?? "write", target) : thrown;
  }
}

export interface Target extends Disposable {
  /** The directory above it. */
  readonly parent: PinnedDirectory;
  /** The way to it through the directory above, which may be somebody else's: that cannot be swapped for a link. */
  readonly place: string;
  /** As people see it. */
  readonly target: string;
}

/** Opens the directory above, so that the target's own name is the only part that may still be anything. */
export function openTarget(to: string): Target {
  try {
    const parent = pinTyped(parentOf(to) as AbsolutePath);
    const name = nameOf(to);
    return {
      parent,
      place: `${parent.through}/${name}`,
      target: parent.path === "/" ? `/${name}` : `${parent.path}/${name}`,
      [Symbol.dispose]: () => parent[Symbol.dispose](),
    };
  } catch (thrown) {
    if (!(thrown instanceof CitadelError) || thrown.code !== "NOT_FOUND") throw thrown;
  }
  throw new CitadelError({
    kind: "not-found",
    code: "RESTORE_PARENT_MISSING",
    message: `the directory that should hold ${to} does not exist`,
    path: parentOf(to),
    hint: `make it first: mkdir -p ${parentOf(to)}`,
  });
}

/** Findings in the order of paths: several threads find them in any. */
export function inOrder(found: readonly RestoreFailure[]): readonly RestoreFailure[] {
  return found.toSorted((left, right) => (left.path < right.path ? -1 : 1));
}

export function notEmpty(target: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "RESTORE_TARGET_NOT_EMPTY",
    message: `the target ${target} is there and not an empty directory`,
    path: target,
    hint: "name a directory that does not exist, or use --in-place to mend an existing tree file by file",
  });
}

export function nothingMatches(globs: readonly string[]): CitadelError {
  return new CitadelError({
    kind: "not-found",
    code: "RESTORE_NOTHING_MATCHES",
    message: `nothing in the snapshot matches ${globs.join(", ")}`,
    hint: "paths are relative to the source; see manifest.jsonl of the snapshot for what there is",
  });
}

function replaced(target: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "RESTORE_TARGET_REPLACED",
    message: `someone replaced ${target} while it was being put in place`,
    path: target,
    hint: "find out who works there; restore to a directory that only root can write",
  });
}

class TreeWriter {
  readonly #failed: RestoreFailure[] = [];
  readonly #skipped: RestoreFailure[] = [];
  readonly #lostFiles = new Set<BytePath>();
  #files = 0;
  #bytes = 0;
  readonly #stripped: StrippedBits;
  /** What is being written. */
  current: BytePath = rootPath;

  constructor(
    readonly snapshot: FoundSnapshot,
    readonly options: RestoreOptions,
    readonly directories: DirectoryCache,
    readonly isWanted: PathFilter,
  ) {
    this.#stripped = new StrippedBits(options);
  }

  /** First all directories and content, several files at a time; then hard links; then the directories' attributes. */
  async run(crew: RestoreCrew): Promise<void> {
    await crew.each(this.#content(), (entry) => this.#writeFile(entry, crew));
    await crew.each(this.#furtherNames(), ([entry, first]) => this.#link(entry, first, crew));
    this.#finishDirectories();
  }

  report(to: string, durationMs: number): RestoreReport {
    const remarks: string[] = [];
    if (!this.options.isRoot) remarks.push("owners were not set: that takes root");
    remarks.push(...this.#stripped.remarks());
    return {
      snapshot: this.snapshot.id,
      to,
      files: this.#files,
      bytes: this.#bytes,
      writtenFiles: this.#files,
      writtenBytes: this.#bytes,
      failed: inOrder(this.#failed),
      skipped: this.#skipped,
      unchanged: 0,
      durationMs,
      remarks,
    };
  }

  /** Makes what needs no content and yields the files. */
  *#content(): Generator<FileEntry> {
    for (const entry of readManifest(this.snapshot.directory)) {
      if (entry.path === rootPath) continue;
      if (!this.isWanted(entry.path)) continue;
      this.#makeParents(entry.path);
      if (entry.type === "directory") makeDirectory(this.directories.at(entry.path), 0o700);
      else if (entry.type !== "file") this.#makeSpecial(entry);
      else if (entry.hardlink === undefined) yield entry;
    }
  }

  /** With globs a wanted path may lie in directories that are not wanted themselves. */
  #makeParents(path: BytePath): void {
    if (this.options.globs.length === 0) return;
    for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
      const parent = path.slice(0, end);
      makeDirectory(this.directories.at(parent), 0o700);
    }
  }

  #makeSpecial(entry: SpecialEntry): void {
    if (isLeftOut(entry, this.options)) {
      this.#skipped.push({ path: entry.path, reason: entry.type });
    } else restoreSpecial(entry, this.directories.at(entry.path), this.options);
  }

  async #writeFile(entry: FileEntry, crew: RestoreCrew): Promise<void> {
    const { snapshot, options, directories } = this;
    this.current = entry.path;
    try {
      const place = () => directories.at(entry.path);
      const attributes = attributesOf(entry, options);
      const shown = `${options.to}/${displayPath(entry.path)}`;
      await crew.write(snapshot.directory, entry, place, attributes, shown);
      this.#stripped.note(entry);
      this.#files += 1;
      this.#bytes += entry.size;
    } catch (thrown) {
      if (!(thrown instanceof NotRestored)) throw thrown;
      this.#failed.push({ path: entry.path, reason: messageOf(thrown) });
      this.#lostFiles.add(entry.path);
    }
  }

  *#furtherNames(): Generator<readonly [FileEntry, BytePath]> {
    for (const entry of readManifest(this.snapshot.directory)) {
      if (entry.type !== "file" || entry.hardlink === undefined) continue;
      if (this.isWanted(entry.path)) yield [entry, entry.hardlink];
    }
  }

  #finishDirectories(): void {
    const { directories, options } = this;
    /** Directories that would keep their owner out: closed last, deepest first. */
    const closed: ManifestEntry[] = [];
    const finish = (entry: ManifestEntry) => {
      setAttributes(directories.directory(entry.path), attributesOf(entry, options));
    };
    for (const entry of readManifest(this.snapshot.directory)) {
      if (entry.type !== "directory") continue;
      if (entry.path !== rootPath && !this.#isMade(entry.path)) continue;
      if ((entry.mode & 0o300) === 0o300) finish(entry);
      else closed.push(entry);
    }
    for (const entry of closed.reverse()) finish(entry);
  }

  /** With globs: whether the directory was made, as wanted or as a parent of what is. */
  #isMade(path: BytePath): boolean {
    if (this.options.globs.length === 0) return true;
    try {
      this.directories.directory(path);
      return true;
    } catch (thrown) {
      if (thrown instanceof CitadelError && thrown.code === "NOT_FOUND") return false;
      throw thrown;
    }
  }

  async #link(entry: FileEntry, first: BytePath, crew: RestoreCrew): Promise<void> {
    if (this.#lostFiles.has(first)) {
      this.#failed.push({ path: entry.path, reason: "the file that it is a name of was lost" });
      return;
    }
    try {
      if (!this.isWanted(first)) throw Object.assign(new Error("not wanted"), { code: "ENOENT" });
      this.directories.link(first, entry.path);
      this.#files += 1;
      this.#bytes += entry.size;
    } catch {
      await this.#writeFile(entry, crew); // its own copy: the other name is not here, or may not be linked
    }
  }
}
