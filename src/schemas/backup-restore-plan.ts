// `backup restore --dry-run`.

import { count, document, list, text } from "./define.ts";

export const schema = document("backup-restore-plan", "what a restore would write", {
  snapshot: text,
  to: text,
  create: count,
  replace: count,
  unchanged: count,
  bytes: count,
  differing: list(text),
});
