// `backup restore`.

import { count, document, list, object, seconds, text } from "./define.ts";

const lost = object({ path: text, "path_b64?": text, reason: text });

export const schema = document("backup-restore", "what was restored, and what could not be", {
  snapshot: text,
  to: text,
  files: count,
  bytes: count,
  written_files: count,
  written_bytes: count,
  unchanged: count,
  failed: list(lost),
  skipped: list(lost),
  duration_s: seconds,
  remarks: list(text),
});
