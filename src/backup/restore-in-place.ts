// Mends an existing tree file by file: what matches by hash stays, what is missing comes, what differs is replaced
// by rename if that was agreed to, the former kept as `<name>.before-<id>` until the whole restore has succeeded.
// First everything is compared, so that nothing is touched where a person has to decide.

import { CitadelError, counted, messageOf } from "../core/index.ts";
import { DirectoryCache, isAbsent } from "../system/directory-cache.ts";
import { fromErrno, isErrno } from "../system/errno.ts";
import {
  type ExactStat,
  statExact,
  readLinkAt,
  cString,
  setMtimeFd,
  syncFileSystem,
} from "../system/native.ts";
import {
  hardLink,
  makeDirectory,
  removeFile,
  renamePath,
  setAttributes,
} from "../system/raw-file.ts";
import { freeBytesAt } from "../system/restore-target.ts";
import { typeOfMode } from "./create/entry.ts";
import { type BytePath, displayPath, parentPath, rootPath } from "./format/byte-path.ts";
import {
  type FileEntry,
  type ManifestEntry,
  type SpecialEntry,
  storedBytesOf,
} from "./format/manifest.ts";
import type { FoundSnapshot } from "./repository.ts";
import { hashExisting, NotRestored, restoreContent, RestoreMemory } from "./restore-content.ts";
import { attributesOf, StrippedBits } from "./restore-attributes.ts";
import { isLeftOut, restoreSpecial } from "./restore-special.ts";
import { assertSpace, filterPaths, type PathFilter } from "./restore-plan.ts";
import { RestoreLeftovers } from "./restore-leftovers.ts";
import {
  assertSoundMetadata,
  nothingMatches,
  openTarget,
  type RestoreContext,
  type RestoreFailure,
  type RestoreOptions,
  type RestoreReport,
} from "./restore.ts";
import { readManifest } from "./snapshot-reader.ts";

export interface InPlaceOptions extends RestoreOptions {
  /** Replace what differs. */
  readonly force: boolean;
}

/** What is to be done with each wanted entry, in manifest order, one byte each. */
const Step = { leave: 0, create: 1, replace: 2, leaveOut: 3 } as const;

export interface InPlacePlan {
  readonly create: number;
  readonly replace: number;
  readonly unchanged: number;
  readonly neededBytes: number;
  /** Up to 1,000 of those that differ. */
  readonly differing: readonly BytePath[];
}

/**
 * Restores into an existing tree.
 * @throws kind `conflict`, code `RESTORE_WOULD_REPLACE` without force; `no-space`; `integrity`
 */
export async function restoreInPlace(
  snapshot: FoundSnapshot,
  options: InPlaceOptions,
  context: RestoreContext,
): Promise<RestoreReport> {
  const started = context.clock.monotonicMs();
  assertSoundMetadata(snapshot);
  using where = openTarget(options.to);
  const { place, target } = where;
  using directories = new DirectoryCache(place);
  const mender = new TreeMender(snapshot, options, context, directories);
  const plan = mender.plan();
  if (plan.replace > 0 && !options.force) throw wouldReplace(target, plan);
  assertSpace(plan.neededBytes, freeBytesAt(place), target);
  try {
    await mender.apply();
    syncFileSystem(directories.rootFd);
    mender.forgetFormer();
    mender.finishDirectories();
  } catch (thrown) {
    throw isErrno(thrown) ? fromErrno(thrown, thrown.syscall ?? "write", target) : thrown;
  }
  return mender.report(target, plan, context.clock.monotonicMs() - started);
}

/** What restoreInPlace would do, without doing it. */
export function planInPlace(
  snapshot: FoundSnapshot,
  options: InPlaceOptions,
  context: RestoreContext,
): InPlacePlan {
  assertSoundMetadata(snapshot);
  using where = openTarget(options.to);
  using directories = new DirectoryCache(where.place);
  return new TreeMender(snapshot, options, context, directories).plan();
}

