// `backup run-due`: what timers, cron and the daemon start.

import {
  backupSchedule,
  dueNow,
  exitCodeOfDue,
  runDue,
  type DueReport,
} from "../../app/backup-schedule.ts";
import { nextRun, type DueRun } from "../../backup/schedule.ts";
import { CitadelError, ExitCode, formatRelative, formatTime } from "../../core/index.ts";
import { printable } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";

export const command = defineAgentCommand({
  description: "runs what is due, as timers, cron and the daemon do",
  details:
    "Backups of models and configuration, retention, a test restore; once a day a\nslice of verification. Ends as the backup did (6, 7, …), with 4 where another\nstep failed.",
  access: "change",
  args: {},
  examples: ["citadel-agent backup run-due --dry-run", "citadel-agent backup run-due"],
  async run({ app, globals, out, signal }) {
    const { clock } = app.system;
    if (globals.planHash !== undefined) throw noHash();
    if (globals.dryRun) {
      const due = dueNow(app) ?? null;
      const nowMs = clock.nowMs();
      const next = nextRun(backupSchedule(app), nowMs) ?? null;
      out.result("backup-run-due", toDocument({ run: due, next, steps: [] }), () =>
        due === null
          ? "no backup is due. Nothing was changed."
          : `${due.tags.join(", ")} would run, due since ${formatDue(due.dueMs, nowMs)}. Nothing was changed.`,
      );
      return ExitCode.success;
    }
    const onProgress = (progress: Parameters<typeof out.progress>[0]) => out.progress(progress);
    const report = await runDue(app, { signal, onProgress });
    out.result("backup-run-due", toDocument(report), () => format(report, clock.nowMs()));
    return exitCodeOfDue(report);
  },
});

function noHash(): CitadelError {
  return new CitadelError({
    kind: "usage",
    code: "DRY_RUN_REFUSED",
    message: "backup run-due takes no --plan-hash: what is due changes with the clock",
    hint: "`citadel-agent backup create --dry-run` gives the hash of one backup",
  });
}

/** A run as documents show it. */
export function toRunDocument(run: DueRun | null | undefined) {
  return run === null || run === undefined ? null : { tags: run.tags, due: formatTime(run.dueMs) };
}

function toDocument({ run, next, steps }: DueReport): Record<string, unknown> {
  return {
    run: toRunDocument(run),
    next: toRunDocument(next),
    steps: steps.map(({ exitCode, ...step }) => ({ ...step, exit_code: exitCode })),
  };
}

/** `2026-01-02T02:00:00.000Z (in 3 h)`. */
export function formatDue(dueMs: number, nowMs: number): string {
  return `${formatTime(dueMs)} (${formatRelative(dueMs, nowMs)})`;
}

function format({ run, next, steps }: DueReport, nowMs: number): string {
  const after =
    next === null
      ? "nothing is scheduled"
      : `next: ${next.tags.join(", ")} at ${formatDue(next.dueMs, nowMs)}`;
  const lines = steps.map(
    ({ step, ok, message, snapshot }) =>
      `${ok ? "ok    " : "FAILED"} ${step.replace("_", " ")}: ${printable(message)}${snapshot === null ? "" : ` (${snapshot})`}`,
  );
  const title = run === null ? "no backup is due" : `ran ${run.tags.join(", ")}`;
  return [title, ...lines, after].join("\n");
}
