// Alerts, acknowledgements, accepted values and silences in history.db. Callers that write hold a transaction
// (`history.transaction`), so that an alert and its messages are one commit.

import type { OpenDatabase } from "../system/database.ts";
import type { Acceptance, AdvanceResult, Alert, Silence } from "./alert.ts";

export interface AlertStore {
  /** Pending and firing alerts. */
  active(): Alert[];
  /** Firing alerts and resolved ones within their retention, newest first. */
  list(): Alert[];
  /** Stores the outcome of an evaluation. */
  save(result: AdvanceResult): void;
  /** Makes these the active alerts, whatever was stored: after a time without a database. */
  replaceActive(alerts: readonly Alert[]): void;
  /** Replaces an active alert (an acknowledgement). */
  update(alert: Alert): void;
  acceptances(): Map<string, Acceptance>;
  accept(acceptance: Acceptance): void;
  /** Silences that have not ended. */
  silences(nowMs: number): Silence[];
  silence(silence: Silence): void;
  endSilence(id: string): boolean;
  /** Forgets resolved alerts and ended silences beyond the retention. */
  forget(nowMs: number): void;
}

const dayMs = 24 * 3600 * 1000;
// More than a person reads; the retention in days comes first.
const maxListed = 5000;

export function createAlertStore(database: OpenDatabase, retentionDays: number): AlertStore {
  const { handle } = database;
  const read = <T>(sql: string, ...values: (string | number)[]) =>
    handle
      .query<{ json: string }, (string | number)[]>(sql)
      .all(...values)
      .map((row) => JSON.parse(row.json) as T);
  const put = (alert: Alert) => {
    handle
      .query("DELETE FROM alerts WHERE fingerprint = ? AND state <> 'resolved'")
      .run(alert.fingerprint);
    handle
      .query(
        "INSERT INTO alerts (fingerprint, state, since_ms, resolved_at_ms, json) VALUES (?, ?, ?, ?, ?)",
      )
      .run(
        alert.fingerprint,
        alert.state,
        alert.sinceMs,
        alert.resolvedAtMs,
        JSON.stringify(alert),
      );
  };
  return {
    active: () =>
      read<Alert>("SELECT json FROM alerts WHERE state <> 'resolved' ORDER BY since_ms"),
    list: () =>
      read<Alert>(
        `SELECT json FROM alerts WHERE state <> 'pending'
         ORDER BY state = 'resolved', since_ms DESC LIMIT ${maxListed}`,
      ),
    save({ alerts, transitions }) {
      for (const alert of alerts) put(alert);
      for (const { kind, alert } of transitions) {
        if (kind === "dropped")
          handle
            .query("DELETE FROM alerts WHERE fingerprint = ? AND state = 'pending'")
            .run(alert.fingerprint);
      }
    },
    replaceActive(alerts) {
      handle.query("DELETE FROM alerts WHERE state <> 'resolved'").run();
      for (const alert of alerts) put(alert);
    },
    update: put,
    acceptances: () =>
      new Map(
        read<Acceptance>("SELECT json FROM acceptances").map((one) => [one.fingerprint, one]),
      ),
    accept: (acceptance) => {
      handle
        .query(
          "INSERT INTO acceptances (fingerprint, json) VALUES (?, ?) ON CONFLICT (fingerprint) DO UPDATE SET json = excluded.json",
        )
        .run(acceptance.fingerprint, JSON.stringify(acceptance));
    },
    silences: (nowMs) => read<Silence>("SELECT json FROM silences WHERE until_ms > ?", nowMs),
    silence: (silence) => {
      handle
        .query("INSERT OR REPLACE INTO silences (id, until_ms, json) VALUES (?, ?, ?)")
        .run(silence.id, silence.untilMs, JSON.stringify(silence));
    },
    endSilence: (id) => handle.query("DELETE FROM silences WHERE id = ?").run(id).changes > 0,
    forget(nowMs) {
      const beforeMs = nowMs - retentionDays * dayMs;
      handle
        .query("DELETE FROM alerts WHERE state = 'resolved' AND resolved_at_ms < ?")
        .run(beforeMs);
      handle.query("DELETE FROM silences WHERE until_ms < ?").run(beforeMs);
    },
  };
}
