// The shape of the ten checks of `validate`: what was found, what was wanted, and the command that mends it.

export type CheckId =
  | "tools"
  | "mounts"
  | "mount_options"
  | "directories"
  | "model_directories"
  | "symlinks"
  | "management"
  | "schedulers"
  | "trim"
  | "backup_schedule";

export interface Check {
  readonly id: CheckId;
  /** As the seed's own report calls it. */
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  readonly wanted: string;
  /** The command that mends it; null where there is nothing to mend. */
  readonly fix: string | null;
}

export interface Validation {
  readonly checks: readonly Check[];
  readonly passed: number;
  readonly total: number;
  /** passed / total, from 0 to 1. */
  readonly score: number;
}

/** Counts. What could not be found out has failed: `ok` is never assumed. */
export function summarizeChecks(checks: readonly Check[]): Validation {
  const passed = checks.filter((check) => check.ok).length;
  const total = checks.length;
  return { checks, passed, total, score: total === 0 ? 0 : passed / total };
}

/** `9/10 checks passed (90 %)`. */
export function formatSummary({ passed, total, score }: Validation): string {
  return `${passed}/${total} checks passed (${Math.floor(score * 100)} %)`;
}

/** The first few of a list, and how many more there are. */
export function shorten(items: readonly string[], limit = 4): string {
  const shown = items.slice(0, limit).join("; ");
  return items.length > limit ? `${shown}; and ${items.length - limit} more` : shown;
}
