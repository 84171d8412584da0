// What a command that changes the host did, or with --dry-run would do.

import {
  anything,
  bool,
  count,
  document,
  list,
  nullable,
  object,
  text,
  type JsonSchema,
} from "./define.ts";

const step = object({
  op: text,
  path: text,
  from: nullable(text),
  to: nullable(text),
  why: text,
  "done?": bool,
});

/** Members of every plan document. */
export const planMembers: Readonly<Record<string, JsonSchema>> = {
  command: text,
  steps: list(step),
  conflicts: list(object({ path: text, code: text, message: text, hint: text })),
  on_the_host: list(text),
  warnings: list(text),
  plan_hash: text,
  created: count,
  replaced: count,
  removed: count,
  unchanged: count,
  "left?": list(object({ path: text, state: text, code: text, message: text, hint: text })),
  "pending_transaction?": nullable(anything),
  "target?": count,
  "stays?": list(text),
  "state_removed?": nullable(text),
  "transaction?": nullable(count),
  "generation?": nullable(count),
  "recovered?": list(anything),
  "kept?": list(object({ path: text, message: text })),
};

export const schema = document(
  "plan",
  "a plan (--dry-run), or the same plan after it was applied (transaction, generation, steps[].done)",
  planMembers,
);
