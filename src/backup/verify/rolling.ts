// Rolling verification: a slice of all stored content every day, oldest proof first, within a budget of time and I/O,
// so that every byte has been read from the disk and matched within so many days. What shares an inode is read once.

import { formatBytes, formatDuration } from "../../core/index.ts";
import { readText, type Clock } from "../../system/index.ts";
import { statExact } from "../../system/native.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { contentKey, type ContentKey } from "../catalog/content-key.ts";
import { fromText } from "../format/byte-path.ts";
import { storedPath, type FileEntry } from "../format/manifest.ts";
import { InodeLedger } from "./inode-ledger.ts";
import type { FoundSnapshot } from "../repository.ts";
import { readManifest } from "../snapshot-reader.ts";
import { verifySnapshot } from "./verify.ts";
import type { VerifyReport } from "./report.ts";

export interface RollingOptions {
  readonly everyDays: number;
  /** Reads no faster than this. */
  readonly bytesPerSecond: number;
  /** Ends a slice after this long. */
  readonly maxDurationMs: number;
  /** Waits while tasks stall on I/O for more than this share of the time (PSI `some avg10`); 1: never waits. */
  readonly maxPressureRatio: number;
  readonly cores: number;
  /** Threads; default 1: it has time. */
  readonly workers?: number | undefined;
}

export interface RollingContext {
  readonly clock: Clock;
  readonly catalog: Catalog;
  readonly snapshots: readonly FoundSnapshot[];
  readonly signal?: AbortSignal | undefined;
  /** Where /proc/pressure/io lies; undefined: not looked at. */
  readonly pressurePath?: string | undefined;
}

/** How much of what is stored was proved within the window. All figures count each inode once. */
export interface Coverage {
  readonly measured_at: string;
  readonly every_days: number;
  readonly bytes_total: number;
  readonly bytes_fresh: number;
  /** 0..1; 1 for an empty repository. */
  readonly ratio: number;
  /** How long beyond the window the oldest content waits; 0 when all is in time. Never proved counts as all its age. */
  readonly lag_s: number;
  /** When the oldest proof was; null where something was never proved. */
  readonly oldest: string | null;
}

export interface RollingReport {
  readonly before: Coverage;
  readonly after: Coverage;
  readonly bytesRead: number;
  readonly reports: readonly VerifyReport[];
  /** Said where the budget cannot reach every byte in time. */
  readonly warning: string | undefined;
}

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** A little more than the even share, so that a missed hour does not become a lag. */
const marginRatio = 1.05;

interface Survey {
  readonly coverage: Coverage;
  /** Bytes by the hour of their last proof; 0: never. */
  readonly byHour: ReadonlyMap<number, number>;
}

const storedSize = (entry: FileEntry) => (entry.packed ?? entry).size;

/** Each stored file of a snapshot with the key of its content, in manifest order; undefined where it is missing. */
function* storedFiles(
  snapshot: FoundSnapshot,
): Generator<{ entry: FileEntry; key: ContentKey | undefined; ino: bigint }> {
  const base = fromText(snapshot.directory);
  for (const entry of readManifest(snapshot.directory)) {
    if (entry.type !== "file") continue;
    try {
      const { ino } = statExact(`${base}/${storedPath(entry)}`);
      yield { entry, key: contentKey(ino, (entry.packed ?? entry).sha256), ino };
    } catch {
      yield { entry, key: undefined, ino: 0n }; // missing: the verification of its snapshot says so
    }
  }
}

/** Measures coverage; damaged manifests are passed over here and reported by the verification. */
export function surveyCoverage(
  context: Pick<RollingContext, "catalog" | "snapshots" | "clock">,
  everyDays: number,
): Survey {
  const nowMs = context.clock.nowMs();
  const ledger = new InodeLedger();
  const byHour = new Map<number, number>();
  let [total, fresh, oldestMs, lagMs] = [0, 0, nowMs, 0];
  for (const snapshot of context.snapshots) {
    if (snapshot.state !== "complete") continue;
    try {
      for (const { entry, key, ino } of storedFiles(snapshot)) {
        if (key === undefined || ledger.add(ino, (entry.packed ?? entry).sha256)) continue;
        const size = storedSize(entry);
        const atMs = context.catalog.verifiedAt(key);
        total += size;
        if (nowMs - atMs <= everyDays * dayMs) fresh += size;
        // what was never proved has waited since its snapshot was made
        const since = atMs === 0 ? snapshot.startedMs : atMs;
        lagMs = Math.max(lagMs, nowMs - since - everyDays * dayMs);
        oldestMs = Math.min(oldestMs, atMs);
        const hour = Math.floor(atMs / hourMs);
        byHour.set(hour, (byHour.get(hour) ?? 0) + size);
      }
    } catch {
      continue;
    }
  }
  const coverage: Coverage = {
    measured_at: new Date(nowMs).toISOString(),
    every_days: everyDays,
    bytes_total: total,
    bytes_fresh: fresh,
    ratio: total === 0 ? 1 : fresh / total,
    lag_s: Math.max(0, Math.round(lagMs / 1000)),
    oldest: oldestMs === 0 ? null : new Date(oldestMs).toISOString(),
  };
  return { coverage, byHour };
}

/** Whether the budget can reach every byte in time. @returns what to say if it cannot */
export function judgeBudget(totalBytes: number, options: RollingOptions): string | undefined {
  const perDay = (totalBytes / options.everyDays) * marginRatio;
  const possible = (options.bytesPerSecond * Math.min(options.maxDurationMs, dayMs)) / 1000;
  if (perDay <= possible) return undefined;
  const needed = (totalBytes / options.everyDays / Math.min(options.maxDurationMs, dayMs)) * 1000;
  return `verifying ${formatBytes(totalBytes)} every ${options.everyDays} days needs ${formatBytes(needed)}/s for ${formatDuration(options.maxDurationMs)} a day; the budget is ${formatBytes(options.bytesPerSecond)}/s`;
}

