// Makes a snapshot: look (places, parent, survey), build in `<id>.partial`, flush, commit. What fails before the
// commit leaves a partial that the next run goes on with; what has its final name is complete.

import { CitadelError, counted, formatTime, type AbsolutePath } from "../../core/index.ts";
import { fromErrno, isErrno, makeDirectories, type System } from "../../system/index.ts";
import type { PinnedDirectory } from "../../system/pinned-directory.ts";
import { trimMemory } from "../../system/memory.ts";
import { startTicker } from "../../system/ticker.ts";
import { openWorkerPool, type WorkerPool } from "../../system/worker-pool.ts";
import { isLongCopy, type WorkerAnswer, type WorkerJob } from "../copy/job.ts";
import {
  chunkSizeBytes,
  formatSnapshotId,
  formatVersion,
  slugOf,
  type SnapshotRecord,
} from "../format/index.ts";
import { type FoundSnapshot, listSnapshots } from "../repository.ts";
import { SnapshotBuilder } from "./builder.ts";
import { OwnerNames } from "./entry.ts";
import { assertTags } from "./tags.ts";
import {
  commitSnapshot,
  discardPartial,
  finishDirectories,
  removeLeftovers,
  tagSnapshot,
  updateLatest,
} from "./finish.ts";
import type { CreateOptions, CreateProgress, CreateReport } from "./options.ts";
import type { WrittenLists } from "./ordered-output.ts";
import { chooseParent, type Parent } from "./parent.ts";
import { kindOf, nameOfSource, neededBytes, previousOf, resumableBytes } from "./prepare.ts";
import { finishCommitted, openArea, openPartial, removeOrphans } from "./partial.ts";
import {
  checkMounts,
  checkPlaces,
  checkShrink,
  checkSpace,
  checkWritable,
  emptySource,
  identityOf,
} from "./source.ts";
import { SurveyGate, surveySource } from "./survey.ts";

/** How often progress is looked at where nothing announces it. */
const progressMs = 200;

export interface CreateDeps {
  readonly system: System;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: CreateProgress) => void;
}

/** Everything that was found out before the first write. */
interface Prepared {
  readonly area: PinnedDirectory;
  readonly identity: string;
  readonly parent: Parent | undefined;
  /** Refuses the backup, if the source as a whole calls for it, before anything is copied. */
  readonly gate: SurveyGate;
  /** Known when the gate is open. */
  readonly isShrunk: () => boolean;
  readonly warnings: string[];
}

/**
 * Makes a complete snapshot of a source.
 * @throws kinds `not-mounted`, `no-space` (exit 7), `conflict` SOURCE_SHRUNK (6), `usage` BACKUP_NESTED, `io`,
 *   `cancelled`; the partial stays for the next run
 */
export async function createSnapshot(
  options: CreateOptions,
  deps: CreateDeps,
): Promise<CreateReport> {
  assertTags(options.tags);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await createOnce(options, deps, attempt < options.attempts);
    } catch (thrown) {
      const error = isErrno(thrown) ? fromErrno(thrown, "write", options.repositoryPath) : thrown;
      if (attempt >= options.attempts || !isWorthRetrying(error)) throw error;
      deps.system.logger.log("warn", `backup failed, trying again: ${String(error)}`, { attempt });
      await deps.system.clock.sleep(options.retryDelayMs, deps.signal);
      deps.signal.throwIfAborted();
    }
  }
}

/** Exit 75, or an I/O error: the next run may get through, and goes on where this one ended. */
function isWorthRetrying(thrown: unknown): boolean {
  if (!(thrown instanceof CitadelError)) return false;
  return thrown.kind === "unavailable" || thrown.kind === "rate-limited" || thrown.errno === "EIO";
}

async function createOnce(
  options: CreateOptions,
  deps: CreateDeps,
  mayRetry: boolean,
): Promise<CreateReport> {
  const startedMonotonic = deps.system.clock.monotonicMs();
  const prepared = await prepare(options, deps);
  const workers = { areQuiet: true };
  try {
    return await build(options, deps, prepared, workers, { startedMonotonic, mayRetry });
  } finally {
    if (workers.areQuiet) {
      prepared.parent?.[Symbol.dispose]();
      prepared.area[Symbol.dispose]();
    }
  }
}

