// Figures of the repository: what it holds, what sharing saves, how it grows, how much of it was proved lately.

import { counted, formatTime } from "../core/index.ts";
import type { VerificationRow } from "./catalog/schema.ts";
import type { FoundSnapshot } from "./repository.ts";

export interface SourceStatus {
  readonly source: string;
  readonly snapshots: number;
  readonly last_complete: string | null;
  readonly last_started_ms: number | null;
  /** Content of the newest sound snapshot. */
  readonly bytes: number;
  /** What all its snapshots take together, as it is stored: compressed, without holes, what they share once. */
  readonly stored_bytes: number;
  /** Content of all snapshots by what is stored for them; 1 where nothing is shared. */
  readonly dedupe_ratio: number | null;
  /** New bytes per day over the snapshots there are; null with fewer than two. */
  readonly growth_bytes_per_day: number | null;
}

/** What a verification found wrong is damaged, however sound its record is; `why` says when that was seen. */
export function withKnownDamage(
  snapshots: readonly FoundSnapshot[],
  damage: ReadonlyMap<string, Pick<VerificationRow, "at_ms" | "files_failed">>,
): FoundSnapshot[] {
  return snapshots.map((snapshot) => {
    const found = damage.get(snapshot.id);
    if (found === undefined || snapshot.state !== "complete") return snapshot;
    const paths = counted(found.files_failed, "path is", "paths are");
    const why = `verified ${formatTime(found.at_ms)}: ${paths} not as backed up`;
    return { ...snapshot, state: "damaged", why };
  });
}

const dayMs = 86_400_000;

/** One entry per source, by name. */
export function summarizeSources(snapshots: readonly FoundSnapshot[]): SourceStatus[] {
  const groups = new Map<string, FoundSnapshot[]>();
  for (const snapshot of snapshots) {
    const source = snapshot.record?.source;
    if (source !== undefined) groups.set(source, [...(groups.get(source) ?? []), snapshot]);
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([source, group]) => summarize(source, group));
}

/**
 * What a snapshot adds to those before it. What it shared with a parent that retention has removed since, the first of
 * those that stayed holds: all that it has, and a later one by how much it has more. That is the most it can be: equal
 * files count each.
 */
function storedBeside({ record }: FoundSnapshot, earlier: readonly FoundSnapshot[]): number {
  if (record === undefined) return 0;
  const { new_bytes, new_stored_bytes = new_bytes, stored_bytes } = record.counts; // older ones know content only
  const { parent } = record;
  if (parent === null || earlier.some(({ id }) => id === parent)) return new_stored_bytes;
  const before = earlier.findLast((one) => one.record !== undefined)?.record;
  return Math.max(new_stored_bytes, stored_bytes - (before?.counts.stored_bytes ?? 0));
}

function summarize(source: string, group: readonly FoundSnapshot[]): SourceStatus {
  const newest = group.findLast(({ state }) => state === "complete");
  const oldest = group[0];
  const sum = (of: (snapshot: FoundSnapshot) => number) =>
    group.reduce((total, one) => total + of(one), 0);
  const added = group.map((one, at) => storedBeside(one, group.slice(0, at)));
  const stored = added.reduce((total, bytes) => total + bytes, 0);
  const content = sum(({ record }) => record?.counts.bytes ?? 0);
  const spanMs = (group.at(-1)?.startedMs ?? 0) - (oldest?.startedMs ?? 0);
  const later = stored - (added[0] ?? 0);
  return {
    source,
    snapshots: group.length,
    last_complete: newest?.id ?? null,
    last_started_ms: newest?.startedMs ?? null,
    bytes: newest?.record?.counts.bytes ?? 0,
    stored_bytes: stored,
    dedupe_ratio: stored === 0 ? null : content / stored,
    growth_bytes_per_day: spanMs < dayMs / 24 ? null : (later / spanMs) * dayMs,
  };
}
