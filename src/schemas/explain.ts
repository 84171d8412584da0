// `explain` and `explain CODE`.

import { document, list, object, text } from "./define.ts";

export const schema = document(
  "explain",
  "what codes mean; causes and remedy when one was asked for",
  {
    codes: list(
      object({
        code: text,
        area: text,
        meaning: text,
        "causes?": list(text),
        "remedy?": list(text),
      }),
    ),
  },
);
