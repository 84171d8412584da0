// `history --json`.

import { anything, count, document, list, nullable, object, text, time } from "./define.ts";

const change = object({
  op: text,
  path: text,
  from: nullable(text),
  to: nullable(text),
  why: text,
});

export const schema = document("history", "committed generations, oldest first", {
  generations: list(
    object({ id: count, time, user: text, command: text, steps: count, "changes?": list(change) }),
  ),
  pending_transaction: nullable(anything),
});
