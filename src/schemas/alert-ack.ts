// `alerts ack --json`.

import { alertMembers } from "./alerts.ts";
import { bool, document, nullable, number, object, text } from "./define.ts";

export const schema = document("alert-ack", "an alert that somebody knows of", {
  "alert?": object(alertMembers),
  "accepted?": nullable(number),
  "dry_run?": bool,
  "id?": text,
});
