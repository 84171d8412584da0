// What stands in the way of a planned run: an error of the real run, told as data by its dry run, which ends with 0.

import { CitadelError, exitCodeOf, type ExitCode } from "../core/index.ts";

export interface PlanConflict {
  readonly path: string | null;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  /** What the real run would end with. */
  readonly exit_code: ExitCode;
}

/** Runs a check of the real run; what it throws becomes a conflict. @returns what the check gives; undefined then */
export function collectConflict<T>(conflicts: PlanConflict[], check: () => T): T | undefined {
  try {
    return check();
  } catch (thrown) {
    conflicts.push(toConflict(thrown));
    return undefined;
  }
}

/** The same for a check that takes its time. */
export async function collectConflictOf<T>(
  conflicts: PlanConflict[],
  check: Promise<T>,
): Promise<T | undefined> {
  try {
    return await check;
  } catch (thrown) {
    conflicts.push(toConflict(thrown));
    return undefined;
  }
}

/** @throws what is no finding: bugs, and the wish to stop */
function toConflict(thrown: unknown): PlanConflict {
  if (!(thrown instanceof CitadelError) || thrown.kind === "cancelled") throw thrown;
  const { code, message, path, hint } = thrown;
  return { path: path ?? null, code, message, hint: hint ?? "", exit_code: exitCodeOf(thrown) };
}
