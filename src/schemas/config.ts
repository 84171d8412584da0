// `config show`.

import { anything, document, nullable, object, record, text } from "./define.ts";

export const schema = document("config", "the settings in effect, secrets masked", {
  settings: record(
    object({ value: anything, origin: text, name: text }, "by group.key; null: not set"),
  ),
  env_file: nullable(text),
  config_file: nullable(text),
});
