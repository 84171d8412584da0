// What waits to be sent, in history.db, so that an alert and its messages are one commit: at least once, in order
// per sink, bounded. The oldest status goes before any alert; beyond the limit the transitions of one alert collapse
// to the first and the last of them, counted. Sending is delivery.ts.

import type { OpenDatabase } from "../system/database.ts";
import type { AlertTransition } from "./alert.ts";

export type MessageKind = "alert" | "status";

export interface OutboxMessage {
  readonly id: number;
  readonly kind: MessageKind;
  readonly atMs: number;
  /** How many transitions of the same alert were left out just before this one. */
  readonly collapsed: number;
  /** JSON: a `StoredTransition`, or a status document. */
  readonly body: string;
}

/** A transition as it is kept and sent. `id` is the same however often it is sent. */
export interface StoredTransition {
  readonly id: string;
  readonly transition: AlertTransition;
}

export interface OutboxLimits {
  /** Messages of a sink that wait; default 10,000. */
  readonly messages?: number | undefined;
  /** Statuses among them; default 60. */
  readonly statuses?: number | undefined;
}

const defaultMessages = 10_000;
const defaultStatuses = 60;

/** The outbox's part of history.db. Callers that write hold a transaction. */
export interface Outbox {
  /** Adds a transition for every sink. */
  addTransition(sinks: readonly string[], transition: AlertTransition): void;
  addStatus(sink: string, body: string, atMs: number): void;
  /** The oldest messages of a sink, in order. */
  head(sink: string, limit: number): OutboxMessage[];
  /** Forgets what was delivered: everything up to `id`. */
  remove(sink: string, upToId: number): void;
  /** Messages that wait, by sink. */
  waiting(): Record<string, number>;
  /** Forgets the messages of sinks that are configured no more. */
  keepOnly(sinks: readonly string[]): void;
  /** An identity that lives as long as the database file: a new one means that waiting messages were lost. */
  identity(): string;
}

interface Row {
  readonly id: number;
  readonly kind: MessageKind;
  readonly at_ms: number;
  readonly collapsed: number;
  readonly body: string;
}

/** Which transitions are worth telling others: pending ones may still go away. */
export function isSent({ kind }: AlertTransition): boolean {
  return kind === "firing" || kind === "resolved" || kind === "severity";
}

/** Opens the outbox on an open history. */
export function createOutbox({ handle }: OpenDatabase, limits: OutboxLimits = {}): Outbox {
  const maxMessages = limits.messages ?? defaultMessages;
  const maxStatuses = limits.statuses ?? defaultStatuses;
  const insert = (
    sink: string,
    kind: MessageKind,
    fingerprint: string,
    atMs: number,
    body: string,
  ) =>
    handle
      .query("INSERT INTO outbox (sink, kind, fingerprint, at_ms, body) VALUES (?, ?, ?, ?, ?)")
      .run(sink, kind, fingerprint, atMs, body);
  const count = (sink: string, kind?: MessageKind) =>
    handle
      .query<{ n: number }, string[]>(
        `SELECT count(*) AS n FROM outbox WHERE sink = ? ${kind === undefined ? "" : "AND kind = ?"}`,
      )
      .get(...(kind === undefined ? [sink] : [sink, kind]))?.n ?? 0;
  const dropOldestStatus = (sink: string) =>
    handle
      .query(
        "DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE sink = ? AND kind = 'status')",
      )
      .run(sink).changes > 0;
  const makeRoom = (sink: string) => {
    while (count(sink) >= maxMessages) {
      if (dropOldestStatus(sink) || collapse(sink) || dropOldestAlert(sink)) continue;
      return;
    }
  };
  /** The alert with most transitions keeps its first and its last. */
  const collapse = (sink: string): boolean => {
    const most = handle
      .query<{ fingerprint: string; first: number; last: number; n: number }, [string]>(
        `SELECT fingerprint, min(id) AS first, max(id) AS last, count(*) AS n FROM outbox
         WHERE sink = ? AND kind = 'alert' GROUP BY fingerprint ORDER BY n DESC, first LIMIT 1`,
      )
      .get(sink);
    if (most === null || most.n <= 2) return false;
    const between = "sink = ? AND fingerprint = ? AND id > ? AND id < ?";
    const range = [sink, most.fingerprint, most.first, most.last] as const;
    const lost = handle
      .query<{ n: number }, [string, string, number, number]>(
        `SELECT count(*) + sum(collapsed) AS n FROM outbox WHERE ${between}`,
      )
      .get(...range);
    handle.query(`DELETE FROM outbox WHERE ${between}`).run(...range);
    handle
      .query("UPDATE outbox SET collapsed = collapsed + ? WHERE id = ?")
      .run(lost?.n ?? 0, most.last);
    return true;
  };
  /** Thousands of different alerts at two messages each: the oldest must go, or the disk fills. */
  const dropOldestAlert = (sink: string) =>
    handle
      .query("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE sink = ?)")
      .run(sink).changes > 0;
  return {
    addTransition(sinks, transition) {
      const { alert, kind, atMs } = transition;
      const stored: StoredTransition = { id: `${alert.fingerprint}-${atMs}-${kind}`, transition };
      const body = JSON.stringify(stored);
      for (const sink of sinks) {
        makeRoom(sink);
        insert(sink, "alert", alert.fingerprint, atMs, body);
      }
    },
    addStatus(sink, body, atMs) {
      while (count(sink, "status") >= maxStatuses) dropOldestStatus(sink);
      // A status never pushes an alert out: where only alerts wait, there is no room for one.
      if (count(sink) < maxMessages) insert(sink, "status", "", atMs, body);
    },
    head: (sink, limit) =>
      handle
        .query<Row, [string, number]>(
          "SELECT id, kind, at_ms, collapsed, body FROM outbox WHERE sink = ? ORDER BY id LIMIT ?",
        )
        .all(sink, limit)
        .map(({ at_ms, ...row }) => ({ ...row, atMs: at_ms })),
    remove(sink, upToId) {
      handle.query("DELETE FROM outbox WHERE sink = ? AND id <= ?").run(sink, upToId);
    },
    waiting: () =>
      Object.fromEntries(
        handle
          .query<{ sink: string; n: number }, []>(
            "SELECT sink, count(*) AS n FROM outbox GROUP BY sink",
          )
          .all()
          .map(({ sink, n }) => [sink, n]),
      ),
    keepOnly(sinks) {
      const marks = sinks.map(() => "?").join(",");
      handle.query(`DELETE FROM outbox WHERE sink NOT IN (${marks})`).run(...sinks);
    },
    identity() {
      const find = handle.query<{ json: string }, []>(
        "SELECT json FROM memory WHERE key = 'outbox.identity'",
      );
      const found = find.get();
      if (found !== null) return found.json;
      const fresh = JSON.stringify(crypto.randomUUID());
      handle.query("INSERT INTO memory (key, json) VALUES ('outbox.identity', ?)").run(fresh);
      return fresh;
    },
  };
}
