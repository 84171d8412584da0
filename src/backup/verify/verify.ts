// Verifies one snapshot: metadata, structure, content, in one pass over the manifest. Content is checked by worker
// threads (verify/content-check.ts), a bounded number of jobs in flight, so that memory does not grow with the snapshot.

import { temporaryPrefix } from "../../system/atomic-write.ts";
import { CitadelError } from "../../core/index.ts";
import { listDirectory, lstat, type Clock } from "../../system/index.ts";
import { trimGrownMemory, trimMemory } from "../../system/memory.ts";
import { startTicker } from "../../system/ticker.ts";
import { openWorkerPool, type WorkerPool } from "../../system/worker-pool.ts";
import { checkContent, type CheckFile, type CheckJob, type CheckResult } from "./content-check.ts";
import { type BytePath, displayPath, fromText } from "../format/byte-path.ts";
import { chunkSizeBytes, manifestName, storedPath } from "../format/manifest.ts";
import { snapshotJsonName, type SnapshotRecord } from "../format/snapshot-json.ts";
import { InodeLedger } from "./inode-ledger.ts";
import type { FoundSnapshot } from "../repository.ts";
import { type Choice, chooseAll, chooseRandom } from "./sampling.ts";
import { checkMetadata, readManifest } from "../snapshot-reader.ts";
import { createCheckedBytes, readCheckedBytes } from "./progress.ts";
import { FailureList, type VerifyReport } from "./report.ts";
import { compareTree, findExtraPacked, storedContent, type SoundFile } from "./structure.ts";

export interface VerifyOptions {
  readonly mode: "quick" | "full";
  /** Read through the page cache: fast, and proves memory, not the disk. */
  readonly cached: boolean;
  /** 0..1; 1 checks every file. */
  readonly sampleRate: number;
  /** Of the random sample; unused at rate 1 or with `choice`. */
  readonly seed: number;
  /** Instead of a random sample: for rotation. */
  readonly choice?: Choice | undefined;
  /** Threads; 0 checks in this one. Default: by the number of cores, at most 4. */
  readonly workers?: number | undefined;
  readonly cores: number;
  /** Small files travel together up to this; less where a budget has to be met closely. Default 32 MiB. */
  readonly batchBytes?: number | undefined;
}

export interface VerifyContext {
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly signal?: AbortSignal | undefined;
  /** Shared between snapshots that share inodes (`--all`). */
  readonly ledger?: InodeLedger | undefined;
  /** Told of each file whose content was read from the device and matched. */
  readonly onVerified?: ((file: SoundFile) => void) | undefined;
  /** Called several times a second, also while one file takes long. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** Threads that are up already; default: this run's own. */
  readonly checkers?: Checkers | undefined;
  /** Called before each job with its bytes: waits where a budget says so; false ends the run early. */
  readonly pace?: ((bytes: number) => Promise<boolean>) | undefined;
}

export interface VerifyProgress {
  /** Of the original content, however it is stored. */
  readonly doneBytes: number;
  /** Undefined for a sample: what it will come to is not known before its end. */
  readonly totalBytes?: number | undefined;
  readonly current?: string | undefined;
}

const progressMs = 100;

/** Files up to this size travel in batches; bigger ones go alone, in parts where only chunks are compared. */
const defaultBatchBytes = 32 * 1024 * 1024;
const batchFiles = 64;
const partChunks = 4;

/** From here on a run lasts long enough to give back the pages of the program that only its start needed. */
const longRunBytes = 256 * 1024 * 1024;

/**
 * How many threads, at most four (7 MiB each). XXH3 waits for the disk more than it computes; SHA-256 takes a core whole,
 * and the next piece is read meanwhile.
 */
export function verifyWorkers({
  cores,
  cached,
  mode,
}: Pick<VerifyOptions, "cores" | "cached" | "mode">): number {
  if (cached) return Math.min(4, cores);
  return Math.min(4, mode === "full" ? Math.max(2, cores) : cores * 2);
}

/** The threads that check content. */
export type Checkers = WorkerPool<CheckJob, CheckResult>;

/** Starts the threads: a caller with more to do before it can verify starts them first. Close them with `using`. */
export function openCheckers(workers: number): Checkers {
  return openWorkerPool("backup/verify/verify.worker.ts", workers);
}

