// `backup create --json`.

import {
  bool,
  count,
  document,
  list,
  nullable,
  number,
  object,
  oneOf,
  ratio,
  seconds,
  text,
} from "./define.ts";

const skipped = object({
  path: text,
  "path_b64?": text,
  reason: oneOf(
    "changed",
    "vanished",
    "unreadable",
    "mount_point",
    "name_too_long",
    "unknown_type",
  ),
  "error?": text,
});

export const schema = document("backup-create", "a snapshot that was made", {
  snapshot: text,
  directory: text,
  type: oneOf("full", "incremental"),
  parent: nullable(text),
  manifest_sha256: text,
  files: count,
  entries: count,
  bytes: count,
  copied_bytes: count,
  copied_files: count,
  cloned_bytes: count,
  cloned_files: count,
  written_bytes: count,
  stored_bytes: count,
  linked_files: count,
  renewed_files: count,
  renewed: list(object({ path: text, "path_b64?": text })),
  resumed_files: count,
  packed_files: count,
  skipped: list(skipped),
  skipped_total: count,
  outside_links: count,
  duration_s: seconds,
  bytes_per_s: number,
  warnings: list(text),
  verified: nullable(
    object({
      valid: bool,
      mode: oneOf("quick", "full"),
      sample_rate: ratio,
      files_checked: count,
      files_failed: count,
    }),
  ),
});
