// Builds the content of a snapshot: walks the source beside the parent's manifest, takes over what is unchanged, asks
// the workers for the rest, and puts every entry into the manifest in its turn.

import { isWithin, normalizePath } from "../../core/index.ts";
import { trimGrownMemory } from "../../system/memory.ts";
import { statExact, type ExactStat } from "../../system/native.ts";
import { isErrno, type System } from "../../system/index.ts";
import { type WalkedEntry, walkTree } from "../../system/tree-walk.ts";
import type {
  CopiedContent,
  CopyOrder,
  CopyTask,
  CopyRefusal,
  CopyResult,
  WorkerAnswer,
  WorkerJob,
} from "../copy/job.ts";
import { createPassedBytes, readPassedBytes } from "../copy/passed-bytes.ts";
import {
  type BytePath,
  type FileEntry,
  type ManifestEntry,
  parseManifestLine,
  storedPath,
} from "../format/index.ts";
import { Batches } from "./batches.ts";
import type { Shareable } from "./dedupe.ts";
import { type EntryBase, type OwnerNames, baseOf, copiedEntry, typeOfMode } from "./entry.ts";
import { FirstNames, heirOf, separateOrder } from "./first-names.ts";
import { LinkRuns } from "./link-runs.ts";
import type { CreateOptions, CreateProgress } from "./options.ts";
import { OrderedOutput, type Slot, type WrittenLists } from "./ordered-output.ts";
import { ParentCursor, type Parent } from "./parent.ts";
import { type Partial, toLatin1 } from "./partial.ts";
import { placeDirectory, placeSymlink, readPresentXattrs } from "./placing.ts";
import { Sharing } from "./sharing.ts";
import { Skips } from "./skips.ts";
import { sourceRoot } from "./source.ts";
import type { SurveyGate } from "./survey.ts";
import { type UnchangedFile, UnchangedFiles } from "./unchanged.ts";
import { UnchangedRuns } from "./unchanged-runs.ts";
import { targetFailure } from "./failures.ts";

export interface BuildContext {
  readonly options: CreateOptions;
  readonly system: System;
  readonly partial: Partial;
  readonly parent: Parent | undefined;
  readonly names: OwnerNames;
  readonly gate: SurveyGate;
  readonly workers: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CreateProgress) => void;
  readonly warn: (text: string) => void;
}

const entriesPerTurn = 1024;
const entriesPerLook = 1024;
/** Files that wait to be copied while the source is not judged yet. */
const maxHeld = 1024;

interface Asked {
  readonly slot: Slot;
  readonly job: CopyOrder;
  readonly guess: Shareable | undefined;
  /** What it is another name of, where it could not be linked to that. */
  readonly first?: FileEntry;
}

export class SnapshotBuilder {
  readonly skips = new Skips();
  readonly sharing: Sharing;
  outsideLinks = 0;
  readonly #context: BuildContext;
  readonly #output: OrderedOutput;
  readonly #source: string;
  readonly #data: string;
  readonly #task: CopyTask;
  readonly #firstNames = new FirstNames();
  readonly #asked = new Map<number, Asked>();
  readonly #batches = new Batches();
  #runs: UnchangedRuns | undefined;
  #again: CopyOrder[] = [];
  /** Waits until the source has been judged. */
  #held: CopyOrder[] = [];
  #sequence = 0;
  #wake: () => void = () => {};
  #isAbandoned = false;
  /** Resolves when `jobs` has ended and holds nothing open. */
  #ended: Promise<void> = Promise.resolve();
  #doneBytes = 0;
  #doneItems = 0;
  #shownBytes = 0;
  #lastPath = "";

