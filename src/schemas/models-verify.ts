// `models verify`.

import { count, document, list, nullable, object, oneOf, text } from "./define.ts";

export const schema = document("models-verify", "what is there of the configured models", {
  mode: oneOf("quick"),
  models: list(
    object({
      name: text,
      path: text,
      state: oneOf("ok", "empty", "missing", "damaged", "unknown"),
      bytes: count,
      files: count,
      checked: count,
      problems: list(text),
    }),
  ),
  total: count,
  bytes: count,
  free_bytes: nullable(count),
  warnings: list(text),
});
