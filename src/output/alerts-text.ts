// Alerts for a person.

import { formatRelative } from "../core/index.ts";
import type { alertEntry, silenceEntry } from "../monitor/documents.ts";
import type { Style } from "./style.ts";

interface AlertsDocument {
  readonly alerts: readonly (ReturnType<typeof alertEntry> & {
    readonly silenced: string | null;
  })[];
  readonly silences: readonly ReturnType<typeof silenceEntry>[];
}

export function formatAlerts(document: AlertsDocument, nowMs: number, style: Style): string {
  const ago = (text: string | null) =>
    text === null ? "" : formatRelative(Date.parse(text), nowMs);
  const lines = document.alerts.flatMap((alert) => {
    const firing = alert.state === "firing";
    const tone = firing ? alert.severity : "dim";
    const marks = [
      firing ? `since ${ago(alert.since)}` : `resolved ${ago(alert.resolved_at)}`,
      ...(alert.acknowledged === null ? [] : [`acknowledged by ${alert.acknowledged.by}`]),
      ...(alert.silenced === null ? [] : ["silenced"]),
    ];
    return [
      `${style.paint(tone, firing ? alert.severity : "resolved")}  ${style.paint("strong", alert.name)}  ${alert.id.slice(0, 8)}  ${marks.join(", ")}`,
      `    ${alert.summary}`,
      ...(firing ? [`    ${style.paint("dim", alert.advice)}`] : []),
    ];
  });
  const silences = document.silences.map(
    (silence) =>
      `  ${silence.id}  ${Object.entries(silence.matchers)
        .map(([key, value]) => `${key}=${value}`)
        .join(",")}  ends ${ago(silence.until)}  by ${silence.by}`,
  );
  return [
    ...(lines.length === 0 ? ["No alerts."] : lines),
    ...(silences.length === 0 ? [] : ["", "Silences", ...silences]),
  ].join("\n");
}
