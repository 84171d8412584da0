// `setup`.

import {
  anything,
  bool,
  count,
  document,
  list,
  nullable,
  object,
  oneOf,
  ratio,
  text,
} from "./define.ts";
import { planMembers } from "./plan.ts";
import { prerequisiteCheck } from "./prereq-verify.ts";

export const schema = document("setup", "the six steps of a set-up and the plan that was applied", {
  steps: list(
    object({
      name: oneOf("prerequisites", "directories", "links", "verify", "environment", "health"),
      ok: bool,
      changed: bool,
    }),
  ),
  ok: bool,
  plan: object(planMembers),
  "prerequisites?": list(prerequisiteCheck),
  "issues?": list(anything),
  "health?": list(
    object({
      path: text,
      state: oneOf("ok", "warning", "critical", "unknown"),
      total_bytes: count,
      used_bytes: count,
      free_bytes: count,
      usage: ratio,
      inode_usage: nullable(ratio),
    }),
  ),
});
