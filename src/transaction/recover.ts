// Finishes what a killed process left: undoes an open transaction, or completes the cleanup of a committed one.
// Asks nobody. A transaction of the fallback journal is only closed: its steps were atomic, the disk decides.

import { CitadelError } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import { batchSize, cleanUp, type CleanupReport } from "./apply.ts";
import type { TransactionRow } from "./journal-schema.ts";
import type { JournalView } from "./journal-view.ts";
import type { Journal } from "./journal.ts";
import type { Step, StepContext } from "./step.ts";
import { stepKinds } from "./steps/index.ts";
import { undoSteps, type UndoResult } from "./undo.ts";

export interface Recovered {
  readonly transaction: number;
  readonly command: string;
  /** `undone`: taken back. `finished`: committed already, its cleanup is complete now. `closed`: see fallback. */
  readonly outcome: "undone" | "finished" | "closed";
  readonly undo: readonly UndoResult[];
  readonly kept: CleanupReport["kept"];
}

export interface RecoverOptions {
  readonly journal: Journal;
  /** A context for the transaction with this token. */
  readonly contextFor: (token: string) => StepContext;
  readonly clock: Pick<Clock, "nowMs">;
}

/** Recovers every unfinished transaction. @throws code UNDO_FAILED if one cannot be finished: it stays open */
export function recoverJournal(options: RecoverOptions): Recovered[] {
  return options.journal.unfinished().map((row) => recoverOne(options, row));
}

function recoverOne(options: RecoverOptions, row: TransactionRow): Recovered {
  const { journal, clock } = options;
  const context = options.contextFor(row.token);
  const all = journal.steps(row.id);
  // Steps beyond the batch in flight were never begun: what is there is someone else's.
  const steps = row.state === "open" ? all.slice(0, row.steps_done + batchSize) : all;
  const about = { transaction: row.id, command: row.command };
  if (row.state === "committed") {
    const { kept } = cleanUp(context, steps);
    journal.markCleaned(row.id);
    return { ...about, outcome: "finished", undo: [], kept };
  }
  if (journal.fallback) {
    dropTemporaries(context, steps);
    journal.markUndone(row.id, clock.nowMs(), "interrupted while the journal could not be written");
    return { ...about, outcome: "closed", undo: [], kept: [] };
  }
  const report = undoSteps(context, steps);
  if (!report.complete) throw undoFailed(row.id, row.command, report.results, undefined);
  journal.markUndone(row.id, clock.nowMs(), "interrupted");
  return { ...about, outcome: "undone", undo: report.results, kept: [] };
}

/**
 * The open transactions of a journal that can be read but not written: undone from what it says, and noted in the
 * fallback journal, so that they are marked when the two are merged and never undone twice.
 */
export function recoverReadOnly(options: {
  readonly view: JournalView;
  readonly fallback: Journal;
  readonly contextFor: (token: string) => StepContext;
}): Recovered[] {
  const { view, fallback } = options;
  const noted = new Set(fallback.undoneInMain());
  const recovered: Recovered[] = [];
  for (const row of view.unfinishedInMain(fallback.database.path)) {
    if (row.state !== "open" || noted.has(row.id)) continue;
    const steps = view.stepsOfTransaction(row).slice(0, row.steps_done + batchSize);
    const report = undoSteps(options.contextFor(row.token), steps);
    if (!report.complete) throw undoFailed(row.id, row.command, report.results, undefined);
    noted.add(row.id);
    fallback.setMeta("undone_in_main", JSON.stringify([...noted]));
    const { id: transaction, command } = row;
    recovered.push({ transaction, command, outcome: "undone", undo: report.results, kept: [] });
  }
  return recovered;
}

function dropTemporaries(context: StepContext, steps: readonly Step[]): void {
  for (const { operation, seq } of steps) {
    if (!stepKinds[operation.op].atomic || operation.op !== "replace_link") continue;
    const { directory } = context.tree.locate(operation.path);
    const temporary = context.temporary(seq, "do");
    if (directory.lstat(temporary) !== undefined) directory.unlink(temporary);
  }
  context.tree.sync();
}

/** The error of a transaction that stays open. @param cause what made the undo necessary */
export function undoFailed(
  transaction: number,
  command: string,
  results: readonly UndoResult[],
  cause: CitadelError | undefined,
): CitadelError {
  const failed = results.filter((result) => result.outcome === "failed");
  const first = failed[0];
  const why = cause === undefined ? "" : `${cause.message}; `;
  return new CitadelError({
    kind: cause?.kind ?? "io",
    code: "UNDO_FAILED",
    message: `${why}${failed.length} ${failed.length === 1 ? "step" : "steps"} of transaction ${transaction} (${command}) could not be undone: ${first?.message ?? "unknown"}`,
    path: first?.path ?? cause?.path,
    operation: cause?.operation,
    errno: cause?.errno,
    hint: "mend the cause, then run `citadel-agent repair`: it finishes the undo first",
    details: { ...cause?.details, transaction, open: true, undo: results },
    cause,
  });
}