/** How much a slice takes at most. */
export function sliceBytes(totalBytes: number, everyDays: number, elapsedDays: number): number {
  return Math.ceil((totalBytes / everyDays) * marginRatio * elapsedDays);
}

/** What a slice takes: everything proved before `hour`, and of that hour's as much as `room` bytes. */
interface Slice {
  readonly hour: number;
  room: number;
  /** What was looked at already, under whatever name. */
  readonly seen: InodeLedger;
}

function cutSlice(
  byHour: ReadonlyMap<number, number>,
  sliceBytes: number,
  youngestHour: number,
): Slice {
  let room = sliceBytes;
  let hour = -1;
  for (const [at, bytes] of [...byHour].sort(([a], [b]) => a - b)) {
    if (at > youngestHour || room <= 0) break;
    hour = at;
    if (bytes >= room) break;
    room -= bytes;
    hour = at + 1; // all of this hour, nothing of the next one yet
  }
  return { hour, room, seen: new InodeLedger() };
}

/**
 * Verifies one slice: about a `everyDays`-th of all content, those proved longest ago. Damage is in the reports.
 * @param elapsedDays how many days' worth; default 1
 */
export async function verifyRolling(
  options: RollingOptions,
  context: RollingContext,
  elapsedDays = 1,
): Promise<RollingReport> {
  const { catalog, clock, snapshots } = context;
  const { coverage: before, byHour } = surveyCoverage(context, options.everyDays);
  const wantedBytes = sliceBytes(before.bytes_total, options.everyDays, elapsedDays);
  // proofs younger than half the window are left alone, however much time there is
  const youngestHour = Math.floor((clock.nowMs() - (options.everyDays * dayMs) / 2) / hourMs);
  const slice = cutSlice(byHour, wantedBytes, youngestHour);
  const pace = createPace(options, context);
  const ledger = new InodeLedger();
  const reports: VerifyReport[] = [];
  let bytesRead = 0;
  for (const snapshot of snapshots) {
    if (snapshot.state !== "complete" || pace.isSpent()) continue;
    const due = dueFiles(snapshot, catalog, slice);
    if (due.length > 0 && !due.includes(1)) continue;
    const verified: ContentKey[] = [];
    const report = await verifySnapshot(
      snapshot,
      {
        mode: "quick",
        cached: false,
        sampleRate: 0.5, // unused beside `choice`, but neither all nor nothing
        seed: 0,
        cores: options.cores,
        workers: options.workers ?? 1,
        batchBytes: Math.min(maxBatchBytes, Math.ceil(wantedBytes / 16)),
        choice: (position) => due[position] === 1,
      },
      {
        clock,
        signal: context.signal,
        ledger,
        pace: pace.take,
        onVerified: ({ entry, stat }) =>
          verified.push(contentKey(stat.ino, (entry.packed ?? entry).sha256)),
      },
    );
    for (let at = 0; at < verified.length; at += 1000) {
      catalog.recordContent(verified.slice(at, at + 1000), clock.nowMs());
    }
    bytesRead += report.bytesRead;
    reports.push(report);
    if (!report.valid) catalog.recordVerification(report);
  }
  const { coverage: after } = surveyCoverage(context, options.everyDays);
  catalog.setFact("coverage", JSON.stringify(after));
  return { before, after, bytesRead, reports, warning: judgeBudget(before.bytes_total, options) };
}

/** One byte per file, in manifest order: 1 where it belongs to the slice. Empty where the manifest cannot be read. */
function dueFiles(snapshot: FoundSnapshot, catalog: Catalog, slice: Slice): Uint8Array {
  const due = new Uint8Array(snapshot.record?.counts.files ?? 0);
  let position = -1;
  try {
    for (const { entry, key, ino } of storedFiles(snapshot)) {
      position += 1;
      if (key === undefined || slice.seen.add(ino, (entry.packed ?? entry).sha256)) continue;
      const hour = Math.floor(catalog.verifiedAt(key) / hourMs);
      if (hour > slice.hour || (hour === slice.hour && slice.room <= 0)) continue;
      if (hour === slice.hour) slice.room -= storedSize(entry);
      if (position < due.length) due[position] = 1;
    }
  } catch {
    return new Uint8Array(0); // its verification names the damage
  }
  return due;
}

const maxPressureWaits = 600;
const maxBatchBytes = 32 * 1024 * 1024;

/** Spends the budget: bytes per second, time; waits while the disk is busy with others. */
function createPace(options: RollingOptions, context: RollingContext) {
  const { clock, signal } = context;
  const startedMs = clock.monotonicMs();
  let spent = 0;
  const isSpent = () => clock.monotonicMs() - startedMs >= options.maxDurationMs;
  const isOver = () => isSpent() || signal?.aborted === true;
  const take = async (bytes: number): Promise<boolean> => {
    if (isOver()) return false;
    for (let waits = 0; waits < maxPressureWaits && isBusy(options, context); waits += 1) {
      await clock.sleep(1000, signal);
      if (isOver()) return false;
    }
    const dueMs = startedMs + (spent / options.bytesPerSecond) * 1000;
    const waitMs = dueMs - clock.monotonicMs();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    spent += bytes;
    return true;
  };
  return { take, isSpent };
}

function isBusy(options: RollingOptions, context: RollingContext): boolean {
  if (context.pressurePath === undefined || options.maxPressureRatio >= 1) return false;
  const average = /^some avg10=([\d.]+)/.exec(readText(context.pressurePath) ?? "")?.[1];
  return average !== undefined && Number(average) / 100 > options.maxPressureRatio;
}
