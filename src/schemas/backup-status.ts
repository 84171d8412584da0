// `backup status`.

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
  text,
  time,
} from "./define.ts";

const job = object({
  id: text,
  kind: oneOf("create", "verify", "restore", "cleanup", "repair", "test_restore"),
  source: nullable(text),
  destination: nullable(text),
  type: nullable(text),
  tags: list(text),
  state: oneOf("pending", "running", "completed", "failed"),
  queued: nullable(time),
  started: nullable(time),
  finished: nullable(time),
  snapshot: nullable(text),
  files: count,
  bytes: count,
  new_bytes: count,
  skipped: nullable(count),
  checksum: nullable(text),
  error: nullable(object({ code: text, message: nullable(text) })),
});

const source = object({
  source: text,
  snapshots: count,
  last_complete: nullable(text),
  last_started: nullable(time),
  bytes: count,
  stored_bytes: count,
  dedupe_ratio: nullable(number),
  growth_bytes_per_day: nullable(number),
});

export const schema = document("backup-status", "jobs, sizes and verification of the repository", {
  root: text,
  free_bytes: nullable(count),
  snapshots: count,
  partial: count,
  damaged: list(text),
  unknown: list(text),
  last_complete: nullable(time),
  last_verified: nullable(time),
  next_scheduled: nullable(object({ tags: list(text), due: time })),
  automatic: nullable(bool),
  coverage: anything,
  sources: list(source),
  jobs: list(job),
  catalogue: text,
});
