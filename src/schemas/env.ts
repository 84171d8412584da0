// `env`.

import { count, document, record, text } from "./define.ts";

export const schema = document("env", "the environment for vLLM and the Hugging Face tools", {
  id: text,
  count,
  variables: record(text),
});
