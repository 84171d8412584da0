// The agent's own footing: what it stands on itself, as opposed to `health`, which looks at the host's storage.

import { messageOf } from "../core/index.ts";

export type CheckState = "ok" | "warning" | "failed" | "unknown" | "not_applicable";

export interface CheckResult {
  readonly state: CheckState;
  /** What was seen, for a person. */
  readonly found: string;
  /** The command or change that mends it; absent where nothing is to be mended. */
  readonly fix?: string | undefined;
}

export interface DoctorCheck {
  readonly id: string;
  readonly name: string;
  run(signal: AbortSignal): Promise<CheckResult> | CheckResult;
}

export interface DoctorReport {
  readonly checks: readonly (CheckResult & { readonly id: string; readonly name: string })[];
  readonly counts: Readonly<Record<CheckState, number>>;
  /** No check failed and none warns. What is unknown or not applicable does not count against it. */
  readonly ok: boolean;
}

/** Runs every check, side by side; one that throws is `unknown`, with the reason. */
export async function runDoctor(
  checks: readonly DoctorCheck[],
  signal: AbortSignal,
): Promise<DoctorReport> {
  const results = await Promise.all(
    checks.map(async ({ id, name, run }) => {
      try {
        return { id, name, ...(await run(signal)) };
      } catch (thrown) {
        return { id, name, state: "unknown" as const, found: messageOf(thrown) };
      }
    }),
  );
  const counts = { ok: 0, warning: 0, failed: 0, unknown: 0, not_applicable: 0 };
  for (const { state } of results) counts[state] += 1;
  return { checks: results, counts, ok: counts.failed === 0 && counts.warning === 0 };
}
