// Runs the steps of a recorded transaction in batches: synchronous steps, then one fsync for each touched
// directory, then one mark in the journal.

import { CitadelError } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import type { Journal } from "./journal.ts";
import type { Step, StepContext } from "./step.ts";
import { stepKinds } from "./steps/index.ts";

/** Steps between two looks at the signal and the guard. */
export const turnSize = 1000;
/** Steps between two flushes: each costs a few fsyncs, and nothing depends on a mark (recovery compares every path). */
export const batchSize = 10_000;
/** After this long the turn is flushed at its end, however few steps since the last flush: they may be long ones. */
const batchMs = 2000;

export interface ApplyOptions {
  readonly context: StepContext;
  readonly journal: Journal;
  readonly transactionId: number;
  readonly steps: readonly Step[];
  readonly clock: Pick<Clock, "sleep" | "monotonicMs">;
  readonly signal?: AbortSignal | undefined;
  /** Called before each turn: throws when the host must not be changed any more. */
  readonly guard?: (() => void) | undefined;
  /** Called before a step is tried: what is to be undone if it fails. */
  readonly onAttempt?: ((seq: number) => void) | undefined;
  /** Called when a step is done (not yet flushed). */
  readonly onStep?: ((step: Step) => void) | undefined;
}

/** Runs every step; stops at the first error. What was done stays done: the caller undoes. */
export async function applySteps(options: ApplyOptions): Promise<void> {
  const { clock, context, journal, steps, signal } = options;
  let flushed = 0;
  let flushedMs = clock.monotonicMs();
  for (let start = 0; start < steps.length; start += turnSize) {
    // Signals arrive between turns: let them in.
    if (start > 0) await clock.sleep(0);
    throwIfAborted(signal);
    if (start > 0) options.guard?.();
    const turn = steps.slice(start, start + turnSize);
    for (const step of turn) {
      options.onAttempt?.(step.seq);
      const long = stepKinds[step.operation.op].apply(context, step);
      if (long !== undefined) await long;
      options.onStep?.(step);
    }
    const done = start + turn.length;
    const isLast = done >= steps.length;
    const isDue = done - flushed >= batchSize || clock.monotonicMs() - flushedMs >= batchMs;
    if (!isLast && !isDue) continue;
    context.tree.sync();
    // The last batch is marked by the commit itself.
    if (!isLast) journal.markDone(options.transactionId, done);
    flushed = done;
    flushedMs = clock.monotonicMs();
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
