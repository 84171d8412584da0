// `--version --json`.

import { document, text } from "./define.ts";

export const schema = document("version", "which build this is", {
  version: text,
  commit: text,
  bun: text,
  built: text,
  target: text,
});
