// `completion SHELL --json`.

import { document, oneOf, text } from "./define.ts";

export const schema = document("completion", "a completion script", {
  shell: oneOf("bash", "zsh", "fish"),
  script: text,
});
