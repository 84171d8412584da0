// history.db: raw samples for a day, 5-minute roll-ups for the retention, alerts, what probes remember. A history
// that cannot be written never stops the monitor: it says why (`problem`), keeps the probes' memory in the process,
// and tries again later. A damaged file is set aside and begun anew.

import { CitadelError, messageOf, type AbsolutePath } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import {
  isDamage,
  openDatabase,
  openDatabaseForReading,
  type OpenDatabase,
} from "../system/database.ts";
import { createAlertStore, type AlertStore } from "./alert-store.ts";
import { createVolatileMemory, type Memory } from "./memory.ts";
import { historyMigrations } from "./history-schema.ts";
import { createSampleStore, type SampleStore } from "./sample-store.ts";
import type { Point } from "./trend.ts";
import type { Labels, Value } from "./sample.ts";

export interface HistoryOptions {
  /** `<state>/history.db`. */
  readonly path: AbsolutePath;
  readonly clock: Pick<Clock, "nowMs">;
  readonly metricsRetentionDays: number;
  readonly alertsRetentionDays: number;
  /** Where the file stops growing: the oldest roll-ups go first. Default 128 MiB. */
  readonly limitBytes?: number | undefined;
}

export interface History extends Disposable {
  /** Why nothing is kept now, or that a damaged file was set aside within the last hour; null: all is well. */
  readonly problem: string | null;
  readonly memory: Memory;
  /** Adds the values that are kept; rolls up and forgets what is due. Never throws. */
  record(values: readonly Value[], atMs: number): void;
  /** Past values, oldest first: roll-ups, then what is not rolled up yet. Empty when nothing can be read. */
  points(series: string, labels: Labels, sinceMs: number): Point[];
  /** Runs `use` on the alerts' tables; undefined when the database cannot be used. Never throws. */
  alerts<T>(use: (store: AlertStore) => T): T | undefined;
  /**
   * One transaction over all tables, for the outbox; undefined when the database failed.
   * @throws only what `change` throws with kind `not-found` or `usage`
   */
  transaction<T>(
    what: string,
    change: (database: OpenDatabase, alerts: AlertStore) => T,
  ): T | undefined;
}

const defaultLimitBytes = 128 * 1024 * 1024;
const retryMs = 60_000;
const noticeMs = 3600_000;

const isRefusal = ({ kind }: CitadelError) => kind === "not-found" || kind === "usage";

interface Opened {
  readonly database: OpenDatabase;
  readonly samples: SampleStore;
  readonly alerts: AlertStore;
}

