// `dirs verify`.

import { count, document, list, nullable, object, oneOf, text } from "./define.ts";

export const schema = document("dirs-verify", "the state of every directory of the layout", {
  total: count,
  healthy: count,
  issues: list(
    object({
      path: text,
      expected: text,
      actual: nullable(text),
      state: oneOf("missing", "not_a_directory", "wrong_mode", "wrong_owner", "blocked", "unknown"),
      reason: text,
    }),
  ),
});
