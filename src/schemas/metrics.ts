// `metrics --json`.

import { document, oneOf, text } from "./define.ts";

export const schema = document("metrics", "the metrics as Prometheus text", {
  source: oneOf("daemon", "now"),
  format: oneOf("prometheus", "openmetrics"),
  text,
});
