// `tune rollback`.

import { count, document, list, object, text } from "./define.ts";
import { stepMembers } from "./tune.ts";

export const schema = document("tune-rollback", "the way back to what was before the tuning", {
  generations: list(count),
  between: list(object({ generation: count, command: text })),
  left: list(text),
  pending: list(text),
  warnings: list(text),
  ...stepMembers,
});
