// `alerts list --json`; the entries are those of `alert-ack` and `alert-silence` too.

import { document, list, nullable, number, object, oneOf, record, text, time } from "./define.ts";

export const alertMembers = {
  id: text,
  name: text,
  severity: oneOf("warning", "critical"),
  state: oneOf("pending", "firing", "resolved"),
  since: time,
  fired_at: nullable(time),
  resolved_at: nullable(time),
  summary: text,
  advice: text,
  labels: record(text),
  value: nullable(number),
  threshold: nullable(number),
  acknowledged: nullable(object({ by: text, at: time, comment: text })),
};

export const silenceEntry = object({
  id: text,
  matchers: record(text),
  until: time,
  by: text,
  at: time,
  comment: text,
});

export const schema = document("alerts", "alerts that fire, and resolved ones that are kept", {
  alerts: list(object({ ...alertMembers, silenced: nullable(text) })),
  silences: list(silenceEntry),
  accepted: list(object({ id: text, value: number, by: text })),
});