/** @param used says afterwards whether all workers have let go of what they were given */
async function build(
  options: CreateOptions,
  deps: CreateDeps,
  prepared: Prepared,
  used: { areQuiet: boolean },
  { startedMonotonic, mayRetry }: { startedMonotonic: number; mayRetry: boolean },
): Promise<CreateReport> {
  const { system, signal } = deps;
  const startedMs = system.clock.nowMs();
  const random = crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
  const id = formatSnapshotId(startedMs, slugOf(nameOfSource(options)), options.type, random);
  const { area, identity } = prepared;
  using partial = openPartial(area, id, kindOf(options, identity), system);
  const workers = workerCount(options.jobs);
  using pool = openWorkerPool<WorkerJob, WorkerAnswer>("backup/copy/copy.worker.ts", workers);
  const builder = new SnapshotBuilder({
    options,
    system,
    partial,
    parent: prepared.parent,
    names: new OwnerNames(system),
    gate: prepared.gate,
    workers,
    signal,
    onProgress: deps.onProgress,
    warn: (text) => prepared.warnings.push(text),
  });
  // what looking needed is not needed any more; the workers' buffers come now
  if (prepared.gate.isOpen) trimMemory();
  let lists: WrittenLists;
  try {
    await copyAll(pool, builder, deps);
    if (mayRetry && builder.skips.deviceErrors > 0) throw deviceError(options, builder);
    lists = builder.close();
    finishDirectories(partial.directory, system.environment.isRoot);
    if (partial.isResumed) removeLeftovers(partial);
    using _flushing = startTicker(system.clock, progressMs, () =>
      deps.onProgress({ activity: "flushing" }),
    );
    await pool.runAll([{ kind: "flush", path: partial.directory }], () => {});
  } catch (thrown) {
    used.areQuiet = pool.isQuiet;
    if (!pool.isQuiet) partial.keepPinned();
    await builder.abandon(pool.isQuiet);
    if (prepared.gate.isRefused && !partial.isResumed) discardPartial(partial, area, id);
    throw thrown;
  } finally {
    partial.flushJournal();
  }
  partial.closeWork();
  const record = toRecord(id, startedMs, options, deps, prepared, builder, lists);
  signal.throwIfAborted();
  const directory = commitSnapshot(partial, area, record);
  if (options.updateLatest) {
    const warning = updateLatest(area, id);
    if (warning !== undefined) prepared.warnings.push(warning);
  }
  prepared.warnings.push(...tagSnapshot(area, id, options.tags));
  partial.unpin();
  const durationS = (system.clock.monotonicMs() - startedMonotonic) / 1000;
  return toReport(record, directory, builder, prepared, durationS);
}

async function prepare(options: CreateOptions, deps: CreateDeps): Promise<Prepared> {
  const { system } = deps;
  checkMounts(options.mustBeMounted, system);
  const warnings = checkPlaces(options);
  const identity = identityOf(options, system);
  checkWritable(options);
  tidyArea(options, identity);
  const snapshots = listSnapshots(options.repositoryPath);
  const parent =
    options.type === "incremental"
      ? chooseParent(snapshots, { ...options, identity }, (text) => warnings.push(text))
      : undefined;
  try {
    return await prepareFor(parent, { options, deps, identity, snapshots, warnings });
  } catch (thrown) {
    parent?.[Symbol.dispose]();
    throw thrown;
  }
}

interface Found {
  readonly options: CreateOptions;
  readonly deps: CreateDeps;
  readonly identity: string;
  readonly snapshots: readonly FoundSnapshot[];
  readonly warnings: string[];
}

async function prepareFor(
  parent: Parent | undefined,
  { options, deps, identity, snapshots, warnings }: Found,
): Promise<Prepared> {
  const { system, signal } = deps;
  const look = (onEntries: (count: number) => void) =>
    surveySource(options, system, signal, (count) => {
      onEntries(count);
      deps.onProgress({ activity: "looking", doneItems: gate.looked });
    });
  const previous = parent?.record ?? previousOf(snapshots, options, system);
  const resumed = resumableBytes(options, identity);
  let isShrunk = false;
  const gate: SurveyGate = new SurveyGate(look, (survey) => {
    warnings.push(...emptySource(survey, options));
    isShrunk = checkShrink(survey, previous, options);
    checkSpace(neededBytes(survey, parent, resumed), survey.entries, options);
  });
  if (parent === undefined) await gate.lookAhead();
  else {
    // links take next to nothing but their names, of which there are half of the former ones, or the source shrank;
    // the rest waits for the gate
    checkSpace(0, parent.record.counts.entries / 2, options);
  }
  makeDirectories(options.repositoryPath, 0o755);
  const area = openArea(options.repositoryPath, options.area, true);
  if (area === undefined) throw new TypeError("the area was to be made");
  return { area, identity, parent, gate, isShrunk: () => isShrunk, warnings };
}

