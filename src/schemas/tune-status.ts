// `tune status`.

import { bool, count, document, nullable, time } from "./define.ts";
import { tuneMembers } from "./tune.ts";

export const schema = document("tune-status", "what of the tuning is in force", {
  ...tuneMembers,
  tuned: bool,
  generation: nullable(count),
  applied_at: nullable(time),
});
