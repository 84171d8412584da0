// `selftest --json`.

import { bool, count, document, list, object, text } from "./define.ts";

export const schema = document("selftest", "promises proved by killing the agent", {
  directory: text,
  seed: count,
  ok: bool,
  promises: list(
    object({ promise: text, rounds: count, killed: count, reads: count, violations: list(text) }),
  ),
});
