// `backup schedule install`.

import { bool, document, list, object, oneOf, text } from "./define.ts";

export const schema = document(
  "backup-schedule-install",
  "what installing or removing the schedule wrote",
  {
    kind: oneOf("systemd", "cron"),
    files: list(object({ path: text, op: oneOf("write", "remove") })),
    on_the_host: list(text),
    applied: bool,
  },
);
