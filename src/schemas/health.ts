// `health --json`.

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
  seconds,
  text,
  time,
} from "./define.ts";

const state = oneOf("ok", "unknown", "warning", "critical", "not_applicable");
const source = oneOf("daemon", "now");
const stamp = { state, measured_at: nullable(time), source, note: nullable(text) };
const severity = oneOf("warning", "critical");
const trend = {
  growth_bytes_per_day: nullable(number),
  full_in_s: nullable(seconds),
  full_in_low_s: nullable(seconds),
  full_in_high_s: nullable(seconds),
};

const root = object({
  role: oneOf("application", "models", "backup"),
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
  reason: nullable(text),
  ...trend,
  latency: anything,
  state,
  healthy: bool,
  measured_at: nullable(time),
  source,
});

const disk = object({
  device: text,
  roots: list(text),
  model: nullable(text),
  serial: nullable(text),
  state: oneOf("ok", "warning", "failed", "unknown", "not_applicable"),
  reason: nullable(text),
  standby: bool,
  temperature_celsius: nullable(number),
  wear: nullable(number),
  media_errors: nullable(count),
  reallocated_sectors: nullable(count),
  pending_sectors: nullable(count),
  power_on_s: nullable(number),
  critical_warnings: list(text),
  problems: list(object({ severity, attribute: text, text, value: nullable(number) })),
});

const finding = object({
  name: text,
  severity,
  summary: text,
  advice: text,
  labels: record(text),
  value: nullable(number),
  threshold: nullable(number),
});

export const schema = document("health", "one look at everything the monitor watches", {
  overall: oneOf("ok", "unknown", "warning", "critical"),
  storage_health: list(root),
  symlink_status: object({
    total: nullable(count),
    healthy: nullable(count),
    issues: list(
      object({ path: text, expected: nullable(text), actual: nullable(text), state: text }),
    ),
    ...stamp,
  }),
  smart_health: object({ ...stamp, disks: list(disk), vanished: list(anything) }),
  io: list(
    object({
      device: text,
      roots: list(text),
      reads_per_s: number,
      writes_per_s: number,
      read_bytes_per_s: number,
      written_bytes_per_s: number,
      await_s: nullable(seconds),
      utilisation: ratio,
      queue_length: number,
      window_s: nullable(seconds),
    }),
  ),
  kernel_errors: list(object({ device: nullable(text), kind: text, count, last: text })),
  models: list(object({ key: text, path: text, state: text, size_bytes: nullable(count) })),
  backups: object({
    last_complete: nullable(time),
    last_verified: nullable(time),
    next_scheduled: nullable(time),
    automatic: nullable(bool),
    ...stamp,
  }),
  services: list(
    object({ name: text, port: integer, up: bool, expected: bool, latency_s: nullable(seconds) }),
  ),
  host_load: anything,
  gpus: list(object({ uuid: text, name: text })),
  probes: list(
    object({ name: text, state, note: nullable(text), measured_at: time, duration_s: seconds }),
  ),
  findings: list(finding),
  "trend?": list(
    object({
      role: text,
      path: text,
      ...trend,
      days_to_full: nullable(number),
      history_span_s: seconds,
    }),
  ),
  "predictions?": list(
    object({
      what: oneOf("storage_full", "disk_worn_out"),
      path: text,
      in_s: seconds,
      summary: text,
    }),
  ),
  summary: object({
    overall_healthy: bool,
    warnings: list(text),
    errors: list(text),
    counts: record(count),
  }),
});
