// Samples in history.db: raw for a day, rolled up to 5 minutes for the retention, bounded in size. Callers hold the
// transaction.

import type { OpenDatabase } from "../system/database.ts";
import { formatLabels, type Labels, type Value } from "./sample.ts";
import { seriesTable } from "./series.ts";
import type { Point } from "./trend.ts";

export interface SampleStoreOptions {
  readonly metricsRetentionDays: number;
  readonly limitBytes: number;
}

export interface SampleStore {
  record(values: readonly Value[], atMs: number): void;
  /** Rolls up finished buckets and forgets what is too old, at most once in 5 minutes. @returns whether it did */
  maintain(nowMs: number): boolean;
  points(series: string, labels: Labels, sinceMs: number): Point[];
}

export const rollUpS = 300;
const rawS = 24 * 3600;
const dayS = 24 * 3600;
/** Forgetting reads every row: not with each roll-up. */
const forgetEveryS = 3600;
/** Days of roll-ups given up at most at a time when the file is too large. */
const maxDaysForgotten = 8;
// Beyond this a misbehaving label would fill the disk.
const maxSeries = 4000;

export function createSampleStore(
  database: OpenDatabase,
  options: SampleStoreOptions,
): SampleStore {
  const { handle } = database;
  const ids = new Map<string, number>();
  let rolledUpToS: number | undefined;
  let forgotAtS: number | undefined;

  const idOf = (name: string, labels: Labels, create: boolean): number | undefined => {
    const text = formatLabels(labels);
    const key = `${name}{${text}}`;
    const known = ids.get(key);
    if (known !== undefined) return known;
    const find = handle.query<{ id: number }, [string, string]>(
      "SELECT id FROM series WHERE name = ? AND labels = ?",
    );
    let id = find.get(name, text)?.id;
    if (id === undefined && create && ids.size < maxSeries) {
      handle.query("INSERT INTO series (name, labels) VALUES (?, ?)").run(name, text);
      id = find.get(name, text)?.id;
    }
    if (id !== undefined) ids.set(key, id);
    return id;
  };

  return {
    record(values, atMs) {
      const atS = Math.floor(atMs / 1000);
      const insert = handle.query(
        "INSERT INTO samples (series_id, at_s, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
      );
      for (const { series, labels, value } of values) {
        if (seriesTable[series]?.kept !== true || !Number.isFinite(value)) continue;
        const id = idOf(series, labels, true);
        if (id !== undefined) insert.run(id, atS, value);
      }
    },
    maintain(nowMs) {
      const bucketS = Math.floor(nowMs / 1000 / rollUpS) * rollUpS;
      if (rolledUpToS !== undefined && bucketS <= rolledUpToS && bucketS > rolledUpToS - dayS)
        return false;
      rollUp(database, Math.min(rolledUpToS ?? 0, bucketS - rollUpS), bucketS);
      rolledUpToS = bucketS;
      if (forgotAtS === undefined || Math.abs(bucketS - forgotAtS) >= forgetEveryS) {
        forget(database, bucketS, options);
        forgotAtS = bucketS;
      }
      return true;
    },
    points: (series, labels, sinceMs) =>
      database.read("read the history", () => {
        const id = idOf(series, labels, false);
        return id === undefined ? [] : readPoints(database, id, Math.floor(sinceMs / 1000));
      }),
  };
}

/** Adds the finished buckets from `fromS` on; one that is there already is replaced by a fuller one. */
function rollUp({ handle }: OpenDatabase, fromS: number, bucketS: number): void {
  handle
    .query(
      `INSERT INTO rollups (series_id, at_s, count, min, max, sum, last)
       SELECT grouped.series_id, bucket, count, low, high, total, value
       FROM (SELECT series_id, at_s / ${rollUpS} * ${rollUpS} AS bucket, count(*) AS count, min(value) AS low,
               max(value) AS high, sum(value) AS total, max(at_s) AS newest
             FROM samples WHERE at_s >= ?1 AND at_s < ?2 GROUP BY series_id, bucket) AS grouped
       JOIN samples ON samples.series_id = grouped.series_id AND samples.at_s = newest
       WHERE true
       ON CONFLICT (series_id, at_s) DO UPDATE SET count = excluded.count, min = excluded.min, max = excluded.max,
         sum = excluded.sum, last = excluded.last WHERE excluded.count > rollups.count`,
    )
    .run(fromS, bucketS);
}

function forget(database: OpenDatabase, bucketS: number, options: SampleStoreOptions): void {
  const { handle } = database;
  handle.query("DELETE FROM samples WHERE at_s < ?").run(bucketS - rawS);
  // What lies in the future was recorded before the clock was set back: it would never grow old.
  handle.query("DELETE FROM samples WHERE at_s > ?").run(bucketS + dayS);
  handle.query("DELETE FROM rollups WHERE at_s > ?").run(bucketS + dayS);
  handle
    .query("DELETE FROM rollups WHERE at_s < ?")
    .run(bucketS - options.metricsRetentionDays * dayS);
  for (
    let round = 0;
    round < maxDaysForgotten && usedBytes(database) > options.limitBytes;
    round += 1
  ) {
    const oldest = handle
      .query<{ at: number | null }, []>("SELECT min(at_s) AS at FROM rollups")
      .get();
    if (oldest === null || oldest.at === null) break;
    handle.query("DELETE FROM rollups WHERE at_s < ?").run(oldest.at + dayS);
  }
}

/** Bytes in use: free pages inside the file are used again before it grows. */
function usedBytes({ handle }: OpenDatabase): number {
  const row = handle
    .query<{ bytes: number }, []>(
      "SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .get();
  return row?.bytes ?? 0;
}

function readPoints({ handle }: OpenDatabase, id: number, sinceS: number): Point[] {
  const rolled = handle
    .query<{ at_s: number; value: number }, [number, number]>(
      "SELECT at_s, last AS value FROM rollups WHERE series_id = ? AND at_s >= ? ORDER BY at_s",
    )
    .all(id, sinceS);
  const rolledToS = (rolled.at(-1)?.at_s ?? sinceS - rollUpS) + rollUpS;
  const raw = handle
    .query<{ at_s: number; value: number }, [number, number]>(
      "SELECT at_s, value FROM samples WHERE series_id = ? AND at_s >= ? ORDER BY at_s",
    )
    .all(id, Math.max(sinceS, rolledToS));
  // A roll-up's last value stands for the end of its bucket.
  return [
    ...rolled.map(({ at_s, value }) => ({ atMs: (at_s + rollUpS - 1) * 1000, value })),
    ...raw.map(({ at_s, value }) => ({ atMs: at_s * 1000, value })),
  ];
}
