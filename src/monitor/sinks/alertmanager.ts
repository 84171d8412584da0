// Alertmanager's v2 API: the present state, sent again while it fires. It ends an alert by itself when nobody
// repeats it (`endsAt`), so an agent that dies leaves no alert for ever, and what ended while it could not be reached
// is not replayed. https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml

import { formatTime } from "../../core/index.ts";
import type { HttpClient } from "../../system/http-client.ts";
import type { Alert } from "../alert.ts";
import type { StateSink } from "../delivery.ts";
import { assertAccepted } from "./answer.ts";

export interface AlertmanagerSinkOptions {
  readonly url: string;
  readonly host: string;
  readonly client: HttpClient;
  readonly clock: { nowMs(): number };
  readonly intervalS: number;
  /** Firing and not silenced. */
  readonly firing: () => readonly Alert[];
  /** Resolved since then. */
  readonly resolvedSince: (sinceMs: number) => readonly Alert[];
}

/** How long a resolve is repeated. */
const resolveRepeatMs = 300_000;
const timeoutMs = 15_000;
const maxAlerts = 2000;

export function createAlertmanagerSink(options: AlertmanagerSinkOptions): StateSink {
  const { client, clock, intervalS } = options;
  const url = `${options.url.replace(/\/+$/, "")}/api/v2/alerts`;
  let sent = new Map<string, AlertmanagerEntry>();
  return {
    name: "alertmanager",
    intervalS,
    async send(signal) {
      const nowMs = clock.nowMs();
      const firing = options.firing();
      // Three rounds may be missed, and never less than the repeats of a resolve last.
      const validMs = Math.max(resolveRepeatMs, 4 * intervalS * 1000);
      const entries = new Map<string, AlertmanagerEntry>();
      for (const alert of options.resolvedSince(nowMs - resolveRepeatMs))
        add(entries, alertmanagerEntry(alert, options.host, 0));
      for (const alert of firing)
        add(entries, alertmanagerEntry(alert, options.host, nowMs + validMs));
      end(sent, entries, nowMs);
      const body = [...entries.values()].slice(0, maxAlerts);
      if (body.length === 0) return;
      const answer = await client.send({
        method: "POST",
        url,
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        timeoutMs,
        signal,
      });
      assertAccepted(answer, "Alertmanager", nowMs);
      sent = entries;
    },
  };
}

type AlertmanagerEntry = ReturnType<typeof alertmanagerEntry>;

/** Alertmanager knows an alert by its labels. */
function add(entries: Map<string, AlertmanagerEntry>, entry: AlertmanagerEntry): void {
  entries.set(JSON.stringify(Object.entries(entry.labels).sort()), entry);
}

/** What was sent and is no more the case ends there: another severity now, silenced, resolved. */
function end(
  sent: ReadonlyMap<string, AlertmanagerEntry>,
  entries: Map<string, AlertmanagerEntry>,
  nowMs: number,
): void {
  for (const [key, entry] of sent) {
    if (entries.has(key)) continue;
    const endsMs = Math.min(nowMs, Date.parse(entry.endsAt));
    if (nowMs - endsMs <= resolveRepeatMs)
      entries.set(key, { ...entry, endsAt: formatTime(endsMs) });
  }
}

/** @param validUntilMs end of a firing alert unless it is repeated */
export function alertmanagerEntry(alert: Alert, host: string, validUntilMs: number) {
  const endsAtMs = alert.state === "resolved" ? (alert.resolvedAtMs ?? 0) : validUntilMs;
  const { acknowledged } = alert;
  return {
    labels: {
      ...alert.labels,
      alertname: alert.name,
      severity: alert.severity,
      instance: host,
      job: "citadel-agent",
    },
    annotations: {
      summary: alert.summary,
      description: alert.advice,
      ...(acknowledged === null ? {} : { acknowledged_by: acknowledged.by }),
    },
    startsAt: formatTime(alert.sinceMs),
    endsAt: formatTime(endsAtMs),
  };
}
