// Which snapshots are kept, and why: decided from values alone. Plain backups go by age, typed ones by how many of
// each type; the newest complete and the newest verified of a source never go, nor anything that is not ours.

import { counted, formatBytes } from "../core/index.ts";
import type { FoundSnapshot } from "./repository.ts";

export interface RetentionRules {
  /** Plain snapshots older than this go. */
  readonly days: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  /** Of each source, whatever their tags. */
  readonly last: number;
}

export const defaultRules: RetentionRules = { days: 30, daily: 7, weekly: 4, monthly: 12, last: 0 };

export interface RetentionFacts {
  readonly nowMs: number;
  /** When each snapshot was last verified whole, by id. */
  readonly verifiedAtMs: ReadonlyMap<string, number>;
  /** Locked by a restore or a verification, by id. */
  readonly locked: ReadonlySet<string>;
  /** Partials that a living process holds, by id. */
  readonly building: ReadonlySet<string>;
}

export interface Keeping {
  readonly snapshot: FoundSnapshot;
  /** `newest`, `newest verified`, `daily`, `age`, `locked`, … */
  readonly reasons: readonly string[];
}

export interface RetentionPlan {
  readonly keep: readonly Keeping[];
  readonly remove: readonly FoundSnapshot[];
  /** Why a person has to agree first (`--force`). */
  readonly objections: readonly { readonly code: string; readonly message: string }[];
}

const dayMs = 86_400_000;
const tagCounts = ["daily", "weekly", "monthly"] as const;

/**
 * Decides. Age counts from snapshot.json; the partials of dead builders go. Damaged snapshots, those too that only a
 * verification found so, stay for a person, and take no place that a sound one would have.
 */
export function planRetention(
  snapshots: readonly FoundSnapshot[],
  rules: RetentionRules,
  facts: RetentionFacts,
): RetentionPlan {
  const reasons = new Map<FoundSnapshot, string[]>(snapshots.map((snapshot) => [snapshot, []]));
  const keep = (snapshot: FoundSnapshot | undefined, why: string) => {
    if (snapshot !== undefined) reasons.get(snapshot)?.push(why);
  };
  for (const snapshot of snapshots) {
    if (snapshot.state === "damaged") keep(snapshot, "damaged: for a person to judge");
    if (snapshot.state === "unknown") keep(snapshot, "cannot be read");
    if (snapshot.state === "partial" && facts.building.has(snapshot.id))
      keep(snapshot, "being made");
    if (facts.locked.has(snapshot.id)) keep(snapshot, "in use");
  }
  for (const group of bySource(snapshots)) keepOfSource(group, rules, facts, keep);
  const kept: Keeping[] = [];
  const remove: FoundSnapshot[] = [];
  for (const [snapshot, why] of reasons) {
    if (why.length > 0) kept.push({ snapshot, reasons: why });
    else remove.push(snapshot);
  }
  return { keep: kept, remove, objections: findObjections(snapshots, remove, facts.nowMs) };
}

/** Complete, sound snapshots of one source, newest first. */
function bySource(snapshots: readonly FoundSnapshot[]): FoundSnapshot[][] {
  const groups = new Map<string, FoundSnapshot[]>();
  for (const snapshot of snapshots) {
    const { record, state } = snapshot;
    if (record === undefined || state !== "complete") continue;
    const key = `${snapshot.area}\n${record.source_identity}\n${record.source}`;
    const group = groups.get(key) ?? [];
    group.push(snapshot);
    groups.set(key, group);
  }
  return [...groups.values()].map((group) =>
    group.sort((a, b) => b.startedMs - a.startedMs || (a.id < b.id ? 1 : -1)),
  );
}

function keepOfSource(
  group: readonly FoundSnapshot[],
  rules: RetentionRules,
  facts: RetentionFacts,
  keep: (snapshot: FoundSnapshot | undefined, why: string) => void,
): void {
  // one that was taken of a source that had shrunk never stands for the newest
  const whole = group.filter(({ record }) => record?.shrunk === false);
  keep(whole[0] ?? group[0], "newest");
  keep(
    group.find(({ id, record }) => facts.verifiedAtMs.has(id) && record?.shrunk === false),
    "newest verified",
  );
  for (const snapshot of group.slice(0, rules.last)) keep(snapshot, "last");
  for (const tag of tagCounts) {
    const tagged = group.filter(({ record }) => record?.tags.includes(tag) === true);
    for (const snapshot of tagged.slice(0, rules[tag])) keep(snapshot, tag);
  }
  for (const snapshot of group) {
    const isPlain = !tagCounts.some((tag) => snapshot.record?.tags.includes(tag));
    if (isPlain && facts.nowMs - snapshot.startedMs <= rules.days * dayMs) keep(snapshot, "age");
  }
}

function findObjections(
  snapshots: readonly FoundSnapshot[],
  remove: readonly FoundSnapshot[],
  nowMs: number,
): RetentionPlan["objections"] {
  const objections: { code: string; message: string }[] = [];
  const newestMs = Math.max(0, ...snapshots.map(({ startedMs }) => startedMs));
  if (remove.length > 0 && nowMs < newestMs) {
    objections.push({
      code: "CLOCK_BEFORE_SNAPSHOT",
      message: `the clock says ${new Date(nowMs).toISOString()}, before the newest snapshot of ${new Date(newestMs).toISOString()}: ages cannot be judged`,
    });
  }
  const removed = new Set(remove);
  for (const group of bySource(snapshots)) {
    const going = group.filter((snapshot) => removed.has(snapshot));
    // What they hold, not what they once stored anew: the first of a row of incremental ones stored nearly all of it,
    // and those that stay hold it too.
    const bytes = (of: readonly FoundSnapshot[]) =>
      of.reduce((sum, { record }) => sum + (record?.counts.bytes ?? 0), 0);
    const source = group[0]?.record?.source ?? "";
    if (going.length * 2 > group.length) {
      objections.push({
        code: "CLEANUP_REMOVES_MOST",
        message: `${going.length} of the ${counted(group.length, "snapshot")} of ${source} would go`,
      });
    } else if (bytes(going) * 2 > bytes(group) && going.length > 0) {
      objections.push({
        code: "CLEANUP_REMOVES_MOST",
        message: `snapshots with ${formatBytes(bytes(going))} of the ${formatBytes(bytes(group))} in those of ${source} would go`,
      });
    }
  }
  return objections;
}
