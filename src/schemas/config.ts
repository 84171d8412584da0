// `config show`.

import { anything, bool, document, nullable, object, record, text } from "./define.ts";

export const schema = document("config", "the settings in effect, secrets masked", {
  settings: record(
    object(
      { value: anything, origin: text, name: text, inert: bool },
      "by group.key; null: not set; inert: accepted, but nothing reads it",
    ),
  ),
  env_file: nullable(text),
  config_file: nullable(text),
});
