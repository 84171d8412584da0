// From a plan to steps: each operation completed with what is there now (its full former state, its contents), as
// it will be when its turn comes. Looks, and changes nothing.

import { parentOf } from "../core/index.ts";
import type { Operation, PathState } from "./operation.ts";
import { hostChanged, matches, observe } from "./state.ts";
import type { Step, StepContext } from "./step.ts";
import { stepKinds } from "./steps/index.ts";

export interface PreparedPlan {
  readonly steps: readonly Step[];
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

/**
 * Completes the operations of a plan in order. A path that an earlier step changes is taken as that step leaves it.
 * @throws code HOST_CHANGED if a path is not as the plan expects: nothing was touched
 */
export function preparePlan(
  context: StepContext,
  operations: readonly Operation[],
  plannedContent: (sha256: string, content: Uint8Array) => void = () => {},
): PreparedPlan {
  const steps: Step[] = [];
  const contents = new Map<string, Uint8Array>();
  const projected = new Map<string, PathState>();
  const fresh = new Set<string>();
  for (const [seq, operation] of operations.entries()) {
    const kind = stepKinds[operation.op];
    const known = projected.get(operation.path);
    const found =
      known ??
      (fresh.has(parentOf(operation.path))
        ? ({ type: "absent" } as const)
        : (kind.observe?.(context, operation) ??
          observe(context.tree, operation.path, kind.needsDigest)));
    if (!matches(found, operation.before)) {
      throw hostChanged(operation.path, operation.before, found);
    }
    const prepared = kind.prepare(context, operation, found);
    for (const [sha256, content] of prepared.contents ?? []) {
      contents.set(sha256, content);
      plannedContent(sha256, content);
    }
    steps.push({ seq, operation: prepared.operation, undo: prepared.undo });
    projected.set(operation.path, { ...found, ...definedOnly(prepared.operation.after) });
    if (operation.to !== undefined && operation.op === "move_aside") {
      projected.set(operation.to, found);
    }
    if (operation.op === "make_dir") fresh.add(operation.path);
  }
  return { steps, contents };
}

/** The members of `state` that are set: a set_mode keeps the owner that was there. */
function definedOnly(state: PathState): PathState {
  const entries = Object.entries(state).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries) as unknown as PathState;
}
