// `backup create --dry-run --json`.

import { count, document, list, nullable, object, oneOf, text } from "./define.ts";

export const conflict = object({
  path: nullable(text),
  code: text,
  message: text,
  hint: text,
  exit_code: count,
});

export const schema = document("backup-create-plan", "what making a snapshot would do", {
  source: text,
  to: text,
  type: oneOf("full", "incremental"),
  parent: nullable(text),
  files: count,
  bytes: count,
  copy_files: count,
  copy_bytes: count,
  link_files: count,
  skipped: list(object({ path: text, "path_b64?": text, reason: text })),
  skipped_total: count,
  needed_bytes: count,
  available_bytes: count,
  conflicts: list(conflict),
  warnings: list(text),
  steps: list(object({ op: text, path: text, from: nullable(text), to: text, why: text })),
  plan_hash: text,
});
