// `links list`.

import { document, list, nullable, object, oneOf, text } from "./define.ts";
import { linkMembers, linkStates } from "./links-verify.ts";

export const schema = document("links-list", "every configured link with its state", {
  ...linkMembers,
  links: list(
    object({
      path: text,
      target: text,
      role: oneOf("primary", "convenience", "cache"),
      alias: nullable(text),
      state: oneOf("healthy", ...linkStates),
    }),
  ),
});
