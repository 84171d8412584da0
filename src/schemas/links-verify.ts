// `links verify`.

import { count, document, list, nullable, object, oneOf, text, type JsonSchema } from "./define.ts";

const states = [
  "missing",
  "broken",
  "wrong_target",
  "not_a_link",
  "loop",
  "leftover",
  "wrong_owner",
  "foreign",
  "obsolete",
  "blocked",
  "skipped",
] as const;

export const linkMembers: Readonly<Record<string, JsonSchema>> = {
  total: count,
  healthy: count,
  issues: list(
    object({
      path: text,
      expected: nullable(text),
      actual: nullable(text),
      state: oneOf(...states),
      reason: text,
    }),
  ),
};

export const linkStates = states;

export const schema = document("links-verify", "the state of every configured link", linkMembers);
