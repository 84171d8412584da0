// `tune plan`, `tune apply`.

import { document } from "./define.ts";
import { stepMembers, tuneMembers } from "./tune.ts";

export const schema = document("tune-plan", "what tuning does to this host", {
  ...tuneMembers,
  ...stepMembers,
});
