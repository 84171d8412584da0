// `monitor smart --json`.

import { anything, bool, document, text } from "./define.ts";

export const schema = document("monitor-smart", "SMART values that were left for the daemon", {
  path: text,
  "smart?": anything,
  "dry_run?": bool,
});
