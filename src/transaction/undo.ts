// Takes the steps of a transaction back, last first, each judged by what is on disk and never by its mark. One
// step's failure does not stop the others: everything that can be put back is.

import { messageOf, type AbsolutePath } from "../core/index.ts";
import type { OperationKind } from "./operation.ts";
import type { Step, StepContext } from "./step.ts";
import { stepKinds } from "./steps/index.ts";

export interface UndoResult {
  readonly op: OperationKind;
  readonly path: AbsolutePath;
  /** `nothing`: it had not happened. `kept`: no longer ours, left as it is. `failed`: still to be undone. */
  readonly outcome: "undone" | "nothing" | "kept" | "failed";
  readonly message?: string | undefined;
}

export interface UndoReport {
  /** Last step first; `nothing` is left out. */
  readonly results: readonly UndoResult[];
  /** No step failed and the directories are flushed. */
  readonly complete: boolean;
}

/** Undoes `steps`, last first, then flushes every directory that was touched. Never throws. */
export function undoSteps(context: StepContext, steps: readonly Step[]): UndoReport {
  const results: UndoResult[] = [];
  for (let at = steps.length - 1; at >= 0; at -= 1) {
    const step = steps[at];
    if (step === undefined) continue;
    const { op, path } = step.operation;
    try {
      const result = stepKinds[op].undo(context, step);
      if (result.outcome !== "nothing") results.push({ op, path, ...result });
    } catch (thrown) {
      results.push({ op, path, outcome: "failed", message: messageOf(thrown) });
    }
  }
  try {
    context.tree.sync();
  } catch (thrown) {
    const last = steps[0]?.operation;
    if (last !== undefined) {
      const message = messageOf(thrown);
      results.push({ op: last.op, path: last.path, outcome: "failed", message });
    }
  }
  return { results, complete: results.every((result) => result.outcome !== "failed") };
}
