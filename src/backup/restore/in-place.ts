// Mends an existing tree file by file: what matches by hash stays, what is missing comes, what differs is replaced
// by rename if that was agreed to, the former kept as `<name>.before-<id>` until the whole restore has succeeded.
// First everything is compared, so that nothing is touched where a person has to decide.

import { CitadelError, counted, messageOf } from "../../core/index.ts";
import { DirectoryCache, isAbsent } from "../../system/directory-cache.ts";
import { fromErrno, isErrno } from "../../system/errno.ts";
import { renameWith } from "../../system/libc.ts";
import { statExact, setMtimeFd, syncFileSystem } from "../../system/native.ts";
import {
  hardLink,
  makeDirectory,
  pathBytes,
  removeFile,
  renamePath,
  setAttributes,
} from "../../system/raw-file.ts";
import { freeBytesAt } from "../../system/restore-target.ts";
import { type BytePath, displayPath, parentPath, rootPath } from "../format/byte-path.ts";
import { type FileEntry, type ManifestEntry, type SpecialEntry } from "../format/manifest.ts";
import type { FoundSnapshot } from "../repository.ts";
import { type InPlacePlan, Step, TreeComparison } from "./compare.ts";
import { NotRestored } from "./content.ts";
import { RestoreCrew } from "./crew.ts";
import { attributesOf, StrippedBits } from "./attributes.ts";
import { restoreSpecial } from "./special.ts";
import { assertSpace, type PathFilter } from "./plan.ts";
import { RestoreLeftovers } from "./leftovers.ts";
import {
  assertSoundMetadata,
  inOrder,
  openTarget,
  type RestoreContext,
  type RestoreFailure,
  type RestoreOptions,
  type RestoreReport,
} from "./restore.ts";
import { readManifest } from "../snapshot-reader.ts";

export interface InPlaceOptions extends RestoreOptions {
  /** Replace what differs. */
  readonly force: boolean;
}

/**
 * Restores into an existing tree.
 * @param agree asked once all is compared, if files have to be replaced; false ends it with nothing changed
 * @returns undefined if that was not agreed to
 * @throws kind `conflict`, code `RESTORE_WOULD_REPLACE` without force; `no-space`; `integrity`
 */
export async function restoreInPlace(
  snapshot: FoundSnapshot,
  options: InPlaceOptions,
  context: RestoreContext,
  agree: (plan: InPlacePlan) => Promise<boolean> = async () => true,
): Promise<RestoreReport | undefined> {
  const started = context.clock.monotonicMs();
  assertSoundMetadata(snapshot);
  using where = openTarget(options.to);
  const { place, target } = where;
  using directories = new DirectoryCache(place);
  const comparison = new TreeComparison(snapshot, options, directories);
  const plan = await comparison.compare(context);
  if (plan.replace > 0 && !options.force) throw wouldReplace(target, plan);
  assertSpace(plan.neededBytes, freeBytesAt(place), target);
  if (plan.replace > 0 && !(await agree(plan))) return undefined;
  const mender = new TreeMender(snapshot, options, comparison, directories);
  try {
    await mender.apply(context);
    syncFileSystem(directories.rootFd);
    mender.forgetFormer();
    mender.finishDirectories();
  } catch (thrown) {
    throw isErrno(thrown) ? fromErrno(thrown, thrown.syscall ?? "write", target) : thrown;
  }
  return mender.report(target, plan, context.clock.monotonicMs() - started);
}

/** What restoreInPlace would do, without doing it. */
export async function planInPlace(
  snapshot: FoundSnapshot,
  options: InPlaceOptions,
  context: RestoreContext,
): Promise<InPlacePlan> {
  assertSoundMetadata(snapshot);
  using where = openTarget(options.to);
  using directories = new DirectoryCache(where.place);
  // awaited: what it looks through is closed when this returns
  return await new TreeComparison(snapshot, options, directories).compare(context);
}

export function wouldReplace(target: string, plan: InPlacePlan): CitadelError {
  const paths = plan.differing.map(displayPath);
  return new CitadelError({
    kind: "conflict",
    code: "RESTORE_WOULD_REPLACE",
    message: `${counted(plan.replace, "file")} in ${target} ${plan.replace === 1 ? "differs" : "differ"} from the snapshot: ${paths.slice(0, 5).join(", ")}${paths.length > 5 ? ", …" : ""}`,
    path: target,
    hint: "add --force to replace them (the former ones are kept until it succeeds), or restore elsewhere",
    details: { differing: paths },
  });
}

class TreeMender {
  readonly #failed: RestoreFailure[] = [];
  readonly #skipped: RestoreFailure[] = [];
  readonly #leftovers: RestoreLeftovers;
  readonly #isWanted: PathFilter;
  readonly #stripped: StrippedBits;
  #files = 0;
  #bytes = 0;
  #writtenFiles = 0;
  #writtenBytes = 0;
  /** Directories in which names came and went: their times come back at the end. */
  readonly #touched = new Set<string>();
  #current: BytePath = rootPath;

