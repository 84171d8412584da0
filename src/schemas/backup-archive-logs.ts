// `backup archive-logs`.

import { bool, count, document, list, object, text } from "./define.ts";

export const schema = document("backup-archive-logs", "logs that went to the backup disk", {
  moved: list(object({ path: text, to: text, bytes: count })),
  skipped: list(object({ path: text, reason: text })),
  bytes: count,
  applied: bool,
});
