// `service status --json`.

import { bool, document, list, object, oneOf, text } from "./define.ts";

const file = oneOf("absent", "current", "different");

export const schema = document("service-status", "what of the service is installed and runs", {
  ok: bool,
  systemd: bool,
  binary: object({ path: text, state: file, previous: bool }),
  units: list(object({ name: text, path: text, file, enabled: text, active: text, ok: bool })),
  obsolete: list(text),
});