export function wouldReplace(target: string, plan: InPlacePlan): CitadelError {
  const paths = plan.differing.map(displayPath);
  return new CitadelError({
    kind: "conflict",
    code: "RESTORE_WOULD_REPLACE",
    message: `${plan.replace} of the files in ${target} differ from the snapshot: ${paths.slice(0, 5).join(", ")}${paths.length > 5 ? ", …" : ""}`,
    path: target,
    hint: "add --force to replace them (the former ones are kept until it succeeds), or restore elsewhere",
    details: { differing: paths },
  });
}

class TreeMender {
  #steps = new Uint8Array(1024);
  #count = 0;
  readonly #isWanted: PathFilter;
  readonly #memory = new RestoreMemory((count) => this.#pass(count));
  readonly #failed: RestoreFailure[] = [];
  readonly #skipped: RestoreFailure[] = [];
  /** Of earlier runs that were killed, and the former files of this one, to be removed once all is well. */
  readonly #leftovers: RestoreLeftovers;
  readonly #stripped: StrippedBits;
  #files = 0;
  #bytes = 0;
  #writtenFiles = 0;
  #writtenBytes = 0;
  /** What there is to write, holes included. */
  #totalBytes = 0;
  #passedBytes = 0;
  #comparedBytes = 0;
  /** Directories in which names came and went: their times come back at the end. */
  readonly #touched = new Set<string>();
  #current: BytePath = rootPath;

  constructor(
    readonly snapshot: FoundSnapshot,
    readonly options: InPlaceOptions,
    readonly context: RestoreContext,
    readonly directories: DirectoryCache,
  ) {
    this.#isWanted = filterPaths(options.globs);
    this.#leftovers = new RestoreLeftovers(snapshot.id, directories);
    this.#stripped = new StrippedBits(options);
  }

