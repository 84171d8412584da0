// The alerts of the running daemon: moves them by each evaluation and commits them together with the messages that
// tell of it. Where the database cannot be written the alerts live on in memory, and what happened meanwhile is
// written when it can: monitoring never waits for its own history.

import type { OpenDatabase } from "../system/database.ts";
import {
  advanceAlerts,
  silenceOf,
  type Acceptance,
  type Alert,
  type AlertTransition,
  type Evaluation,
  type Silence,
} from "./alert.ts";
import type { AlertStore } from "./alert-store.ts";
import type { History } from "./history.ts";
import { createOutbox, isSent, type Outbox } from "./outbox.ts";

export interface AlertKeeper {
  /** Pending and firing. */
  readonly active: readonly Alert[];
  /** Firing ones that no silence covers. */
  audible(nowMs: number): Alert[];
  readonly acceptances: ReadonlyMap<string, Acceptance>;
  /** Moves the alerts by one evaluation. @returns what changed */
  advance(evaluation: Evaluation, nowMs: number): readonly AlertTransition[];
  /** Resolved not longer ago than this. */
  resolvedSince(sinceMs: number): Alert[];
  /** Runs `use` on the outbox in a transaction; undefined when the database cannot be used. */
  outbox<T>(what: string, use: (outbox: Outbox) => T): T | undefined;
  /** Queues that wait in memory because the database could not be written. */
  readonly backlog: number;
}

export interface AlertKeeperOptions {
  readonly history: History;
  /** Sinks that get every transition: the queues of the outbox. */
  readonly sinks: readonly string[];
  /** Alerts of before, where the database may not know them (a reload while it is damaged). */
  readonly initial?: readonly Alert[] | undefined;
}

/** Transitions kept in memory while the database cannot be written. */
const maxBacklog = 10_000;
const maxResolved = 1000;

/** Opens the keeper: what the database knows, or what is given. */
export function openAlertKeeper({ history, sinks, initial }: AlertKeeperOptions): AlertKeeper {
  let active: readonly Alert[] = initial ?? history.alerts((store) => store.active()) ?? [];
  let acceptances: ReadonlyMap<string, Acceptance> = new Map();
  let silences: readonly Silence[] = [];
  let backlog: AlertTransition[] = [];
  let resolved: Alert[] = [];
  let identity: string | undefined;
  /** Firing alerts that nobody was told of because a silence covered them. */
  let hushed: ReadonlySet<string> = new Set();

  const inTransaction = <T>(what: string, use: (outbox: Outbox, store: AlertStore) => T) =>
    history.transaction(what, (database: OpenDatabase, store) => use(createOutbox(database), store));

  /** Commits one step. @returns false when the database could not be written */
  const commit = (transitions: readonly AlertTransition[], alerts: readonly Alert[]): boolean => {
    const late = backlog;
    const done = inTransaction("record the alerts", (outbox, store) => {
      const id = outbox.identity();
      // A database begun anew has lost what waited: whoever listens hears of every firing alert again.
      const isNew = identity !== undefined && id !== identity;
      const again = isNew ? alerts.filter(({ state }) => state === "firing").map(announce) : [];
      if (late.length > 0 || isNew) reconcile(store, late, alerts);
      store.save({ alerts, transitions });
      const known = new Set(transitions.map(({ alert }) => alert.fingerprint));
      const told = again.filter(({ alert }) => !known.has(alert.fingerprint));
      for (const each of [...late, ...told, ...transitions]) {
        if (isSent(each) && silenceOf(each.alert, silences, each.atMs) === undefined)
          outbox.addTransition(sinks, each);
      }
      return id;
    });
    if (done === undefined) return false;
    identity = done;
    backlog = [];
    return true;
  };
  const refresh = () => {
    history.alerts((store) => {
      acceptances = store.acceptances();
      silences = store.silences(0);
      const stored = new Map(store.active().map((alert) => [alert.fingerprint, alert]));
      // Acknowledgements come from commands of their own, through the database.
      active = active.map((alert) => {
        const acknowledged = stored.get(alert.fingerprint)?.acknowledged;
        return acknowledged === undefined ? alert : { ...alert, acknowledged };
      });
    });
  };
  /** Silences that ended over an alert that still fires: now it is told. */
  const unhushed = (
    alerts: readonly Alert[],
    made: readonly AlertTransition[],
    nowMs: number,
  ): AlertTransition[] => {
    const firing = alerts.filter(({ state }) => state === "firing");
    const covered = (alert: Alert) => silenceOf(alert, silences, nowMs) !== undefined;
    const told = new Set(made.map(({ alert }) => alert.fingerprint));
    const late = firing.filter(
      (alert) => hushed.has(alert.fingerprint) && !covered(alert) && !told.has(alert.fingerprint),
    );
    hushed = new Set(firing.filter(covered).map(({ fingerprint }) => fingerprint));
    return late.map((alert) => ({ kind: "firing", alert, atMs: nowMs }));
  };
  inTransaction("open the outbox", (outbox) => {
    outbox.keepOnly(sinks);
    return outbox.identity();
  });
  identity = inTransaction("open the outbox", (outbox) => outbox.identity());
  refresh();
  return {
    get active() {
      return active;
    },
    get acceptances() {
      return acceptances;
    },
    get backlog() {
      return backlog.length;
    },
    audible: (nowMs) =>
      active.filter(
        (alert) => alert.state === "firing" && silenceOf(alert, silences, nowMs) === undefined,
      ),
    advance(evaluation, nowMs) {
      refresh();
      const { alerts, transitions: made } = advanceAlerts(active, evaluation, nowMs, acceptances);
      const transitions = [...made, ...unhushed(alerts, made, nowMs)];
      const changed = transitions.length > 0 || backlog.length > 0;
      const moved = changed || alerts.length > 0;
      if (moved && !commit(transitions, alerts))
        backlog = [...backlog, ...transitions].slice(-maxBacklog);
      active = alerts.filter(({ state }) => state !== "resolved");
      const ended = alerts.filter(({ state }) => state === "resolved");
      resolved = [...resolved, ...ended].slice(-maxResolved);
      return transitions;
    },
    resolvedSince(sinceMs) {
      const stored = history.alerts((store) => store.list()) ?? [];
      const all = new Map<string, Alert>();
      for (const alert of [...resolved, ...stored]) {
        if (alert.state !== "resolved" || (alert.resolvedAtMs ?? 0) < sinceMs) continue;
        const other = all.get(alert.fingerprint);
        if (other === undefined || (other.resolvedAtMs ?? 0) < (alert.resolvedAtMs ?? 0))
          all.set(alert.fingerprint, alert);
      }
      return [...all.values()];
    },
    outbox: (what, use) => inTransaction(what, (outbox) => use(outbox)),
  };
}

const announce = (alert: Alert): AlertTransition => ({
  kind: "firing",
  alert,
  atMs: alert.firedAtMs ?? alert.sinceMs,
});

/** Brings the tables to what memory knows: what ended while nothing could be written is active no more. */
function reconcile(
  store: AlertStore,
  late: readonly AlertTransition[],
  alerts: readonly Alert[],
): void {
  const now = new Set(alerts.map(({ fingerprint }) => fingerprint));
  for (const { kind, alert } of late) {
    if (kind === "resolved") store.update(alert);
    if (kind === "dropped") store.save({ alerts: [], transitions: [{ kind, alert, atMs: 0 }] });
  }
  for (const alert of store.active()) {
    if (now.has(alert.fingerprint)) continue;
    store.update({ ...alert, state: "resolved", resolvedAtMs: alert.lastSeenMs });
  }
}