async function copyAll(
  pool: WorkerPool<WorkerJob, WorkerAnswer>,
  builder: SnapshotBuilder,
  { system, signal }: CreateDeps,
): Promise<void> {
  using _progress = startTicker(system.clock, progressMs, () => builder.report());
  const onAnswer = (answer: WorkerAnswer, job: WorkerJob) => builder.onAnswer(answer, job);
  await pool.runAll(builder.jobs(), onAnswer, signal, isLongCopy);
}

/** What runs that died at their very end left. */
function tidyArea(options: CreateOptions, identity: string): void {
  using area = openArea(options.repositoryPath, options.area, false);
  if (area === undefined) return;
  finishCommitted(area, identity);
  removeOrphans(area);
}

/** Threads that read, hash and write; more than four gain nothing that a disk could take. */
function workerCount(jobs: number): number {
  return Math.max(1, Math.min(jobs, Math.max(2, navigator.hardwareConcurrency), 4));
}

function deviceError(options: CreateOptions, builder: SnapshotBuilder): CitadelError {
  return new CitadelError({
    kind: "io",
    code: "IO_ERROR",
    errno: "EIO",
    message: `${counted(builder.skips.deviceErrors, "file")} of ${options.sourcePath} could not be read: Input/output error (EIO)`,
    path: options.sourcePath,
    hint: "the device reports a failure: see `dmesg` and `smartctl -a`",
  });
}

function toRecord(
  id: string,
  startedMs: number,
  options: CreateOptions,
  deps: CreateDeps,
  prepared: Prepared,
  builder: SnapshotBuilder,
  lists: WrittenLists,
): SnapshotRecord {
  const { totals, skips, outsideLinks } = builder;
  const { counts } = builder.sharing;
  return {
    format: formatVersion,
    id,
    host: deps.system.environment.hostname,
    source: nameOfSource(options),
    source_b64: options.sourceNameBytes?.toString("base64"),
    source_identity: prepared.identity,
    type: options.type,
    area: options.area,
    tags: options.tags,
    parent: prepared.parent?.record.id ?? null,
    started: formatTime(startedMs),
    finished: formatTime(deps.system.clock.nowMs()),
    counts: {
      entries: totals.entries,
      files: totals.files,
      directories: totals.directories,
      symlinks: totals.symlinks,
      others: totals.others,
      bytes: totals.bytes,
      new_bytes: counts.copiedBytes + counts.resumedBytes,
      new_stored_bytes: counts.writtenBytes + counts.resumedWrittenBytes,
      stored_bytes: totals.storedBytes,
      source_blocks_bytes: prepared.gate.survey.storedBytes,
      linked_files: counts.linkedFiles,
      packed_files: totals.packedFiles,
      skipped: skips.total,
      outside_links: outsideLinks,
    },
    skipped: skips.listed,
    shrunk: prepared.isShrunk(),
    plain: totals.packedFiles === 0,
    compression: options.compression?.method ?? null,
    chunk_size: chunkSizeBytes,
    checksums: ["sha256", ...options.extraChecksums],
    manifest_sha256: lists.manifestSha256,
    manifest_bytes: lists.manifestBytes,
    sums_sha256: lists.sums,
    settings: options.settings,
    tool: options.tool,
  };
}

function toReport(
  record: SnapshotRecord,
  directory: AbsolutePath,
  builder: SnapshotBuilder,
  prepared: Prepared,
  durationS: number,
): CreateReport {
  const { counts } = record;
  const { copiedBytes, ...work } = builder.sharing.counts;
  return {
    snapshot: record.id,
    directory,
    type: record.type,
    parent: record.parent,
    manifest_sha256: record.manifest_sha256,
    files: counts.files,
    entries: counts.entries,
    bytes: counts.bytes,
    copied_bytes: copiedBytes,
    copied_files: work.copiedFiles,
    written_bytes: work.writtenBytes,
    cloned_bytes: work.clonedBytes,
    cloned_files: work.clonedFiles,
    stored_bytes: counts.stored_bytes,
    linked_files: counts.linked_files,
    renewed_files: work.renewedFiles,
    renewed: builder.sharing.renewed,
    resumed_files: work.resumedFiles,
    packed_files: counts.packed_files,
    skipped: record.skipped,
    skipped_total: counts.skipped,
    outside_links: counts.outside_links,
    duration_s: durationS,
    bytes_per_s: durationS > 0 ? copiedBytes / durationS : 0,
    warnings: prepared.warnings,
  };
}
