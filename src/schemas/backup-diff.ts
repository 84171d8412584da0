// `backup diff`.

import { count, document, integer, list, object, oneOf, record, text } from "./define.ts";

export const schema = document("backup-diff", "what changed between two snapshots", {
  a: text,
  b: text,
  counts: record(count),
  total: count,
  bytes: integer,
  changes: list(
    object({
      path: text,
      "path_b64?": text,
      change: oneOf("added", "removed", "content", "type", "metadata", "target"),
      bytes: integer,
    }),
  ),
});
