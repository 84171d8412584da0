// Compares a tree with a snapshot before anything in it is touched: what may stay, what is missing, what differs.

import { CitadelError } from "../../core/index.ts";
import { type DirectoryCache, isAbsent } from "../../system/directory-cache.ts";
import { cString, type ExactStat, readLinkAt, statExact } from "../../system/native.ts";
import { typeOfMode } from "../create/entry.ts";
import { type BytePath, displayPath, rootPath } from "../format/byte-path.ts";
import { type FileEntry, type ManifestEntry, storedBytesOf } from "../format/manifest.ts";
import type { FoundSnapshot } from "../repository.ts";
import { RestoreCrew } from "./crew.ts";
import { RestoreLeftovers } from "./leftovers.ts";
import { countNeed, filterPaths, type PathFilter } from "./plan.ts";
import { isLeftOut } from "./special.ts";
import { nothingMatches, type RestoreContext, type RestoreOptions } from "./restore.ts";
import { readManifest } from "../snapshot-reader.ts";

/** What is to be done with each wanted entry, in manifest order, one byte each. */
export const Step = { leave: 0, create: 1, replace: 2, leaveOut: 3 } as const;

export interface InPlacePlan {
  readonly create: number;
  readonly replace: number;
  readonly unchanged: number;
  readonly neededBytes: number;
  /** Up to 1,000 of those that differ. */
  readonly differing: readonly BytePath[];
}

const maxDiffering = 1000;

export class TreeComparison {
  readonly isWanted: PathFilter;
  /** Of earlier runs that were killed, and the former files of this one, to be removed once all is well. */
  readonly leftovers: RestoreLeftovers;
  /** What there is to write, holes included. */
  totalBytes = 0;
  #steps = new Uint8Array(1024);
  #count = 0;
  #current: BytePath = rootPath;
  readonly #counts = [0, 0, 0, 0];
  #neededBytes = 0;
  /** Of files that need not be read to tell. */
  #passedOverBytes = 0;

  constructor(
    readonly snapshot: FoundSnapshot,
    readonly options: RestoreOptions,
    readonly directories: DirectoryCache,
  ) {
    this.isWanted = filterPaths(options.globs);
    this.leftovers = new RestoreLeftovers(snapshot.id, directories);
  }

  /**
   * Looks at everything once; files are compared by their hash, several at a time.
   * @throws kind `not-found` RESTORE_NOTHING_MATCHES; `conflict` RESTORE_TYPE_CONFLICT; the reason of the signal
   */
  async compare(context: RestoreContext): Promise<InPlacePlan> {
    const need = countNeed(readManifest(this.snapshot.directory), this.isWanted);
    if (need.entries === 0 && this.options.globs.length > 0)
      throw nothingMatches(this.options.globs);
    const show = (doneBytes: number) => {
      const totalBytes = Math.max(need.namedBytes - this.#passedOverBytes, doneBytes);
      const current = this.#current;
      context.onProgress?.({ activity: "comparing", doneBytes, totalBytes, current });
    };
    using crew = new RestoreCrew(context.clock, context.signal, show);
    await crew.each(this.#files(), async ([entry, position]) => {
      this.#current = entry.path;
      const sha256 = await this.#hashOf(entry, crew);
      this.#settle(entry, position, sha256 === entry.sha256 ? Step.leave : Step.replace);
    });
    show(crew.doneBytes);
    const [unchanged = 0, create = 0, replace = 0] = this.#counts;
    const differing = this.#differing();
    return { create, replace, unchanged, neededBytes: this.#neededBytes, differing };
  }

  /** The first of them in manifest order, whichever was compared first: plans of the same are the same. */
  #differing(): BytePath[] {
    const paths: BytePath[] = [];
    if (this.#counts[Step.replace] === 0) return paths;
    for (const [entry, step] of this.steps()) {
      if (step !== Step.replace) continue;
      if (paths.push(entry.path) === maxDiffering) break;
    }
    return paths;
  }

  /** Of what lies there now; undefined where that cannot be read, or is no such file any more. */
  async #hashOf(entry: FileEntry, crew: RestoreCrew): Promise<string | undefined> {
    const shown = `${this.options.to}/${displayPath(entry.path)}`;
    try {
      return await crew.hash(this.directories.at(entry.path), entry.size, shown);
    } catch (thrown) {
      // bad sectors are what a restore mends; the rest: it went, or something else took its place, since we looked
      const errno = thrown instanceof CitadelError ? thrown.errno : undefined;
      if (["EIO", "ENOENT", "ENOTDIR", "ELOOP"].includes(errno ?? "")) return undefined;
      throw thrown;
    }
  }

  /** The wanted entries with what is to be done with each. */
  *steps(): Generator<readonly [ManifestEntry, number]> {
    let position = 0;
    for (const entry of this.#wanted()) {
      yield [entry, this.#steps[position] ?? Step.create];
      position += 1;
    }
  }

  /** Settles what can be told from looking and yields the files whose content tells, with their places. */
  *#files(): Generator<readonly [FileEntry, number]> {
    for (const entry of this.#wanted()) {
      this.leftovers.look(entry.path);
      const position = this.#take();
      const step = this.#look(entry);
      if (step === undefined && entry.type === "file") yield [entry, position];
      if (step === undefined) continue;
      this.#settle(entry, position, step);
      if (entry.type === "file") this.#passedOverBytes += entry.size;
    }
  }

  *#wanted(): Generator<ManifestEntry> {
    for (const entry of readManifest(this.snapshot.directory)) {
      if (entry.path !== rootPath && this.isWanted(entry.path)) yield entry;
    }
  }

  #take(): number {
    if (this.#count === this.#steps.length) {
      const grown = new Uint8Array(this.#steps.length * 2);
      grown.set(this.#steps);
      this.#steps = grown;
    }
    this.#count += 1;
    return this.#count - 1;
  }

  #settle(entry: ManifestEntry, position: number, step: number): void {
    this.#steps[position] = step;
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    if (step === Step.leave || entry.type !== "file") return;
    this.#neededBytes += storedBytesOf(entry);
    this.totalBytes += entry.size;
  }

  /** @returns undefined for a file whose content has to be compared */
  #look(entry: ManifestEntry): number | undefined {
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
    return stat.sizeBytes === entry.size ? undefined : Step.replace;
  }

  /** A directory as a run leaves it that is killed before it has set mode and owner. */
  #isHalfMade(path: BytePath, mode: number): boolean {
    return (mode & 0o7777) === 0o700 && this.directories.names(path).length === 0;
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
