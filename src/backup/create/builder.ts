// Builds the content of a snapshot: walks the source beside the parent's manifest, takes over what is unchanged, asks
// the workers for the rest, and puts every entry into the manifest in its turn.

import { isWithin, normalizePath } from "../../core/index.ts";
import { trimMemory } from "../../system/memory.ts";
import { readXattrs, statExact, type ExactStat } from "../../system/native.ts";
import { removeFile } from "../../system/raw-file.ts";
import { isErrno, type System } from "../../system/index.ts";
import { type WalkedEntry, walkTree } from "../../system/tree-walk.ts";
import {
  type CopiedContent,
  type CopyOrder,
  type CopyTask,
  type CopyRefusal,
  type WorkerAnswer,
  type WorkerJob,
  smallFileBytes,
} from "../copy/job.ts";
import { type BytePath, type FileEntry, type ManifestEntry, storedPath } from "../format/index.ts";
import { Batches } from "./batches.ts";
import { ContentIndex, type Shareable } from "./dedupe.ts";
import {
  type EntryBase,
  type OwnerNames,
  baseOf,
  copiedEntry,
  typeOfMode,
  unchangedEntry,
} from "./entry.ts";
import { FirstNames } from "./first-names.ts";
import { type LinkOutcome, makeParents, replaceByLink, shareStored } from "./linking.ts";
import type { CreateOptions, CreateProgress } from "./options.ts";
import { OrderedOutput, type Slot, type WrittenLists } from "./ordered-output.ts";
import { ParentCursor, type Parent, trustedBeforeNs } from "./parent.ts";
import { type Partial, toLatin1 } from "./partial.ts";
import { placeDirectory, placeSymlink } from "./placing.ts";
import { Skips } from "./skips.ts";
import { sourceRoot, type Survey } from "./source.ts";
import { UnchangedFiles } from "./unchanged.ts";
import { targetFailure } from "./failures.ts";

export interface BuildContext {
  readonly options: CreateOptions;
  readonly system: System;
  readonly partial: Partial;
  readonly parent: Parent | undefined;
  readonly names: OwnerNames;
  readonly survey: Survey;
  readonly workers: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CreateProgress) => void;
  readonly warn: (text: string) => void;
}

const entriesPerTurn = 1024;
/** The collector sizes its heap by the machine's memory: on a large one it would let millions of entries lie. */
const entriesPerCollection = 16_384;

interface Asked {
  readonly slot: Slot;
  readonly job: CopyOrder;
  readonly guess: Shareable | undefined;
}

export class SnapshotBuilder {
  readonly skips = new Skips();
  readonly counts = {
    copiedFiles: 0,
    copiedBytes: 0,
    linkedFiles: 0,
    resumedFiles: 0,
    outsideLinks: 0,
  };
  readonly #context: BuildContext;
  readonly #output: OrderedOutput;
  readonly #index: ContentIndex;
  readonly #source: string;
  readonly #data: string;
  readonly #root: string;
  readonly #isSharing: boolean;
  readonly #task: CopyTask;
  readonly #trustedBeforeNs: bigint;
  readonly #firstNames = new FirstNames();
  readonly #asked = new Map<number, Asked>();
  readonly #batches = new Batches();
  #again: CopyOrder[] = [];
  #sequence = 0;
  #wake: () => void = () => {};
  #doneBytes = 0;
  #doneItems = 0;
  #linkingForbidden = false;

