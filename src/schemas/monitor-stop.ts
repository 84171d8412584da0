// `monitor stop --json`.

import { bool, document, integer, oneOf } from "./define.ts";

export const schema = document("monitor-stop", "the monitor that was stopped", {
  "pid?": integer,
  "by?": oneOf("systemd", "signal"),
  "dry_run?": bool,
});
