// What `backup create --dry-run` shows.

import type { SnapshotPlan } from "../../backup/create/plan-snapshot.ts";
import { counted, ExitCode, formatBytes } from "../../core/index.ts";
import type { PlanConflict } from "../../backup/plan-conflict.ts";
import { printable, type Output, type Style } from "../../output/index.ts";

/** A dry run ends with 0 (spec/cli.md): what the real one would end with stands here. */
export function formatConflicts(conflicts: readonly PlanConflict[], style: Style): string[] {
  return conflicts.flatMap(({ message, hint, exit_code: exit }) => [
    `${style.paint("critical", "refused:")}   ${printable(message)} (the run without --dry-run ends with exit code ${exit})`,
    style.paint("dim", `           ${printable(hint)}`),
  ]);
}

export function showCreatePlan(out: Output, plan: SnapshotPlan, hash: string): ExitCode {
  const { source, to } = plan;
  const step = (op: string, count: number, why: string) =>
    count === 0 ? [] : [{ op, path: source, from: null, to, why }];
  const copied = `${counted(plan.copy_files, "file")}, ${formatBytes(plan.copy_bytes)} at most`;
  const linked = `${counted(plan.link_files, "file")} as in ${plan.parent ?? "this snapshot"}`;
  const steps = [
    ...step("copy", plan.copy_files, copied),
    ...step("link", plan.link_files, linked),
    ...step("skip", plan.skipped_total, counted(plan.skipped_total, "path")),
  ];
  out.result("backup-create-plan", { ...plan, steps, plan_hash: hash }, () =>
    [
      `source     ${printable(source)} (${formatBytes(plan.bytes)} in ${counted(plan.files, "file")})`,
      `into       ${printable(to)}, ${plan.type}`,
      `parent     ${plan.parent ?? "none"}`,
      `copy       ${copied}`,
      `link       ${counted(plan.link_files, "file")}`,
      `needs      ${formatBytes(plan.needed_bytes)} with the reserve, ${formatBytes(plan.available_bytes)} are free`,
      ...plan.skipped
        .slice(0, 20)
        .map(({ path, reason }) => `skip       ${reason}  ${printable(path)}`),
      ...formatConflicts(plan.conflicts, out.style),
      `plan ${hash}. Nothing was changed.`,
    ].join("\n"),
  );
  for (const warning of plan.warnings) out.warn(warning);
  return ExitCode.success;
}
