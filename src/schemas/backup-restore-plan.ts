// `backup restore --dry-run`.

import { count, document, list, nullable, object, text } from "./define.ts";
import { conflict } from "./backup-create-plan.ts";

export const schema = document("backup-restore-plan", "what a restore would write", {
  snapshot: text,
  to: text,
  create: count,
  replace: count,
  unchanged: count,
  bytes: count,
  differing: list(text),
  steps: list(object({ op: text, path: text, from: nullable(text), to: text, why: text })),
  conflicts: list(conflict),
  plan_hash: text,
});
