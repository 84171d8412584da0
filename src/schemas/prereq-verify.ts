// `prereq verify`.

import { bool, document, list, nullable, object, oneOf, text } from "./define.ts";

export const prerequisiteCheck = object({
  id: text,
  name: text,
  ok: bool,
  level: oneOf("error", "warning"),
  found: text,
  wanted: text,
  fix: nullable(text),
});

export const schema = document("prereq-verify", "what the layout needs of this host", {
  ok: bool,
  checks: list(prerequisiteCheck),
});
