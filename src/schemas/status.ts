// `status --json` and /run/citadel-agent/status.json.

import {
  anything,
  bool,
  count,
  document,
  integer,
  list,
  nullable,
  number,
  object,
  oneOf,
  ratio,
  record,
  text,
  time,
} from "./define.ts";

const state = oneOf("ok", "unknown", "warning", "critical", "not_applicable");
const source = oneOf("daemon", "now");
const stamp = { state, measured_at: nullable(time), source, note: nullable(text) };

const root = object({
  role: text,
  path: text,
  mountpoint: nullable(text),
  device: nullable(text),
  fstype: nullable(text),
  mounted: nullable(bool),
  read_only: nullable(bool),
  total_bytes: nullable(count),
  used_bytes: nullable(count),
  free_bytes: nullable(count),
  usage: nullable(ratio),
  inode_usage: nullable(ratio),
  full_in_s: nullable(number),
  state,
  measured_at: nullable(time),
  source,
});

const link = object({ path: text, expected: nullable(text), actual: nullable(text), state: text });

const alert = object({
  name: text,
  severity: oneOf("warning", "critical"),
  since: time,
  summary: text,
  labels: record(text),
  id: text,
  advice: text,
});

export const schema = document("status", "what is known of this host now", {
  overall: oneOf("ok", "unknown", "warning", "critical"),
  storage: list(root),
  links: object({
    total: nullable(count),
    healthy: nullable(count),
    issues: list(link),
    ...stamp,
  }),
  models: list(object({ key: text, path: text, state: text, size_bytes: nullable(count) })),
  smart: list(object({ device: text, state: text, reason: nullable(text) })),
  backups: object({
    last_complete: nullable(time),
    last_verified: nullable(time),
    next_scheduled: nullable(time),
    automatic: nullable(bool),
    ...stamp,
  }),
  alerts: list(alert),
  findings: list(object({ name: text, severity: text, summary: text, advice: text })),
  pending_transaction: nullable(
    object({ id: integer, command: text, started: time, steps_done: count, steps_total: count }),
  ),
  agent: object({
    version: text,
    pid: nullable(integer),
    uptime_s: nullable(number),
    interval_s: nullable(number),
  }),
  sections: record(anything),
});
