// `backup cleanup`, with --dry-run too.

import { bool, count, document, list, object, oneOf, text } from "./define.ts";

export const schema = document("backup-cleanup", "what retention keeps and removes", {
  plan_hash: text,
  remove: list(object({ id: text, state: oneOf("complete", "partial", "damaged") })),
  keep: list(object({ id: text, reasons: list(text) })),
  objections: list(object({ code: text, message: text })),
  removed: list(text),
  failed: list(object({ id: text, reason: text })),
  freed_bytes: count,
  "declined?": bool,
});
