// Which links the daemon may mend now. A link that breaks again and again is a person's business: so many times an
// hour, then no more until an hour has passed since the oldest. Pure; the mending itself is app/monitor-repair.ts.

import type { LinkIssueData } from "./data.ts";
import type { Memory } from "./memory.ts";

const hourMs = 3600_000;
const memoryKey = "repairs";
const maxLinks = 10_000;

/** States that the daemon mends; what is foreign, real or wrong is left to a person. */
const mended = new Set(["missing", "broken", "loop"]);

export interface RepairChoice {
  /** Paths to mend now. */
  readonly paths: readonly string[];
  /** Paths that were mended too often within the hour. */
  readonly exhausted: readonly string[];
}

/** What was mended when, by path. */
export type RepairLog = Readonly<Record<string, readonly number[]>>;

/** @param perHour STORAGE_MONITOR_REPAIRS_PER_HOUR */
export function chooseRepairs(
  issues: readonly LinkIssueData[],
  log: RepairLog,
  perHour: number,
  nowMs: number,
): RepairChoice {
  const broken = issues.filter(({ state }) => mended.has(state)).map(({ path }) => path);
  const recent = (path: string) => recentOf(log[path] ?? [], nowMs).length;
  return {
    paths: broken.filter((path) => recent(path) < perHour),
    exhausted: broken.filter((path) => recent(path) >= perHour),
  };
}

/** Adds attempts to the log, and forgets those older than an hour. */
export function logRepairs(log: RepairLog, paths: readonly string[], nowMs: number): RepairLog {
  const next: Record<string, readonly number[]> = {};
  for (const [path, times] of Object.entries(log)) {
    const recent = recentOf(times, nowMs);
    if (recent.length > 0) next[path] = recent;
  }
  for (const path of paths) next[path] = [...(next[path] ?? []), nowMs];
  return Object.fromEntries(Object.entries(next).slice(-maxLinks));
}

/** A time in the future was recorded before the clock was set back: it counts as now, and not for ever. */
function recentOf(times: readonly number[], nowMs: number): number[] {
  return times.filter((atMs) => nowMs - atMs < hourMs && atMs - nowMs < hourMs);
}

export function readRepairLog(memory: Memory): RepairLog {
  const value = memory.read(memoryKey);
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter(([, times]) => Array.isArray(times)),
  ) as RepairLog;
}

export function writeRepairLog(memory: Memory, log: RepairLog): void {
  memory.write(memoryKey, log);
}
