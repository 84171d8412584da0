// adopt (written next).
import { CitadelError } from "../../core/index.ts";
import type { StepKind } from "../step.ts";

export const adopt: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare(_context, operation) {
    throw new CitadelError({
      kind: "unsupported",
      code: "UNSUPPORTED",
      message: `adopting ${operation.path} is not possible yet`,
      path: operation.path,
      hint: "use --move-aside",
    });
  },
  apply() {},
  undo: () => ({ outcome: "nothing" }),
};
