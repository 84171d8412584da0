// `backup cleanup [DAYS]`: removes what retention no longer keeps, with a plan first.

import { cleanupHash, planCleanup, runCleanup } from "../../app/backup-cleanup.ts";
import { defaultRules, type RetentionPlan } from "../../backup/retention.ts";
import { ExitCode, formatBytes, formatRelative, counted } from "../../core/index.ts";
import { formatWideTable, printable, type Style } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import { planChanged } from "./plan-changed.ts";

export const command = defineAgentCommand({
  description: "removes snapshots that retention no longer keeps, and remains of killed runs",
  access: "change",
  args: {
    days: {
      type: "positional",
      required: false,
      value: "number",
      min: 0,
      max: 36_500,
      description: "plain backups older than this go (default: the setting, 30)",
    },
    keepLast: { type: "number", min: 0, valueHint: "N", description: "newest of each source" },
    keepDaily: { type: "number", min: 0, valueHint: "N", description: "with tag daily (7)" },
    keepWeekly: { type: "number", min: 0, valueHint: "N", description: "with tag weekly (4)" },
    keepMonthly: { type: "number", min: 0, valueHint: "N", description: "with tag monthly (12)" },
    force: { type: "boolean", description: "also if most of a source goes, or the clock is odd" },
  },
  examples: ["citadel-agent backup cleanup --dry-run", "citadel-agent backup cleanup 30 --yes"],
  async run({ app, args, out, globals, signal }) {
    const plan = planCleanup(app, {
      days: args.days ?? app.settings.backup.retention_days,
      last: args.keepLast ?? defaultRules.last,
      daily: args.keepDaily ?? defaultRules.daily,
      weekly: args.keepWeekly ?? defaultRules.weekly,
      monthly: args.keepMonthly ?? defaultRules.monthly,
    });
    for (const warning of plan.warnings) out.warn(warning);
    const hash = cleanupHash(plan);
    const nowMs = app.system.clock.nowMs();
    const fields = {
      plan_hash: hash,
      remove: plan.remove.map(({ id, state }) => ({ id, state })),
      keep: plan.keep.map(({ snapshot, reasons }) => ({ id: snapshot.id, reasons })),
      objections: plan.objections,
    };
    if (globals.dryRun) {
      out.result("backup-cleanup", { ...fields, removed: [], failed: [], freed_bytes: 0 }, () =>
        [formatPlan(plan, nowMs, out.style), `plan ${hash}. Nothing was changed.`].join("\n"),
      );
      return ExitCode.success;
    }
    if (globals.planHash !== undefined && globals.planHash !== hash) throw planChanged();
    if (plan.remove.length > 0) {
      out.line(formatPlan(plan, nowMs, out.style));
      const mayGo = plan.objections.length === 0 || args.force === true;
      if (mayGo && !(await out.confirm(`remove ${counted(plan.remove.length, "snapshot")}?`))) {
        const declined = { ...fields, removed: [], failed: [], freed_bytes: 0, declined: true };
        out.result("backup-cleanup", declined, () => "nothing was removed: the answer was no");
        return ExitCode.decision;
      }
    }
    const report = await runCleanup(app, plan, args.force === true, signal);
    const removed = report.removed.map(({ id }) => id);
    const failed = report.failed.map(({ snapshot, reason }) => ({ id: snapshot.id, reason }));
    out.result(
      "backup-cleanup",
      { ...fields, removed, failed, freed_bytes: report.freedBytes },
      () =>
        `removed ${counted(removed.length, "snapshot")}, ${formatBytes(report.freedBytes)} freed${failed.map(({ id, reason }) => `\n  stays: ${id}: ${printable(reason)}`).join("")}`,
    );
    return failed.length === 0 ? ExitCode.success : ExitCode.partial;
  },
});

function formatPlan(plan: RetentionPlan, nowMs: number, style: Style): string {
  const rows = [
    ...plan.keep.map(({ snapshot, reasons }) => [
      style.paint("ok", "keep"),
      snapshot.id,
      formatRelative(snapshot.startedMs, nowMs),
      reasons.join(", "),
    ]),
    ...plan.remove.map((snapshot) => [
      style.paint("warning", "remove"),
      snapshot.id,
      formatRelative(snapshot.startedMs, nowMs),
      snapshot.state === "partial" ? "never completed, nobody builds it" : "nothing keeps it",
    ]),
  ];
  const objections = plan.objections.map(
    ({ message }) => `${style.paint("critical", "needs --force:")} ${printable(message)}`,
  );
  return [
    rows.length === 0 ? "no snapshots" : formatWideTable(rows, { main: 1 }, style),
    ...objections,
  ].join("\n");
}
