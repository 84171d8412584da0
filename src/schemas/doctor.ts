// `doctor --json`.

import { bool, count, document, list, object, oneOf, record, text } from "./define.ts";

const state = oneOf("ok", "warning", "failed", "unknown", "not_applicable");

export const schema = document("doctor", "checks of the agent's own footing", {
  checks: list(object({ id: text, name: text, state, found: text, "fix?": text })),
  counts: record(count),
  ok: bool,
});