  constructor(
    readonly snapshot: FoundSnapshot,
    readonly options: InPlaceOptions,
    readonly comparison: TreeComparison,
    readonly directories: DirectoryCache,
  ) {
    this.#isWanted = comparison.isWanted;
    this.#leftovers = comparison.leftovers;
    this.#stripped = new StrippedBits(options);
  }

  /** First all but further names of files: those become links to what is right by then. */
  async apply(context: RestoreContext): Promise<void> {
    this.#leftovers.dropTemporaries((path) => removeFile(this.directories.at(path)));
    const { totalBytes } = this.comparison;
    const show = (doneBytes: number) => {
      const current = this.#current;
      const total = Math.max(totalBytes, doneBytes); // a name that can be no link is read twice
      context.onProgress?.({ activity: "restoring", doneBytes, totalBytes: total, current });
    };
    using crew = new RestoreCrew(context.clock, context.signal, show);
    await crew.each(this.#steps(false), ([entry, step]) => this.#mendFile(entry, step, crew));
    await crew.each(this.#steps(true), ([entry, step]) => this.#mendFile(entry, step, crew));
    show(crew.doneBytes);
  }

  /** Yields the files, or the further names of files; what has no content is mended on the way, the first time. */
  *#steps(isFurther: boolean): Generator<readonly [FileEntry, number]> {
    for (const [entry, step] of this.comparison.steps()) {
      if (entry.type === "file") {
        if ((entry.hardlink !== undefined) === isFurther) yield [entry, step];
      } else if (!isFurther) this.#mendOther(entry, step);
    }
  }

  #mendOther(entry: Exclude<ManifestEntry, FileEntry>, step: number): void {
    if (step === Step.leaveOut) this.#skipped.push({ path: entry.path, reason: entry.type });
    else if (step === Step.leave) return;
    else if (entry.type === "directory") this.#mendDirectory(entry);
    else this.#mendSpecial(entry, step);
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
      failed: inOrder(this.#failed),
      skipped: this.#skipped,
      unchanged: plan.unchanged,
      durationMs,
      remarks,
    };
  }

  async #mendFile(entry: FileEntry, step: number, crew: RestoreCrew): Promise<void> {
    if (step !== Step.leave && !(await this.#writeFile(entry, step, crew))) return;
    if (step !== Step.leave) {
      this.#stripped.note(entry);
      this.#writtenFiles += 1;
      this.#writtenBytes += entry.size;
    }
    this.#files += 1;
    this.#bytes += entry.size;
  }

  async #writeFile(entry: FileEntry, step: number, crew: RestoreCrew): Promise<boolean> {
    this.#current = entry.path;
    const cut = entry.path.lastIndexOf("/") + 1;
    const temporary = this.#leftovers.temporaryIn(entry.path.slice(0, cut));
    const { directories, options, snapshot } = this;
    this.#ensureParents(entry.path);
    try {
      const place = () => directories.at(temporary);
      const shown = `${options.to}/${displayPath(entry.path)}`;
      if (!(await this.#linkToFirst(entry, temporary, shown, crew))) {
        const attributes = attributesOf(entry, options);
        await crew.write(snapshot.directory, entry, place, attributes, shown);
      }
      this.#swap(entry.path, temporary, step);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof NotRestored)) throw thrown;
      this.#failed.push({ path: entry.path, reason: messageOf(thrown) });
      return false;
    }
  }

  /** A further name of a file that is there already, and right, becomes a link to it again. */
  async #linkToFirst(
    entry: FileEntry,
    temporary: string,
    shown: string,
    crew: RestoreCrew,
  ): Promise<boolean> {
    if (entry.hardlink === undefined || !this.#isWanted(entry.hardlink)) return false;
    try {
      const first = this.directories.at(entry.hardlink);
      if ((await crew.hash(first, entry.size, shown)) !== entry.sha256) return false;
      this.directories.link(entry.hardlink, temporary);
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
      else if (this.#placeNew(path, temporary)) return;
      // both names are in one directory: one descriptor, so the second look-up cannot close the first
      renamePath(directories.at(temporary), directories.at(path));
    } catch (thrown) {
      removeFile(directories.at(temporary));
      if (thrown instanceof NotRestored) throw thrown;
      throw fromErrno(thrown, "replace", `${this.options.to}/${displayPath(path)}`);
    }
  }

  /**
   * Puts it where nothing lay when the tree was compared.
   * @returns false where it has to replace something after all, or the file system knows no such rename
   * @throws NotRestored: something appeared there, and nothing may be replaced
   */
  #placeNew(path: BytePath, temporary: string): boolean {
    const { directories } = this;
    try {
      const [from, to] = [directories.at(temporary), directories.at(path)];
      return renameWith("no-replace", pathBytes(from), pathBytes(to));
    } catch (thrown) {
      if (!isErrno(thrown, "EEXIST")) throw thrown;
      if (!this.options.force) throw new NotRestored("something appeared in its place meanwhile");
      this.#keepFormer(path);
      return false;
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
    try {
      this.#swap(entry.path, temporary, step);
    } catch (thrown) {
      if (!(thrown instanceof NotRestored)) throw thrown;
      this.#failed.push({ path: entry.path, reason: messageOf(thrown) });
    }
  }
}
