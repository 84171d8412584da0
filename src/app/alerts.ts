// `alerts` for an App: reading what the daemon keeps, and a person's word on it. SQLite settles who writes first:
// the daemon reads the tables anew in the transaction of each evaluation.

import { CitadelError } from "../core/index.ts";
import type { Acceptance, Alert, Silence } from "../monitor/alert.ts";
import { openHistory, openHistoryForReading, type History } from "../monitor/history.ts";
import { forgetDisk } from "../monitor/probes/smart.ts";
import type { Labels } from "../monitor/sample.ts";
import type { App } from "./app.ts";
import { historyPath } from "./monitor.ts";

export interface AlertsView {
  readonly alerts: readonly Alert[];
  readonly silences: readonly Silence[];
  readonly acceptances: readonly Acceptance[];
  /** False: no daemon has ever kept a history here. */
  readonly known: boolean;
}

/** Everything `alerts list` shows. @throws kind `permission` where the history is not ours to read */
export function readAlerts(app: App): AlertsView {
  using view = openHistoryForReading(historyPath(app));
  if (view === undefined) return { alerts: [], silences: [], acceptances: [], known: false };
  const { alerts } = view;
  return {
    alerts: alerts.list(),
    silences: alerts.silences(app.system.clock.nowMs()),
    acceptances: [...alerts.acceptances().values()],
    known: true,
  };
}

export interface Acknowledged {
  readonly alert: Alert;
  /** The value that is known from now on; null: the alert was acknowledged as it is. */
  readonly accepted: number | null;
}

/**
 * Acknowledges the active alert whose id begins with `id`. A value that can be accepted is: it alerts again only
 * when it grows. A vanished disk is forgotten.
 * @throws kind `not-found`, code ALERT_UNKNOWN; kind `usage`, code ALERT_AMBIGUOUS
 */
export function acknowledgeAlert(app: App, id: string, comment: string): Acknowledged {
  if (!readAlerts(app).known) throw unknownAlert(id);
  using history = openForChange(app);
  const { clock, environment } = app.system;
  const mark = { by: environment.user, atMs: clock.nowMs(), comment };
  const done = history.transaction("acknowledge an alert", (_database, store) => {
    const alert = choose(store.active(), id);
    store.update({ ...alert, acknowledged: mark });
    const accepted = alert.acceptable ? alert.value : null;
    if (accepted !== null)
      store.accept({ ...mark, fingerprint: alert.fingerprint, value: accepted });
    return { alert, accepted };
  });
  if (done === undefined) throw unusable(app, history);
  const device = done.alert.labels["device"];
  if (done.alert.name === "DISK_VANISHED" && device !== undefined)
    forgetDisk(history.memory, device);
  return done;
}

/** Silences alerts that carry all of `matchers` for a time. */
export function silenceAlerts(
  app: App,
  matchers: Labels,
  durationMs: number,
  comment: string,
): Silence {
  using history = openForChange(app);
  const { clock, environment } = app.system;
  const atMs = clock.nowMs();
  const silence: Silence = {
    id: Bun.hash
      .xxHash64(`${atMs} ${JSON.stringify(matchers)}`)
      .toString(16)
      .padStart(16, "0"),
    matchers,
    untilMs: atMs + durationMs,
    by: environment.user,
    atMs,
    comment,
  };
  const done = history.transaction("silence alerts", (_database, store) => {
    store.silence(silence);
    return true;
  });
  if (done === undefined) throw unusable(app, history);
  return silence;
}

/** Ends a silence before its time. @throws kind `not-found`, code SILENCE_UNKNOWN */
export function endSilence(app: App, id: string): void {
  using history = openForChange(app);
  const ended = history.transaction("end a silence", (_database, store) => store.endSilence(id));
  if (ended === undefined) throw unusable(app, history);
  if (ended) return;
  throw new CitadelError({
    kind: "not-found",
    code: "SILENCE_UNKNOWN",
    message: `there is no silence ${id}`,
    hint: "`citadel-agent alerts list` shows the silences with their ids",
  });
}

function openForChange(app: App): History {
  const { monitoring } = app.settings;
  return openHistory({
    path: historyPath(app),
    clock: app.system.clock,
    metricsRetentionDays: monitoring.metrics_retention_days,
    alertsRetentionDays: monitoring.alerts_retention_days,
  });
}

function choose(alerts: readonly Alert[], id: string): Alert {
  const found = alerts.filter(
    (alert) => alert.state === "firing" && alert.fingerprint.startsWith(id),
  );
  const [alert] = found;
  if (alert !== undefined && found.length === 1) return alert;
  if (found.length === 0) throw unknownAlert(id);
  throw new CitadelError({
    kind: "usage",
    code: "ALERT_AMBIGUOUS",
    message: `${found.length} alerts begin with ${id}`,
    hint: "`citadel-agent alerts list` shows the alerts with their ids",
  });
}

function unknownAlert(id: string): CitadelError {
  return new CitadelError({
    kind: "not-found",
    code: "ALERT_UNKNOWN",
    message: `no firing alert has the id ${id}`,
    hint: "`citadel-agent alerts list` shows the alerts with their ids",
  });
}

function unusable(app: App, history: History): CitadelError {
  const path = historyPath(app);
  return new CitadelError({
    kind: app.system.environment.isRoot ? "io" : "permission",
    code: "HISTORY_UNAVAILABLE",
    message: `the history ${path} cannot be changed: ${history.problem ?? "unknown reason"}`,
    path,
    hint: "run the command as root; `citadel-agent doctor` looks at the state directory",
  });
}
