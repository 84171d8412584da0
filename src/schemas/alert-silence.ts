// `alerts silence --json`.

import { silenceEntry } from "./alerts.ts";
import { bool, document, record, seconds, text } from "./define.ts";

export const schema = document("alert-silence", "a silence that was made or ended", {
  "silence?": silenceEntry,
  "ended?": text,
  "matchers?": record(text),
  "for_s?": seconds,
  "dry_run?": bool,
});
