// `backup repair`.

import { bool, count, document, list, nullable, object, text } from "./define.ts";

const finding = object({ path: text, "path_b64?": text, reason: text });

export const schema = document("backup-repair", "what was healed in a snapshot, and what was not", {
  snapshot: text,
  damaged: count,
  healed: list(finding),
  lost: list(finding),
  shared: list(
    object({ snapshot: text, path: text, "path_b64?": text, healed: bool, reason: nullable(text) }),
  ),
  names_left: count,
  bytes_written: count,
  valid: bool,
  applied: bool,
  plan_hash: text,
});