/** Opens the history for the daemon, which holds the lock of the monitor. Never throws. */
export function openHistory(options: HistoryOptions): History {
  const { clock } = options;
  let opened: Opened | undefined;
  let failure: string | undefined;
  let notice: { readonly text: string; readonly untilMs: number } | undefined;
  let retryAtMs = 0;
  const fallback = createVolatileMemory();
  /** Keys whose newest value is in this process alone. */
  const unwritten = new Set<string>();

  const open = (): Opened | undefined => {
    if (opened !== undefined || clock.nowMs() < retryAtMs) return opened;
    try {
      const database = openDatabase({
        path: options.path,
        name: "history",
        cacheKib: 256, // a daemon keeps it for years, and asks for little of it at a time
        synchronous: "normal",
        migrations: historyMigrations,
        clock,
        damage: "set-aside",
      });
      if (database.setAside !== undefined)
        notice = {
          text: `the history was damaged and begun anew; the old one is ${database.setAside}`,
          untilMs: clock.nowMs() + noticeMs,
        };
      opened = {
        database,
        samples: createSampleStore(database, {
          metricsRetentionDays: options.metricsRetentionDays,
          limitBytes: options.limitBytes ?? defaultLimitBytes,
        }),
        alerts: createAlertStore(database, options.alertsRetentionDays),
      };
      failure = undefined;
    } catch (thrown) {
      fail(thrown);
    }
    return opened;
  };
  const fail = (thrown: unknown) => {
    failure = messageOf(thrown);
    retryAtMs = clock.nowMs() + retryMs;
    // A damaged file is judged and set aside when it is opened again; a full disk is tried again as it is.
    if (!isDamage(thrown)) return;
    opened?.database.close();
    opened = undefined;
    retryAtMs = 0;
  };
  /** Writes only: after a failed write nothing is tried before `retryAtMs`. */
  const guard = <T>(use: (opened: Opened) => T): T | undefined => {
    if (failure !== undefined && clock.nowMs() < retryAtMs) return undefined;
    const now = open();
    if (now === undefined) return undefined;
    try {
      const result = use(now);
      failure = undefined;
      return result;
    } catch (thrown) {
      // What the caller refuses (no such alert) is the caller's; the rest is about the database.
      if (thrown instanceof CitadelError && isRefusal(thrown)) throw thrown;
      fail(thrown);
      return undefined;
    }
  };
  open();
  return {
    get problem() {
      if (failure !== undefined) return failure;
      return notice !== undefined && clock.nowMs() < notice.untilMs ? notice.text : null;
    },
    memory: {
      // Another process may have written (`alerts ack` forgets a disk): the file counts, but where we could not write.
      read: (key) =>
        unwritten.has(key)
          ? fallback.read(key)
          : (guard(({ database }) => readMemory(database, key)) ?? fallback.read(key)),
      write: (key, value) => {
        fallback.write(key, value);
        const written = guard(({ database }) => {
          writeMemory(database, key, value);
          return true;
        });
        if (written === true) unwritten.delete(key);
        else unwritten.add(key);
      },
    },
    record(values, atMs) {
      guard(({ database, samples, alerts }) =>
        database.write("record samples", () => {
          samples.record(values, atMs);
          if (samples.maintain(atMs)) alerts.forget(atMs);
        }),
      );
    },
    points: (series, labels, sinceMs) =>
      guard(({ samples }) => samples.points(series, labels, sinceMs)) ?? [],
    alerts: (use) => guard((all) => use(all.alerts)),
    transaction: (what, change) =>
      guard((all) => all.database.write(what, () => change(all.database, all.alerts))),
    [Symbol.dispose]() {
      opened?.database.close();
      opened = undefined;
    },
  };
}

/** What commands that only look may know of the history. */
export interface HistoryView extends Disposable {
  readonly memory: Memory;
  readonly alerts: Pick<AlertStore, "active" | "list" | "acceptances" | "silences">;
  points(series: string, labels: Labels, sinceMs: number): Point[];
}

/**
 * Opens the history to look at it.
 * @returns undefined where the daemon has never run
 * @throws kind `permission`; code DATABASE_DAMAGED
 */
export function openHistoryForReading(path: AbsolutePath): HistoryView | undefined {
  const database = openDatabaseForReading({ path, name: "history", migrations: historyMigrations });
  if (database === undefined) return undefined;
  const samples = createSampleStore(database, { metricsRetentionDays: 1, limitBytes: 0 });
  const overlay = createVolatileMemory();
  return {
    memory: {
      read: (key) => overlay.read(key) ?? readMemory(database, key),
      write: (key, value) => overlay.write(key, value),
    },
    alerts: createAlertStore(database, 1),
    points: samples.points,
    [Symbol.dispose]: () => database.close(),
  };
}

function readMemory(database: OpenDatabase, key: string): unknown {
  return database.read("read the monitor's memory", () => {
    const row = database.handle
      .query<{ json: string }, [string]>("SELECT json FROM memory WHERE key = ?")
      .get(key);
    return row === null ? undefined : (JSON.parse(row.json) as unknown);
  });
}

function writeMemory(database: OpenDatabase, key: string, value: unknown): void {
  database.write("write the monitor's memory", () => {
    database.handle
      .query(
        "INSERT INTO memory (key, json) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET json = excluded.json",
      )
      .run(key, JSON.stringify(value));
  });
}
