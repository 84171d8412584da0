// `config example`.

import { document, nullable, oneOf, text } from "./define.ts";

export const schema = document("config-example", "a commented sample of every setting", {
  format: oneOf("yaml", "env"),
  preset: nullable(text),
  text,
});
