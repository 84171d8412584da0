// `schema --json` without a name.

import { document, list, text } from "./define.ts";

export const schema = document("schema", "the documents this binary prints", {
  documents: list(text),
});
