// The document of a failure: any command with --json.

import { anything, bool, document, integer, nullable, object, text } from "./define.ts";

export const schema = document("error", "why a command failed", {
  error: object({
    code: {
      type: "string",
      pattern: "^[A-Z][A-Z0-9_]*$",
      description: "stable; see `explain CODE`",
    },
    message: text,
    path: nullable(text),
    hint: nullable(text),
    retryable: { ...bool, description: "the same command may work later" },
    "errno?": text,
    "details?": anything,
  }),
  exit_code: integer,
});