  constructor(context: BuildContext) {
    const { options, partial, parent } = context;
    this.#context = context;
    this.#source = sourceRoot(options);
    this.#root = toLatin1(partial.directory);
    this.#data = `${this.#root}/data`;
    this.#isSharing = options.type === "incremental";
    this.#task = {
      sourceRoot: this.#source,
      dataRoot: this.#data,
      reflink: this.#isSharing,
      pack:
        options.compression === null
          ? undefined
          : { root: `${this.#root}/packed`, ...options.compression },
      digests: options.extraChecksums,
      bytesPerSecond: options.limitBytesPerSecond / context.workers,
    };
    this.#index = new ContentIndex(partial.scratch, partial.directory, parent);
    this.#trustedBeforeNs = trustedBeforeNs(parent);
    this.#output = new OrderedOutput(
      partial.directory,
      options.extraChecksums,
      (slot, first) => this.#linkFurtherName(slot, first),
      (entry) => this.#onWritten(entry),
      (path) => partial.isResumed && partial.scratch.markKept(`data/${path}`),
    );
  }

  /** What the workers have to do, as the walk goes on; all else is done on the way. */
  async *jobs(): AsyncGenerator<WorkerJob> {
    const { options, signal, system, parent } = this.#context;
    const cursor = new ParentCursor(this.#isSharing ? parent : undefined);
    using unchanged = this.#openUnchanged(cursor);
    try {
      let turn = 0;
      for (const walked of walkTree(this.#source, options)) {
        if ((turn += 1) % entriesPerTurn === 0) {
          if (turn % entriesPerCollection === 0) trimMemory();
          await system.clock.sleep(0);
          signal.throwIfAborted();
          this.#report(walked.path);
        }
        const isTaken = this.#takeUnchanged(walked, unchanged);
        const job = isTaken ? undefined : this.#take(walked, cursor);
        if (job !== undefined) yield* this.#enqueue(job);
        while (this.#output.isFull) {
          yield* this.#flushBatch();
          if (this.#output.isFull) await this.#change();
        }
      }
      yield* this.#drain();
    } finally {
      cursor.close();
    }
  }

  #openUnchanged(cursor: ParentCursor): UnchangedFiles | undefined {
    const { options, parent, partial, names } = this.#context;
    if (!this.#isSharing || parent === undefined || options.extraChecksums.length > 0) return;
    const trusted = this.#trustedBeforeNs;
    return new UnchangedFiles(cursor, names, parent.directory, partial.directory, trusted);
  }

  #takeUnchanged(walked: WalkedEntry, unchanged: UnchangedFiles | undefined): boolean {
    const line = unchanged?.take(walked);
    if (line === undefined) return false;
    this.#doneItems += 1;
    this.#doneBytes += line.size;
    this.counts.linkedFiles += 1;
    this.#output.pushUnchanged(walked.path as BytePath, line);
    return true;
  }

  async *#drain(): AsyncGenerator<WorkerJob> {
    for (;;) {
      for (const job of this.#again.splice(0)) yield* this.#enqueue(job);
      yield* this.#flushBatch();
      if (this.#again.length > 0) continue;
      if (this.#asked.size === 0) return;
      await this.#change();
    }
  }

  /** Resolves with the next answer of a worker. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  *#enqueue(job: CopyOrder): Generator<WorkerJob> {
    for (const orders of this.#batches.add(job)) yield this.#workerJob(orders);
  }

  *#flushBatch(): Generator<WorkerJob> {
    for (const orders of this.#batches.flush()) yield this.#workerJob(orders);
  }

  #workerJob(orders: readonly CopyOrder[]): WorkerJob {
    return { kind: "copy", orders, task: this.#task };
  }

  #report(current: string): void {
    const { onProgress, survey } = this.#context;
    onProgress({
      activity: "copying",
      doneBytes: this.#doneBytes,
      totalBytes: Math.max(survey.bytes, this.#doneBytes),
      doneItems: this.#doneItems,
      totalItems: Math.max(survey.entries, this.#doneItems),
      current: Buffer.from(current, "latin1").toString("utf8"),
    });
  }

  /** Deals with one path of the source. @returns what a worker has to do for it */
  #take(walked: WalkedEntry, cursor: ParentCursor): CopyOrder | undefined {
    const { stat, failure } = walked;
    const path = walked.path as BytePath;
    this.#doneItems += 1;
    if (failure !== undefined) {
      this.skips.add(
        path,
        failure.errno === "ENAMETOOLONG" ? "name_too_long" : "unreadable",
        failure,
      );
      return undefined;
    }
    const type = typeOfMode(stat.mode);
    const base = baseOf(path, stat, this.#context.names);
    switch (type) {
      case "file":
        if (walked.isForeignMount) break;
        return this.#takeFile(path, stat, cursor);
      case "directory":
        this.#takeDirectory(base);
        if (walked.isForeignMount) break;
        return undefined;
      case "symlink":
        this.#takeSymlink(base, (walked.target ?? "") as BytePath);
        return undefined;
      case "block":
      case "character":
        this.#push({ ...base, type, major: stat.rdevMajor, minor: stat.rdevMinor });
        return undefined;
      case "fifo":
      case "socket":
        this.#push({ ...base, type });
        return undefined;
      default:
        this.skips.add(path, "unknown_type");
        return undefined;
    }
    this.skips.add(path, "mount_point");
    return undefined;
  }

  #push(entry: ManifestEntry): void {
    this.#output.push({ path: entry.path, state: "done", entry });
  }

  #takeDirectory(base: EntryBase): void {
    const isRootItself = base.path === ".";
    if (!isRootItself) placeDirectory(`${this.#data}/${base.path}`);
    const xattrs = readXattrs(isRootItself ? this.#source : `${this.#source}/${base.path}`);
    this.#push({ ...base, type: "directory", xattrs });
  }

  #takeSymlink(base: EntryBase, target: BytePath): void {
    const xattrs = readXattrs(`${this.#source}/${base.path}`);
    placeSymlink(`${this.#data}/${base.path}`, target, { ...base, xattrs });
    if (target.startsWith("/") && !isWithin(normalizePath(target), this.#source)) {
      this.counts.outsideLinks += 1;
    }
    this.#push({ ...base, type: "symlink", target, xattrs });
  }

  #takeFile(path: BytePath, stat: ExactStat, cursor: ParentCursor): CopyOrder | undefined {
    const former = cursor.at(path);
    const first = this.#firstNames.take(stat);
    const slot: Slot = { path, state: "pending", entry: undefined, first };
    if (first !== undefined) {
      this.#output.push(slot);
      return undefined;
    }
    this.#firstNames.add(stat, slot);
    const taken = this.#takeOver(path, stat, former) ?? this.#takeResumed(path, stat);
    if (taken !== undefined) {
      slot.entry = taken;
      slot.state = "done";
      this.#doneBytes += stat.sizeBytes;
    }
    this.#output.push(slot);
    return taken === undefined ? this.#ask(slot, stat, true) : undefined;
  }

  /** The parent's stored file, linked, where nothing changed since. */
  #takeOver(
    path: BytePath,
    stat: ExactStat,
    former: ManifestEntry | undefined,
  ): FileEntry | undefined {
    const { options, parent, names } = this.#context;
    if (former?.type !== "file" || parent === undefined || this.#linkingForbidden) return undefined;
    const isSame =
      former.size === stat.sizeBytes &&
      former.mtimeNs === stat.mtimeNs &&
      former.ctimeNs === stat.ctimeNs &&
      former.ino === stat.ino &&
      stat.ctimeNs < this.#trustedBeforeNs;
    if (!isSame || (former.packed !== undefined && options.compression === null)) return undefined;
    if (options.extraChecksums.some((name) => former.digests?.[name] === undefined))
      return undefined;
    const entry = unchangedEntry(path, stat, former, names);
    const existing = `${toLatin1(parent.directory)}/${storedPath(former)}`;
    if (this.#share(existing, entry) !== "linked") return undefined;
    this.counts.linkedFiles += 1;
    return entry;
  }

  /** Links stored bytes to where `entry` stores its own. */
  #share(existing: string, entry: FileEntry): LinkOutcome {
    if (entry.packed !== undefined) makeParents(`${this.#root}/packed`, entry.path);
    const size = entry.packed?.size ?? entry.size;
    const outcome = shareStored(existing, `${this.#root}/${storedPath(entry)}`, size);
    if (outcome === "forbidden" && !this.#linkingForbidden) {
      this.#linkingForbidden = true;
      this.#context.warn(
        "hard links to the former snapshot are not allowed here (fs.protected_hardlinks, or its owner): files are copied",
      );
    }
    return outcome;
  }

  /** What a killed run copied, where the source is still the same. */
  #takeResumed(path: BytePath, stat: ExactStat): FileEntry | undefined {
    const found = this.#context.partial.findCopied(path);
    if (found?.type !== "file" || found.size !== stat.sizeBytes) return undefined;
    if (
      found.mtimeNs !== stat.mtimeNs ||
      found.ctimeNs !== stat.ctimeNs ||
      found.ino !== stat.ino
    ) {
      return undefined;
    }
    try {
      const stored = statExact(`${this.#root}/${storedPath(found)}`);
      if (typeOfMode(stored.mode) !== "file") return undefined;
      if (stored.sizeBytes !== (found.packed?.size ?? found.size)) return undefined;
    } catch (thrown) {
      if (isErrno(thrown, "ENOENT", "ENOTDIR")) return undefined;
      throw thrown;
    }
    this.counts.resumedFiles += 1;
    this.#context.partial.record(found, false);
    if (this.#isSharing && this.#context.options.deduplicate) this.#index.add(found);
    return unchangedEntry(path, stat, found, this.#context.names);
  }

  #ask(slot: Slot, stat: ExactStat, mayGuess: boolean): CopyOrder {
    const { options } = this.#context;
    const attributes = `${stat.mode & 0o7777}:${stat.uid}:${stat.gid}`;
    const isLarge = stat.sizeBytes > smallFileBytes;
    const guess =
      mayGuess && isLarge && this.#mayDeduplicate && options.extraChecksums.length === 0
        ? this.#index.guess(
            slot.path,
            stat.sizeBytes,
            attributes,
            stat.mtimeNs,
            options.compression !== null,
          )
        : undefined;
    const job: CopyOrder = {
      sequence: (this.#sequence += 1),
      path: slot.path,
      dev: stat.dev,
      ino: stat.ino,
      sizeBytes: stat.sizeBytes,
      candidate: guess && { sha256: guess.sha256, xxh3: guess.xxh3 },
    };
    this.#asked.set(job.sequence, { slot, job, guess });
    return job;
  }

  get #mayDeduplicate(): boolean {
    return this.#isSharing && this.#context.options.deduplicate && !this.#linkingForbidden;
  }

  /** Takes what a worker answered. @throws what ends the run: the backup disk is full, or fails */
  onAnswer(answer: WorkerAnswer): void {
    for (const result of answer) {
      const asked = this.#asked.get(result.sequence);
      if (asked === undefined) continue;
      this.#asked.delete(result.sequence);
      if ("stat" in result) this.#settle(asked, result);
      else this.#refuse(asked.slot, result);
    }
    this.#output.settle();
    this.#context.partial.flushJournal();
    if (answer.length > 0) this.#report(this.#lastPath);
    this.#wake();
  }

  #lastPath = "";

  #settle(asked: Asked, content: CopiedContent): void {
    const { slot, guess } = asked;
    const { names, partial } = this.#context;
    const entry = copiedEntry(slot.path, content, names);
    this.#lastPath = slot.path;
    const final =
      content.outcome === "matched" && guess !== undefined
        ? this.#linkMatched(entry, guess)
        : this.#deduplicate(entry, content);
    if (final === undefined) {
      this.#again.push(this.#ask(slot, content.stat, false));
      return;
    }
    this.#doneBytes += entry.size;
    slot.entry = final;
    slot.state = "done";
    partial.record(final, content.flushed);
  }

  /** A file that was read and found to be the candidate. @returns undefined where it cannot be linked */
  #linkMatched(entry: FileEntry, guess: Shareable): FileEntry | undefined {
    const shared: FileEntry = { ...entry, packed: guess.packed };
    if (guess.packed !== undefined) makeParents(`${this.#root}/packed`, entry.path);
    const equal = this.#index.findEqual(shared, true).some(({ stored }) => stored === guess.stored);
    if (!equal || this.#share(guess.stored, shared) !== "linked") return undefined;
    this.counts.linkedFiles += 1;
    return shared;
  }

  /** A file that was copied: its copy gives way to equal content, where there is some. */
  #deduplicate(entry: FileEntry, content: CopiedContent): FileEntry {
    const shared = this.#mayDeduplicate ? this.#replaceByEqual(entry) : undefined;
    if (shared !== undefined) {
      this.counts.linkedFiles += 1;
      return shared;
    }
    this.counts.copiedFiles += 1;
    this.counts.copiedBytes += content.reflinked ? 0 : entry.size;
    if (this.#mayDeduplicate && entry.size > 0) this.#index.add(entry);
    return entry;
  }

  #replaceByEqual(entry: FileEntry): FileEntry | undefined {
    const own = `${this.#root}/${storedPath(entry)}`;
    for (const found of this.#index.findEqual(entry, this.#context.options.compression !== null)) {
      const shared: FileEntry = { ...entry, packed: found.packed };
      const target = `${this.#root}/${storedPath(shared)}`;
      if (found.packed !== undefined) makeParents(`${this.#root}/packed`, entry.path);
      if (replaceByLink(found.stored, target, found.storedBytes) !== "linked") continue;
      if (target !== own) removeFile(own);
      return shared;
    }
    return undefined;
  }

  #refuse(slot: Slot, refusal: CopyRefusal): void {
    if (refusal.side === "target")
      throw targetFailure(refusal, this.#context.options.repositoryPath);
    slot.state = "skipped";
    const reason = refusal.outcome === "failed" ? "unreadable" : refusal.outcome;
    this.skips.add(slot.path, reason, refusal);
  }

  /** Another name of a file that is stored already. */
  #linkFurtherName(slot: Slot, first: FileEntry | undefined): FileEntry | undefined {
    if (first === undefined) {
      this.skips.add(slot.path, "unreadable", { message: "its first name was skipped" });
      return undefined;
    }
    const entry: FileEntry = { ...first, path: slot.path, hardlink: first.path };
    const outcome = this.#share(`${this.#root}/${storedPath(first)}`, entry);
    if (outcome === "linked") return entry;
    this.skips.add(slot.path, "unreadable", {
      message: `cannot be linked to its first name: ${outcome}`,
    });
    return undefined;
  }

  #onWritten(entry: ManifestEntry): void {
    if (!this.#context.partial.isResumed || entry.type === "fifo" || entry.type === "socket")
      return;
    if (entry.type === "block" || entry.type === "character") return;
    this.#context.partial.scratch.markKept(storedPath(entry));
  }

  /** Ends the lists. Only when every job was answered. */
  close(): WrittenLists {
    this.#output.settle();
    return this.#output.close();
  }

  get totals() {
    return this.#output.counts;
  }

  abandon(): void {
    this.#output.abandon();
  }
}