  constructor(context: BuildContext) {
    const { options, partial } = context;
    this.#context = context;
    this.#source = sourceRoot(options);
    const root = toLatin1(partial.directory);
    this.#data = `${root}/data`;
    this.sharing = new Sharing(context);
    this.#task = {
      sourceRoot: this.#source,
      dataRoot: this.#data,
      reflink: this.sharing.isAllowed,
      pack:
        options.compression === null
          ? undefined
          : { root: `${root}/packed`, ...options.compression },
      digests: options.extraChecksums,
      bytesPerSecond: options.limitBytesPerSecond / context.workers,
      passed: createPassedBytes(),
    };
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
    const { options, signal, system, parent, gate } = this.#context;
    const cursor = new ParentCursor(this.sharing.isAllowed ? parent : undefined);
    const unchanged = this.#openUnchanged(cursor);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    try {
      let turn = 0;
      for (const walked of walkTree(this.#source, options)) {
        gate.pass(walked);
        if ((turn += 1) % entriesPerTurn === 0) {
          if (turn % entriesPerLook === 0) trimGrownMemory();
          await system.clock.sleep(0);
          signal.throwIfAborted();
          this.#assertWanted();
          this.report(walked.path);
        }
        const file = unchanged?.match(walked);
        if (file !== undefined) yield* this.#runs?.add(walked.prefix, file) ?? [];
        else {
          yield* this.#runs?.end() ?? [];
          const job = this.#take(walked, cursor);
          if (job !== undefined) yield* this.#enqueue(job);
        }
        if (this.#held.length >= maxHeld) yield* this.#openGate(() => gate.lookAhead());
        while (this.#output.isFull) {
          if (this.#held.length > 0) yield* this.#openGate(() => gate.lookAhead());
          yield* this.#runs?.end() ?? [];
          yield* this.#flushBatch();
          if (this.#output.isFull && this.#held.length === 0 && this.#again.length === 0) {
            await this.#change();
          }
        }
      }
      yield* this.#openGate(() => gate.endOfWalk());
      yield* this.#drain();
    } finally {
      cursor.close();
      this.#runs?.[Symbol.dispose]();
      resolve();
    }
  }

  #openUnchanged(cursor: ParentCursor): UnchangedFiles | undefined {
    const { options, parent, partial, names } = this.#context;
    if (!this.sharing.isAllowed || parent === undefined || options.extraChecksums.length > 0)
      return;
    // what a killed run linked is there already: each of those goes the long way
    const links = new LinkRuns(parent.directory, partial.directory, !partial.isResumed);
    this.#runs = new UnchangedRuns(links, this.#output, {
      onLinked: (files, failed) => this.#onLinked(files, failed),
      takeUnlinked: (file) => this.#takeUnlinked(file),
    });
    return new UnchangedFiles(cursor, names, this.sharing.trustedBeforeNs, parent.damaged.paths);
  }

  #onLinked(files: readonly UnchangedFile[], failed: number): void {
    this.#doneItems += files.length - failed;
    this.sharing.counts.linkedFiles += files.length - failed;
    for (const file of files) this.#doneBytes += file.size;
  }

  /** Has the source judged, then gives out what waited for that. Where it is refused, no worker is at work any more. */
  async *#openGate(judge: () => void | Promise<void>): AsyncGenerator<WorkerJob> {
    yield* this.#runs?.end() ?? [];
    if (!this.#context.gate.isOpen) while (this.#runs?.isIdle === false) await this.#change();
    await judge();
    for (const job of this.#held.splice(0)) yield* this.#enqueue(job);
  }

  /** The long way of a file that was taken for unchanged. */
  #takeUnlinked({ path, line, size }: UnchangedFile): Slot[] {
    this.#doneItems += 1;
    this.#doneBytes -= size;
    let stat: ExactStat;
    try {
      stat = statExact(`${this.#source}/${path}`);
    } catch (thrown) {
      if (!isErrno(thrown)) throw thrown;
      if (["ENOENT", "ENOTDIR"].includes(thrown.code)) return []; // it vanished: as if it had never been there
      this.skips.add(path, "unreadable", { errno: thrown.code, message: thrown.message });
      return [];
    }
    if (typeOfMode(stat.mode) !== "file") {
      this.skips.add(path, "changed", { message: "it is no file any more" });
      return [];
    }
    const former = parseManifestLine(line, 1);
    // an inode that got a second name meanwhile may have been met there already: this name is a file of its own
    const { slot, order } = this.#fileSlot(path, { ...stat, linkCount: 1 }, former);
    // looked at by its path: the worker has to see for itself that no part of that became a link
    if (order !== undefined) this.#again.push({ ...order, ino: 0n });
    return [slot];
  }

  async *#drain(): AsyncGenerator<WorkerJob> {
    for (;;) {
      yield* this.#flushBatch();
      if (this.#again.length > 0) continue;
      if (this.#asked.size === 0 && this.#runs?.isIdle !== false) return;
      await this.#change();
    }
  }

  /** Resolves with the next answer of a worker. */
  async #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    if (!this.#isAbandoned) await promise;
    this.#assertWanted();
  }

  #assertWanted(): void {
    if (this.#isAbandoned) throw new Error("the run has ended");
  }

  *#enqueue(job: CopyOrder): Generator<WorkerJob> {
    if (!this.#context.gate.isOpen) {
      this.#held.push(job);
      return;
    }
    for (const orders of this.#batches.add(job)) yield { kind: "copy", orders, task: this.#task };
  }

  /** Gives out everything that waits for company, and what has to be done again. */
  *#flushBatch(): Generator<WorkerJob> {
    for (const job of this.#again.splice(0)) yield* this.#enqueue(job);
    for (const orders of this.#batches.flush()) yield { kind: "copy", orders, task: this.#task };
  }

  /** Says where it is, also while no file ends. */
  report(current = this.#lastPath): void {
    const { onProgress, gate } = this.#context;
    const { survey } = gate;
    if (!gate.isOpen) return onProgress({ activity: "looking", doneItems: gate.looked });
    const doneBytes = this.#doneBytes + readPassedBytes(this.#task.passed);
    this.#shownBytes = Math.max(this.#shownBytes, doneBytes); // a file that is tried again takes nothing back
    onProgress({
      activity: "copying",
      doneBytes: this.#shownBytes,
      totalBytes: Math.max(survey.bytes, this.#shownBytes),
      doneItems: this.#doneItems,
      totalItems: Math.max(survey.entries, this.#doneItems),
      current: current === "" ? undefined : Buffer.from(current, "latin1").toString("utf8"),
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
    const xattrs = this.#xattrsOf(base.path);
    this.#push({ ...base, type: "directory", xattrs });
  }

  #xattrsOf(path: BytePath): ReadonlyMap<string, Uint8Array> | undefined {
    return readPresentXattrs(path === "." ? this.#source : `${this.#source}/${path}`, (errno) => {
      const message = `its extended attributes cannot be read: ${errno}`;
      this.skips.add(path, "unreadable", { errno, message });
    });
  }

  #takeSymlink(base: EntryBase, target: BytePath): void {
    const xattrs = this.#xattrsOf(base.path);
    placeSymlink(`${this.#data}/${base.path}`, target, { ...base, xattrs });
    if (target.startsWith("/") && !isWithin(normalizePath(target), this.#source)) {
      this.outsideLinks += 1;
    }
    this.#push({ ...base, type: "symlink", target, xattrs });
  }

  #takeFile(path: BytePath, stat: ExactStat, cursor: ParentCursor): CopyOrder | undefined {
    const former = cursor.at(path);
    const { slot, order } = this.#fileSlot(path, stat, former);
    this.#output.push(slot);
    return order;
  }

  /** A file's place in the manifest, and what a worker has to do for it. */
  #fileSlot(
    path: BytePath,
    stat: ExactStat,
    former: ManifestEntry | undefined,
  ): { readonly slot: Slot; readonly order: CopyOrder | undefined } {
    const first = this.#firstNames.take(stat);
    if (first !== undefined) {
      const known = former?.type === "file" ? former : undefined;
      const slot: Slot = { path, state: "pending", entry: undefined, first, former: known };
      return { slot, order: undefined };
    }
    const slot: Slot = { path, state: "pending", entry: undefined };
    this.#firstNames.add(stat, slot);
    const taken = this.sharing.find(path, stat, former);
    if (taken === undefined) return { slot, order: this.#ask(slot, stat, true) };
    slot.entry = taken;
    slot.state = "done";
    this.#doneBytes += stat.sizeBytes;
    return { slot, order: undefined };
  }

  #ask(slot: Slot, stat: ExactStat, mayGuess: boolean): CopyOrder {
    const guess = mayGuess ? this.sharing.guess(slot.path, stat) : undefined;
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

  /** Takes what a worker answered. @throws what ends the run: the backup disk is full, or fails */
  onAnswer(answer: WorkerAnswer, job: WorkerJob): void {
    if (!("failed" in answer)) this.#onCopied(answer);
    else if (job.kind === "link") this.#runs?.onAnswer(answer.failed, job);
    this.report();
    this.#wake();
  }

  #onCopied(results: readonly CopyResult[]): void {
    for (const result of results) {
      const asked = this.#asked.get(result.sequence);
      if (asked === undefined) continue;
      this.#asked.delete(result.sequence);
      if ("stat" in result) this.#settle(asked, result);
      else this.#refuse(asked, result);
    }
    this.#output.settle();
    this.#context.partial.flushJournal();
  }

  #settle(asked: Asked, content: CopiedContent): void {
    const { slot, guess, first } = asked;
    const { names, partial } = this.#context;
    const entry = copiedEntry(slot.path, content, names);
    this.#lastPath = slot.path;
    const final =
      first !== undefined
        ? this.sharing.storeSeparate(entry, content, first)
        : content.outcome === "matched" && guess !== undefined
          ? this.sharing.linkMatched(entry, guess)
          : this.sharing.deduplicate(entry, content);
    if (final === undefined) {
      this.#again.push(this.#ask(slot, content.stat, false));
      return;
    }
    slot.entry = final;
    slot.state = "done";
    if (first !== undefined) return;
    this.#doneBytes += entry.size;
    partial.record(final, content.flushed);
  }

  #refuse({ slot, job }: Asked, refusal: CopyRefusal): void {
    if (refusal.side === "target")
      throw targetFailure(refusal, this.#context.options.repositoryPath);
    slot.state = "skipped";
    slot.lost = { isGone: refusal.outcome !== "failed", sizeBytes: job.sizeBytes };
    const reason = refusal.outcome === "failed" ? "unreadable" : refusal.outcome;
    this.skips.add(slot.path, reason, refusal);
  }

  /** Another name of a file that is stored already: a link to it, or, where that cannot be, a file of its own. */
  #linkFurtherName(slot: Slot, firstSlot: Slot): void {
    const { path, former } = slot;
    const stored = heirOf(firstSlot);
    const first = stored.entry?.type === "file" ? stored.entry : undefined;
    if (first === undefined) return this.#takeAsFirst(slot, stored);
    slot.entry = this.sharing.linkFurtherName(path, first);
    slot.isSeparate = slot.entry === undefined;
    slot.entry ??= this.sharing.takeOverFurtherName(path, first, former);
    if (slot.entry !== undefined) slot.state = "done";
    else {
      const job = separateOrder((this.#sequence += 1), path, first.size);
      this.#asked.set(job.sequence, { slot, job, guess: undefined, first });
      this.#again.push(job);
    }
  }

  /** A further name of what could not be stored by the names before it: read in their place, if only they went. */
  #takeAsFirst(slot: Slot, before: Slot): void {
    const { path } = slot;
    if (before.lost?.isGone !== true) {
      this.skips.add(path, "unreadable", { message: "its first name was skipped" });
      slot.state = "skipped";
      return;
    }
    before.heir = slot;
    const job = separateOrder((this.#sequence += 1), path, before.lost.sizeBytes);
    this.#asked.set(job.sequence, { slot, job, guess: undefined });
    this.#again.push(job);
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

  /**
   * Ends a run that failed: lets go of its files. Resolves when the walk has ended too.
   * @param isQuiet no worker uses what it was given any more
   */
  async abandon(isQuiet: boolean): Promise<void> {
    this.#isAbandoned = true;
    this.#wake();
    await this.#ended;
    this.#output.abandon();
    if (isQuiet) this.#runs?.abandon();
  }
}