  plan(): InPlacePlan {
    const differing: BytePath[] = [];
    const counts = [0, 0, 0, 0];
    let neededBytes = 0;
    for (const entry of this.#wanted()) {
      this.context.signal?.throwIfAborted();
      this.#leftovers.look(entry.path);
      this.#current = entry.path;
      const step = this.#compare(entry);
      this.#remember(step);
      counts[step] = (counts[step] ?? 0) + 1;
      if (step === Step.replace && differing.length < 1000) differing.push(entry.path);
      if (step === Step.leave || entry.type !== "file") continue;
      neededBytes += storedBytesOf(entry);
      this.#totalBytes += entry.size;
    }
    if (this.#count === 0 && this.options.globs.length > 0)
      throw nothingMatches(this.options.globs);
    const [unchanged = 0, create = 0, replace = 0] = counts;
    return { create, replace, unchanged, neededBytes, differing };
  }

  async apply(): Promise<void> {
    this.#leftovers.dropTemporaries((path) => removeFile(this.directories.at(path)));
    let position = 0;
    for (const entry of this.#wanted()) {
      this.context.signal?.throwIfAborted();
      const step = this.#steps[position] ?? Step.create;
      position += 1;
      this.#current = entry.path;
      if (entry.type === "file") await this.#mendFile(entry, step);
      else if (step === Step.leaveOut) {
        this.#skipped.push({ path: entry.path, reason: entry.type });
      } else if (step === Step.leave) continue;
      else if (entry.type === "directory") this.#mendDirectory(entry);
      else this.#mendSpecial(entry, step);
    }
  }

  /** After success: the former files are no longer needed. */
  forgetFormer(): void {
    if (this.#failed.length > 0) return;
    this.#leftovers.forgetFormer(this.#isWanted, (path) => removeFile(this.directories.at(path)));
  }

  /** After everything else: the times of directories, as a restore elsewhere gives them. */
  finishDirectories(): void {
    if (this.#touched.size === 0) return;
    for (const entry of readManifest(this.snapshot.directory)) {
      if (entry.type !== "directory" || !this.#touched.has(entry.path)) continue;
      try {
        setMtimeFd(this.directories.directory(entry.path), entry.mtimeNs);
      } catch (thrown) {
        if (!isAbsent(thrown) && !isErrno(thrown, "EPERM")) throw thrown; // gone meanwhile, or another's
      }
    }
  }

  report(to: string, plan: InPlacePlan, durationMs: number): RestoreReport {
    const remarks: string[] = [];
    if (!this.options.isRoot) remarks.push("owners were not set: that takes root");
    remarks.push(...this.#stripped.remarks());
    const { formerCount: kept, pattern } = this.#leftovers;
    if (kept > 0)
      remarks.push(
        `${counted(kept, "former file is", "former files are")} kept as ${pattern}: not all went well`,
      );
    return {
      snapshot: this.snapshot.id,
      to,
      files: this.#files,
      bytes: this.#bytes,
      writtenFiles: this.#writtenFiles,
      writtenBytes: this.#writtenBytes,
      failed: this.#failed,
      skipped: this.#skipped,
      unchanged: plan.unchanged,
      durationMs,
      remarks,
    };
  }

  readonly #onCompared = (count: number): void => {
    const [doneBytes, current] = [(this.#comparedBytes += count), this.#current];
    this.context.onProgress?.({ activity: "comparing", doneBytes, current });
  };

  #pass(count: number): void {
    const doneBytes = (this.#passedBytes += count);
    const [totalBytes, current] = [this.#totalBytes, this.#current];
    this.context.onProgress?.({ activity: "restoring", doneBytes, totalBytes, current });
  }

  *#wanted(): Generator<ManifestEntry> {
    for (const entry of readManifest(this.snapshot.directory)) {
      if (entry.path !== rootPath && this.#isWanted(entry.path)) yield entry;
    }
  }

  #remember(step: number): void {
    if (this.#count === this.#steps.length) {
      const grown = new Uint8Array(this.#steps.length * 2);
      grown.set(this.#steps);
      this.#steps = grown;
    }
    this.#steps[this.#count] = step;
    this.#count += 1;
  }

  #compare(entry: ManifestEntry): number {
    if (isLeftOut(entry, this.options)) return Step.leaveOut;
    let place: string;
    let stat: ExactStat;
    try {
      place = this.directories.at(entry.path);
      stat = statExact(place);
    } catch (thrown) {
      if (isAbsent(thrown)) return Step.create;
      throw thrown;
    }
    const type = typeOfMode(stat.mode);
    if (type !== entry.type && (type === "directory" || entry.type === "directory")) {
      throw inTheWay(entry.path);
    }
    if (type !== entry.type) return Step.replace;
    if (entry.type === "directory") {
      return this.#isHalfMade(entry.path, stat.mode) ? Step.create : Step.leave;
    }
    if (entry.type === "symlink") {
      const target = readLinkAt(-100, cString(place)); // AT_FDCWD: the path is absolute
      return target === entry.target ? Step.leave : Step.replace;
    }
    if (entry.type === "block" || entry.type === "character") {
      const isSame = stat.rdevMajor === entry.major && stat.rdevMinor === entry.minor;
      return isSame ? Step.leave : Step.replace;
    }
    if (entry.type !== "file") return Step.leave;
    if (stat.ino === 0n) return Step.replace;
    const isSame = hashExisting(place, entry.size, this.#memory, this.#onCompared) === entry.sha256;
    return isSame ? Step.leave : Step.replace;
  }

  /** A directory as a run leaves it that is killed before it has set mode and owner. */
  #isHalfMade(path: BytePath, mode: number): boolean {
    return (mode & 0o7777) === 0o700 && this.directories.names(path).length === 0;
  }

  async #mendFile(entry: FileEntry, step: number): Promise<void> {
    if (step !== Step.leave && !(await this.#writeFile(entry, step))) return;
    if (step !== Step.leave) {
      this.#stripped.note(entry);
      this.#writtenFiles += 1;
      this.#writtenBytes += entry.size;
    }
    this.#files += 1;
    this.#bytes += entry.size;
  }

  async #writeFile(entry: FileEntry, step: number): Promise<boolean> {
    const cut = entry.path.lastIndexOf("/") + 1;
    const temporary = this.#leftovers.temporaryIn(entry.path.slice(0, cut));
    const { directories, options, snapshot } = this;
    this.#ensureParents(entry.path);
    try {
      const place = () => directories.at(temporary);
      if (!this.#linkToFirst(entry, temporary)) {
        const attributes = attributesOf(entry, options);
        const shown = `${options.to}/${displayPath(entry.path)}`;
        await restoreContent(snapshot.directory, entry, place, attributes, this.#memory, shown);
      }
    } catch (thrown) {
      if (!(thrown instanceof NotRestored)) throw thrown;
      this.#failed.push({ path: entry.path, reason: messageOf(thrown) });
      return false;
    }
    this.#swap(entry.path, temporary, step);
    return true;
  }

  /** A further name of a file that is there already, and right, becomes a link to it again. */
  #linkToFirst(entry: FileEntry, temporary: string): boolean {
    if (entry.hardlink === undefined || !this.#isWanted(entry.hardlink)) return false;
    try {
      const first = this.directories.at(entry.hardlink);
      if (hashExisting(first, entry.size, this.#memory) !== entry.sha256) return false;
      hardLink(first, this.directories.at(temporary));
      return true;
    } catch {
      return false; // its own copy, then
    }
  }

  #swap(path: BytePath, temporary: string, step: number): void {
    const { directories } = this;
    this.#touched.add(parentPath(path));
    try {
      if (step === Step.replace) this.#keepFormer(path);
      // both names are in one directory: one descriptor, so the second look-up cannot close the first
      renamePath(directories.at(temporary), directories.at(path));
    } catch (thrown) {
      removeFile(directories.at(temporary));
      throw fromErrno(thrown, "replace", `${this.options.to}/${displayPath(path)}`);
    }
  }

  #keepFormer(path: BytePath): void {
    const { directories } = this;
    const link = (former: BytePath) => {
      try {
        hardLink(directories.at(path), directories.at(former));
        return true;
      } catch (thrown) {
        if (isAbsent(thrown)) return true; // gone meanwhile: there is nothing to keep
        if (isErrno(thrown, "EEXIST")) return false;
        throw thrown;
      }
    };
    const isSame = (former: BytePath) =>
      statExact(directories.at(former)).ino === statExact(directories.at(path)).ino;
    this.#leftovers.keep(path, link, isSame);
  }

  #ensureParents(path: BytePath): void {
    for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
      const parent = path.slice(0, end) as BytePath;
      if (makeDirectory(this.directories.at(parent), 0o755)) this.#touched.add(parentPath(parent));
    }
  }

  #mendDirectory(entry: ManifestEntry): void {
    const { directories, options } = this;
    this.#ensureParents(entry.path);
    if (makeDirectory(directories.at(entry.path), 0o700)) this.#touched.add(parentPath(entry.path));
    setAttributes(directories.directory(entry.path), attributesOf(entry, options));
  }

  #mendSpecial(entry: SpecialEntry, step: number): void {
    const { directories, options } = this;
    this.#ensureParents(entry.path);
    const folder = entry.path.slice(0, entry.path.lastIndexOf("/") + 1);
    const temporary = this.#leftovers.temporaryIn(folder);
    try {
      restoreSpecial(entry, directories.at(temporary), options);
    } catch (thrown) {
      removeFile(directories.at(temporary));
      throw fromErrno(thrown, "write", `${options.to}/${displayPath(entry.path)}`);
    }
    this.#swap(entry.path, temporary, step);
  }
}

function inTheWay(path: BytePath): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "RESTORE_TYPE_CONFLICT",
    message: `a directory and a file meet at ${displayPath(path)}`,
    path: displayPath(path),
    hint: "move what lies there aside, then restore again",
  });
}
