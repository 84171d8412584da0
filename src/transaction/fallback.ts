// When the journal cannot be written: the same tables in the runtime directory, for steps that are one atomic
// create or rename. Merged into the journal as soon as that can be written again.

import { CitadelError, joinPath, type AbsolutePath } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import { databaseExists, isUnwritable, removeDatabase } from "../system/database.ts";
import { fallbackName, openJournalView } from "./journal-view.ts";
import { openJournal, type Journal } from "./journal.ts";
import type { Operation } from "./operation.ts";
import type { TransactionRow } from "./journal-schema.ts";
import { stepKinds } from "./steps/index.ts";

export interface JournalPlaces {
  readonly stateDir: AbsolutePath;
  readonly runtimeDir: AbsolutePath;
  readonly clock: Pick<Clock, "nowMs">;
}

/**
 * Opens the fallback journal because the journal failed with `cause`.
 * @throws `cause` if it is not a lack of space, a read-only or failing disk
 */
export function openFallback(places: JournalPlaces, cause: unknown): Journal {
  if (!isUnwritable(cause)) throw cause;
  using view = openJournalView(places);
  const fallback = openJournal({
    path: joinPath(places.runtimeDir, fallbackName),
    fallback: true,
    clock: places.clock,
    reserveBytes: 0,
  });
  fallback.setMeta("first_generation", String(view.generation));
  return fallback;
}

/** @throws `cause` (exit 7 or 1), naming the step, if the plan holds anything that needs the real journal */
export function assertAtomicOnly(operations: readonly Operation[], cause: unknown): void {
  const first = operations.find(({ op }) => !stepKinds[op].atomic);
  if (first === undefined) return;
  if (!(cause instanceof CitadelError)) throw cause;
  throw new CitadelError({
    kind: cause.kind,
    code: cause.code,
    message: `${cause.message}; without the journal only single creates and renames are done, and the plan holds ${first.op} ${first.path}`,
    path: cause.path,
    operation: cause.operation,
    errno: cause.errno,
    hint: cause.hint,
    details: { op: first.op, step: first.path },
    cause,
  });
}

/** Takes over what the fallback journal holds, then removes it. @returns how many generations came over */
export function mergeFallback(places: JournalPlaces, journal: Journal): number {
  const path = joinPath(places.runtimeDir, fallbackName);
  if (!databaseExists(path)) return 0;
  const fallback = openJournal({ path, fallback: true, clock: places.clock, reserveBytes: 0 });
  let merged = 0;
  try {
    const { handle } = fallback.database;
    const rows = handle
      .query<TransactionRow, []>("SELECT * FROM transactions WHERE state = 'committed' ORDER BY id")
      .all();
    for (const id of fallback.undoneInMain()) {
      journal.markUndone(id, places.clock.nowMs(), "undone while the journal could not be written");
    }
    for (const row of rows) {
      if (journal.hasToken(row.token)) continue; // merged before, killed before the removal
      journal.importCommitted(row, fallback.steps(row.id));
      merged += 1;
    }
  } finally {
    fallback.close();
  }
  removeDatabase(path);
  return merged;
}
