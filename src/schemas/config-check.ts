// `config check`.

import { bool, document, list, nullable, object, text } from "./define.ts";

export const schema = document("config-check", "what is wrong with the settings", {
  valid: bool,
  problems: list(
    object({
      name: nullable(text),
      value: nullable(text),
      source: nullable(text),
      rule: text,
    }),
  ),
  warnings: list(text),
  env_file: nullable(text),
  config_file: nullable(text),
});
