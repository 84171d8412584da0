// `perf --json`.

import {
  anything,
  bool,
  count,
  document,
  list,
  nullable,
  number,
  object,
  oneOf,
  seconds,
  text,
} from "./define.ts";

const workload = object({
  name: oneOf("sequential_write", "sequential_read", "random_read", "random_write", "fsync"),
  block_bytes: count,
  depth: count,
  operations: count,
  bytes: count,
  duration_s: seconds,
  iops: number,
  bytes_per_s: number,
  latency: object({ p50_s: seconds, p95_s: seconds, p99_s: seconds, max_s: seconds }),
});

const bottleneck = object({
  path: text,
  metric: text,
  value: number,
  threshold: number,
  unit: oneOf("bytes_per_s", "s"),
  exceeded: bool,
  limit: oneOf(
    "device",
    "file_system_option",
    "scheduler",
    "encryption",
    "network",
    "memory",
    "cache",
  ),
  reason: text,
});

export const schema = document("perf", "how fast the storage under a path is", {
  path: text,
  mountpoint: nullable(text),
  fstype: nullable(text),
  options: list(text),
  disks: list(anything),
  direct_io: bool,
  size_bytes: count,
  workloads: list(workload),
  "bottleneck?": nullable(bottleneck),
  "recommendations?": list(
    object({ finding: text, recommendation: text, reason: text, command: nullable(text) }),
  ),
});
