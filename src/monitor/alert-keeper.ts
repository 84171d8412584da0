// The alerts of the running daemon and the messages about them: evaluations (alerting.ts) and the outbox in one
// commit. What happened while the database could not be written waits in memory and is written when it can; a
// database that was begun anew has lost what waited, so every firing alert is told again.

import type { OpenDatabase } from "../system/database.ts";
import { silenceOf, type Alert, type AlertTransition, type Silence } from "./alert.ts";
import { createBacklog, type Backlog } from "./backlog.ts";
import { createAlerting, type AlertingResult } from "./alerting.ts";
import type { Queue } from "./delivery.ts";
import type { History } from "./history.ts";
import { createOutbox, isSent, type Outbox } from "./outbox.ts";
import type { AnyRule, Thresholds } from "./rule.ts";
import type { Sample } from "./sample.ts";

export interface AlertKeeper {
  /** Pending and firing. */
  readonly active: readonly Alert[];
  /** Firing ones that no silence covers. */
  audible(nowMs: number): Alert[];
  /** Resolved since then, the newest of each cause. */
  resolvedSince(sinceMs: number): Alert[];
  evaluate<S extends Sample>(samples: readonly S[], nowMs: number): AlertingResult<S>;
  /** What waits for the sinks: in the database, and in memory while that cannot be written. */
  readonly queue: Queue;
  /** Adds a status for a sink. */
  addStatus(sink: string, body: string, atMs: number): void;
  /** Messages that wait, by sink. */
  waiting(): Readonly<Record<string, number>>;
  /** Tells this database from a later one. */
  readonly identity: string;
  /** What waits in memory because the database could not be written. */
  readonly backlog: Backlog;
}

export interface AlertKeeperOptions {
  readonly history: History;
  readonly rules: readonly AnyRule[];
  readonly thresholds: Thresholds;
  /** Sinks that get every transition: the queues of the outbox. */
  readonly sinks: readonly string[];
  /** What the keeper before a reload knew and could not write. */
  readonly before?: Pick<AlertKeeper, "active" | "backlog" | "identity"> | undefined;
}

const maxResolved = 1000;

/** Opens the keeper: what the database knows, and what is given. */
export function openAlertKeeper(options: AlertKeeperOptions): AlertKeeper {
  const { history, sinks, before } = options;
  const backlog = before?.backlog ?? createBacklog();
  let resolved: readonly Alert[] = [];
  let silences: readonly Silence[] = [];
  let identity = before?.identity ?? "";
  /** Firing alerts that nobody was told of because a silence covered them. */
  let hushed: ReadonlySet<string> = new Set();
  /** What the transaction at hand would make of the three above; taken over when it is committed. */
  let next = { identity, hushed, silences };

  const enqueue = (
    database: OpenDatabase,
    told: readonly AlertTransition[],
    silencesNow: readonly Silence[],
    alerts: readonly Alert[],
  ) => {
    const outbox = createOutbox(database);
    const nowMs = told[0]?.atMs ?? Math.max(0, ...alerts.map(({ lastSeenMs }) => lastSeenMs));
    const isCovered = (alert: Alert) => silenceOf(alert, silencesNow, nowMs) !== undefined;
    const firing = alerts.filter(({ state }) => state === "firing");
    const fresh = outbox.identity();
    const isNew = identity !== "" && fresh !== identity;
    const known = new Set(told.map(({ alert }) => alert.fingerprint));
    const again = firing.filter(
      (alert) =>
        !known.has(alert.fingerprint) &&
        (isNew || (hushed.has(alert.fingerprint) && !isCovered(alert))),
    );
    for (const { transition, sinksLeft } of backlog.transitions(sinks))
      outbox.addTransition(sinksLeft, transition);
    for (const each of [...again.map((alert) => announce(alert, nowMs)), ...told])
      if (isSent(each) && !isCovered(each.alert)) outbox.addTransition(sinks, each);
    next = {
      identity: fresh,
      hushed: new Set(firing.filter(isCovered).map(({ fingerprint }) => fingerprint)),
      silences: silencesNow,
    };
  };
  const inOutbox = <T>(what: string, use: (outbox: Outbox) => T) =>
    history.transaction(what, (database) => use(createOutbox(database)));
  const opened = inOutbox("open the outbox", (outbox) => {
    outbox.keepOnly(sinks);
    return outbox.identity();
  });
  // Before the first evaluation nothing is known of a former database: what it lost is told by its state.
  if (identity === "") identity = opened ?? "";
  const alerting = createAlerting({
    ...options,
    enqueue,
    initial: backlog.isEmpty ? undefined : before?.active,
  });
  return {
    get active() {
      return alerting.alerts;
    },
    backlog,
    get identity() {
      return identity;
    },
    audible: (nowMs) =>
      alerting.alerts.filter(
        (alert) => alert.state === "firing" && silenceOf(alert, silences, nowMs) === undefined,
      ),
    evaluate(samples, nowMs) {
      const result = alerting.evaluate(samples, nowMs);
      if (result.stored) {
        ({ identity, hushed, silences } = next);
        backlog.clear();
      } else {
        const isCovered = (alert: Alert) => silenceOf(alert, silences, nowMs) !== undefined;
        backlog.add(result.transitions.filter((each) => isSent(each) && !isCovered(each.alert)));
      }
      const ended = result.transitions.filter(({ kind }) => kind === "resolved");
      if (ended.length > 0)
        resolved = [...resolved, ...ended.map(({ alert }) => alert)].slice(-maxResolved);
      return result;
    },
    resolvedSince: (sinceMs) =>
      newestOfEach([...resolved, ...(history.alerts((store) => store.list()) ?? [])], sinceMs),
    queue: {
      head: (sink, limit) =>
        inOutbox("read the outbox", (outbox) => outbox.head(sink, limit)) ??
        backlog.head(sink, limit),
      remove(sink, upToId) {
        if (backlog.holds(upToId)) backlog.remove(sink, upToId);
        else inOutbox("forget what was sent", (outbox) => outbox.remove(sink, upToId));
      },
    },
    addStatus(sink, body, atMs) {
      const done = inOutbox("queue a status", (outbox) => {
        outbox.addStatus(sink, body, atMs);
        return true;
      });
      if (done === undefined) backlog.setStatus(sink, body, atMs);
    },
    waiting: () =>
      inOutbox("count the outbox", (outbox) => outbox.waiting()) ?? backlog.waiting(sinks),
  };
}

const announce = (alert: Alert, atMs: number): AlertTransition => ({ kind: "firing", alert, atMs });

function newestOfEach(alerts: readonly Alert[], sinceMs: number): Alert[] {
  const newest = new Map<string, Alert>();
  for (const alert of alerts) {
    const endedMs = alert.resolvedAtMs ?? 0;
    if (alert.state !== "resolved" || endedMs < sinceMs) continue;
    if ((newest.get(alert.fingerprint)?.resolvedAtMs ?? 0) < endedMs)
      newest.set(alert.fingerprint, alert);
  }
  return [...newest.values()];
}
