// `backup schedule next`.

import { bool, document, list, nullable, object, text, time } from "./define.ts";

const run = object({ tags: list(text), due: time });

export const schema = document("backup-schedule-next", "the next run of the schedule", {
  next: nullable(run),
  automatic: nullable(bool),
});
