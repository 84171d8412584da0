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
    if (!(thrown instanceof CitadelError) || thrown.kind === "cancelled") throw thrown;
    const { code, message, path, hint } = thrown;
    const exit = exitCodeOf(thrown);
    conflicts.push({ path: path ?? null, code, message, hint: hint ?? "", exit_code: exit });
    return undefined;
  }
}