/** Verifies; damage is a finding in the report, never an exception. @throws kind `cancelled` by the signal */
export async function verifySnapshot(
  snapshot: FoundSnapshot,
  options: VerifyOptions,
  context: VerifyContext,
): Promise<VerifyReport> {
  const started = context.clock.monotonicMs();
  const run = new Verification(snapshot, options, context);
  using _progress =
    context.onProgress && startTicker(context.clock, progressMs, () => run.showProgress());
  await run.run();
  run.showProgress();
  return run.report(context.clock.monotonicMs() - started);
}

/** A check that takes a worker for a good part of a second: nothing should wait behind it. */
const isLongCheck = ({ files }: CheckJob) =>
  files.some(({ size, xxh3 }) => Math.min(size, xxh3.length * chunkSizeBytes) > 32 * 1024 * 1024);

/** The collector sizes its heap by the machine's memory: on a large one it would let millions of entries lie. */
const entriesPerLook = 1024;

class Verification {
  readonly #failures = new FailureList();
  readonly #ledger: InodeLedger;
  readonly #counts = { files: 0, entries: 0, packed: 0 };
  #checked = 0;
  #bytesChecked = 0;
  #bytesRead = 0;
  #credited = 0;
  #isCutShort = false;
  readonly #remarks: string[] = [];
  /** Counted by the workers, piece by piece. */
  readonly #passed = createCheckedBytes();
  /** What was known without reading it again. */
  #creditedBytes = 0;
  #lastPath: BytePath | undefined;
  #isTrimmed = false;
  /** Files of which parts are still out: how many, and whether one of those that came back was wrong. */
  readonly #open = new Map<BytePath, { file: SoundFile; parts: number; hasFailed: boolean }>();

  constructor(
    readonly snapshot: FoundSnapshot,
    readonly options: VerifyOptions,
    readonly context: VerifyContext,
  ) {
    this.#ledger = context.ledger ?? new InodeLedger();
  }

  async run(): Promise<void> {
    const { snapshot } = this;
    if (snapshot.record === undefined) {
      const { state } = snapshot;
      const reason = state === "partial" ? state : state === "unknown" ? "unreadable" : "damaged";
      this.#fail(fromText(snapshotJsonName), reason);
      if (snapshot.why !== undefined) this.#remarks.push(`${snapshot.id}: ${snapshot.why}`);
      return;
    }
    this.#checkTopLevel(snapshot.record);
    let isManifestSound = true;
    for (const { name, reason } of checkMetadata(snapshot.directory, snapshot.record)) {
      this.#fail(fromText(name), reason);
      if (name === manifestName) isManifestSound = false;
    }
    if (!isManifestSound) return; // nothing below it can be judged
    try {
      await this.#checkEntries(snapshot.record);
    } catch (thrown) {
      if (!(thrown instanceof CitadelError) || thrown.kind === "cancelled") throw thrown;
      if (thrown.code === "INTERNAL" || thrown.code === "WORKER_FAILED") throw thrown;
      const name = thrown.code === "MANIFEST_DAMAGED" ? manifestName : "data";
      this.#fail(fromText(name), thrown.code === "NOT_FOUND" ? "missing" : "damaged", thrown.errno);
    }
  }

  showProgress(): void {
    const { snapshot, options, context } = this;
    const doneBytes = readCheckedBytes(this.#passed) + this.#creditedBytes;
    const bytes = options.sampleRate < 1 ? undefined : snapshot.record?.counts.bytes;
    const totalBytes = bytes === undefined ? undefined : Math.max(bytes, doneBytes);
    const [oldest] = this.#open.values(); // what takes long
    const path = oldest?.file.entry.path ?? this.#lastPath;
    const current = path === undefined ? undefined : displayPath(path);
    context.onProgress?.({ doneBytes, totalBytes, current });
  }

  report(durationMs: number): VerifyReport {
    const { options, snapshot } = this;
    const isWhole = !this.#isCutShort && !options.cached && this.#checked === this.#counts.files;
    return {
      snapshot: snapshot.id,
      valid: this.#failures.count === 0,
      mode: options.mode,
      cached: options.cached,
      sampleRate: options.sampleRate,
      seed:
        options.sampleRate > 0 && options.sampleRate < 1 && options.choice === undefined
          ? options.seed
          : undefined,
      filesTotal: snapshot.record?.counts.files ?? 0,
      filesChecked: this.#checked,
      filesFailed: this.#failures.count,
      bytesChecked: this.#bytesChecked,
      bytesRead: this.#bytesRead,
      durationMs,
      failures: this.#failures.toArray(),
      isWhole: isWhole && this.#failures.count === 0,
      remarks: this.#remarks,
    };
  }

  #fail(path: BytePath, reason: string, errno?: string): void {
    this.#failures.add({ path, reason, ranges: [], errno });
  }

