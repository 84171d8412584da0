// What a run with --plan-hash ends with when it would do something else than the plan that was looked at.

import { CitadelError } from "../../core/index.ts";

export function planChanged(): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "PLAN_CHANGED",
    message: "the plan is no longer the one that --plan-hash names",
    hint: "look at it again with --dry-run",
  });
}
