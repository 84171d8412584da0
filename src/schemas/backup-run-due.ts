// `backup run-due`.

import { bool, document, integer, list, nullable, object, oneOf, text, time } from "./define.ts";

const run = object({ tags: list(text), due: time });

export const schema = document("backup-run-due", "what was due and how it went", {
  run: nullable(run),
  next: nullable(run),
  steps: list(
    object({
      step: oneOf("backup", "configs", "cleanup", "test_restore", "verify"),
      ok: bool,
      message: text,
      code: nullable(text),
      snapshot: nullable(text),
      exit_code: integer,
    }),
  ),
});