  #checkTopLevel(record: SnapshotRecord): void {
    const { directory } = this.snapshot;
    const known = new Set([snapshotJsonName, manifestName, "data", "packed"]);
    for (const name of Object.keys(record.sums_sha256)) known.add(name);
    for (const name of listDirectory(directory) ?? []) {
      // what a repair makes, or left when it was killed, is no part of the snapshot: nobody restores it
      if (!known.has(name) && !name.startsWith(temporaryPrefix)) {
        this.#fail(fromText(name), "extra");
      }
    }
    if (lstat(directory)?.mode !== 0o700) this.#fail(fromText("."), "mode");
  }

  async #checkEntries(record: SnapshotRecord): Promise<void> {
    const { options, context, snapshot } = this;
    const jobs = this.#jobs(record);
    const take = (result: CheckResult, job: CheckJob) => this.#take(result, job);
    const workers = options.workers ?? verifyWorkers(options);
    if (workers === 0 || options.sampleRate === 0) {
      for await (const job of jobs) take(await checkContent(job), job);
    } else {
      using own = context.checkers === undefined ? openCheckers(workers) : undefined;
      const checkers = context.checkers ?? (own as Checkers);
      await checkers.runAll(jobs, take, context.signal, isLongCheck);
    }
    if (this.#isCutShort) return; // not all was looked at: nothing can be said of the whole
    const extras = findExtraPacked(snapshot.directory, this.#counts.packed, () =>
      readManifest(snapshot.directory),
    );
    for (const { path, reason } of extras) this.#fail(path, reason);
    const { files, entries } = this.#counts;
    if (files !== record.counts.files || entries !== record.counts.entries) {
      this.#fail(fromText(snapshotJsonName), "counts");
    }
    if (this.#ledger.failed.size > 0 && this.#credited > 0) this.#attribute();
  }

  /** Walks manifest and tree; failures of structure go to the list, sound files into jobs. */
  async *#jobs(record: SnapshotRecord): AsyncGenerator<CheckJob> {
    const { snapshot, options, context } = this;
    const mode = options.cached ? "cache" : "device";
    const choose =
      options.choice ??
      (options.sampleRate >= 1
        ? chooseAll
        : chooseRandom(record.counts.files, options.sampleRate, options.seed));
    const batchBytes = options.batchBytes ?? defaultBatchBytes;
    let batch: CheckFile[] = [];
    let bytes = 0;
    const toJob = (files: CheckFile[]): CheckJob => ({
      directory: snapshot.directory,
      mode,
      files,
      passed: this.#passed,
    });
    const allowed = async (size: number) => {
      context.signal?.throwIfAborted();
      if (context.pace === undefined || (await context.pace(size))) return true;
      if (!this.#isCutShort)
        this.#remarks.push("stopped at the end of its budget: not all was checked");
      this.#isCutShort = true;
      return false;
    };
    let position = -1;
    let seen = 0;
    for (const { failure, file } of compareTree(
      snapshot.directory,
      readManifest(snapshot.directory),
      this.#counts,
    )) {
      if ((seen += 1) % entriesPerLook === 0) {
        trimGrownMemory();
        this.showProgress(); // where nothing is read nothing else has its turn
      }
      if (failure !== undefined) {
        this.#failures.add({ ranges: [], ...failure });
        continue;
      }
      // a file that failed by structure has a position too: counted by the files seen so far
      position = this.#counts.files - 1;
      if (!choose(position)) continue;
      this.#lastPath = file.entry.path;
      const parts = this.#select(file);
      for (const part of parts) {
        const size = Math.min(part.size, part.xxh3.length * chunkSizeBytes);
        if (parts.length > 1 || size > batchBytes) {
          if (!(await allowed(size))) return;
          yield toJob([part]);
          continue;
        }
        batch.push(part);
        bytes += size;
        if (batch.length < batchFiles && bytes < batchBytes) continue;
        if (!(await allowed(bytes))) return;
        yield toJob(batch);
        [batch, bytes] = [[], 0];
      }
    }
    if (batch.length > 0 && (await allowed(bytes))) yield toJob(batch);
  }

  /** The jobs of one file; none where its inode was read already. */
  #select(file: SoundFile): CheckFile[] {
    const { entry, stat } = file;
    const stored = entry.packed ?? entry;
    const path = storedPath(entry);
    this.#checked += 1;
    if (stat.linkCount > 1 && this.#ledger.add(stat.ino, stored.sha256)) {
      this.#credited += 1;
      this.#bytesChecked += stored.size;
      if (entry.hardlink === undefined) this.#creditedBytes += entry.size; // the total has each inode once
      return [];
    }
    const whole: CheckFile = {
      path,
      size: stored.size,
      sha256: this.options.mode === "full" || stored.size === 0 ? stored.sha256 : undefined,
      xxh3: stored.xxh3,
      firstChunk: 0,
      original: entry.packed && {
        method: entry.packed.method,
        size: entry.size,
        sha256: entry.sha256,
      },
    };
    const canSplit = whole.sha256 === undefined && whole.original === undefined;
    const parts: CheckFile[] = [];
    if (canSplit && stored.xxh3.length > partChunks) {
      for (let first = 0; first < stored.xxh3.length; first += partChunks) {
        const xxh3 = stored.xxh3.slice(first, first + partChunks);
        parts.push({ ...whole, xxh3, firstChunk: first });
      }
    } else parts.push(whole);
    this.#open.set(path, { file, parts: parts.length, hasFailed: false });
    return parts;
  }

  #take(result: CheckResult, job: CheckJob): void {
    this.#trimOnce();
    this.#bytesRead += result.bytesRead;
    for (const { index, reason, ranges, errno } of result.failures) {
      const path = job.files[index]?.path;
      const open = path === undefined ? undefined : this.#open.get(path);
      if (path === undefined || open === undefined) continue;
      // of a file beyond those listed only the first wrong part is counted
      if (!open.hasFailed || this.#failures.has(path)) {
        const stored = storedContent(open.file.entry, open.file.stat);
        this.#failures.add({ path, reason, ranges, errno, stored });
      }
      open.hasFailed = true;
      const { stat } = open.file;
      if (stat.linkCount > 1) {
        this.#ledger.failed.set(`${stat.dev}:${stat.ino}`, { reason, ranges, errno });
      }
    }
    for (const { path } of job.files) {
      const open = this.#open.get(path);
      if (open === undefined) continue;
      open.parts -= 1;
      if (open.parts > 0) continue;
      this.#open.delete(path);
      this.#bytesChecked += open.file.stat.sizeBytes;
      // not by the list of failures, which is cut: what was found here decides what was proved
      if (!open.hasFailed) this.context.onVerified?.(open.file);
    }
    this.showProgress();
  }

  /** When the threads have been at work for a while, what only the start needed is not needed again. */
  #trimOnce(): void {
    const { options, snapshot } = this;
    if (this.#isTrimmed || options.cached) return;
    this.#isTrimmed = true;
    if ((snapshot.record?.counts.bytes ?? 0) >= longRunBytes) trimMemory();
  }

  /** Names the other paths of inodes that were read once and found wrong. */
  #attribute(): void {
    const { directory } = this.snapshot;
    const counts = { files: 0, entries: 0, packed: 0 };
    for (const { file } of compareTree(directory, readManifest(directory), counts)) {
      if (file === undefined) continue;
      const found = this.#ledger.failed.get(`${file.stat.dev}:${file.stat.ino}`);
      const path = storedPath(file.entry);
      if (found === undefined || this.#failures.has(path)) continue;
      this.#failures.add({ path, ...found, stored: storedContent(file.entry, file.stat) });
    }
  }
}
