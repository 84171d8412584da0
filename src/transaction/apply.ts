// Runs the steps of a recorded transaction in batches: synchronous steps, then one fsync for each touched
// directory, then one mark in the journal.

import { CitadelError } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import type { Journal } from "./journal.ts";
import type { Step, StepContext } from "./step.ts";
import { stepKinds } from "./steps/index.ts";

export const batchSize = 1000;

export interface ApplyOptions {
  readonly context: StepContext;
  readonly journal: Journal;
  readonly transactionId: number;
  readonly steps: readonly Step[];
  readonly clock: Pick<Clock, "sleep">;
  readonly signal?: AbortSignal | undefined;
  /** Called before each batch: throws when the host must not be changed any more. */
  readonly guard?: (() => void) | undefined;
  /** Called before a step is tried: what is to be undone if it fails. */
  readonly onAttempt?: ((seq: number) => void) | undefined;
  /** Called when a step is done (not yet flushed). */
  readonly onStep?: ((step: Step) => void) | undefined;
}

/** Runs every step; stops at the first error. What was done stays done: the caller undoes. */
export async function applySteps(options: ApplyOptions): Promise<void> {
  const { context, journal, steps, signal } = options;
  for (let start = 0; start < steps.length; start += batchSize) {
    // Signals arrive between batches: let them in.
    if (start > 0) await options.clock.sleep(0);
    throwIfAborted(signal);
    if (start > 0) options.guard?.();
    const batch = steps.slice(start, start + batchSize);
    for (const step of batch) {
      options.onAttempt?.(step.seq);
      const long = stepKinds[step.operation.op].apply(context, step);
      if (long !== undefined) await long;
      options.onStep?.(step);
    }
    context.tree.sync();
    // The last batch is marked by the commit itself.
    if (start + batch.length < steps.length) {
      journal.markDone(options.transactionId, start + batch.length);
    }
  }
  throwIfAborted(signal);
}

/** @throws what the signal carries if it is one of our errors, else kind `cancelled` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  if (signal.reason instanceof CitadelError) throw signal.reason;
  throw new CitadelError({
    kind: "cancelled",
    code: "CANCELLED",
    message: "interrupted",
    hint: "run the command again when you want it done",
  });
}

/** Whether any step has a destructive part for after the commit. */
export function needsCleanup(steps: readonly Step[]): boolean {
  return steps.some((step) => stepKinds[step.operation.op].cleanup !== undefined);
}

export interface CleanupReport {
  readonly kept: readonly { readonly path: string; readonly message: string }[];
}

/** The destructive parts, after the commit point, a batch of their own; may be run again after a kill. */
export function cleanUp(context: StepContext, steps: readonly Step[]): CleanupReport {
  const kept: { path: string; message: string }[] = [];
  for (const step of steps) {
    const result = stepKinds[step.operation.op].cleanup?.(context, step);
    if (result?.outcome === "kept") {
      kept.push({ path: step.operation.path, message: result.message });
    }
  }
  context.tree.sync();
  return { kept };
}
