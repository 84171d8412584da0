// `backup schedule`.

import { bool, document, list, nullable, object, oneOf, text, time } from "./define.ts";

const run = object({ tags: list(text), due: time });

export const schema = document("backup-schedule", "when what runs", {
  enabled: bool,
  automatic: nullable(bool),
  runners: list(
    object({
      kind: oneOf("daemon", "timer", "crontab"),
      where: text,
      problem: nullable(text),
      current: bool,
    }),
  ),
  schedule: list(object({ tag: text, cron: text, last: nullable(time), next: nullable(time) })),
  due: nullable(run),
  next: nullable(run),
});
