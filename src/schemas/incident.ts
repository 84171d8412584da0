// `incident --json`: where the bundle is and what it holds.

import { count, document, list, object, oneOf, seconds, text } from "./define.ts";

export const schema = document("incident", "an incident bundle that was written", {
  path: text,
  bytes: count,
  files: list(
    object({
      file: text,
      state: oneOf("collected", "absent", "failed", "not_answering"),
      bytes: count,
      duration_s: seconds,
      "error?": text,
    }),
  ),
});
