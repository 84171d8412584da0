// What the service commands share: showing a plan, and reporting a change.

import { openTransactionEngine } from "../../app/transaction.ts";
import type { App } from "../../app/app.ts";
import { ExitCode } from "../../core/index.ts";
import { printable } from "../../output/index.ts";
import { countPlan, formatCounts, formatPlan, planFields } from "../../output/plan-text.ts";
import { planHash, type ChangeReport, type Engine, type Plan } from "../../transaction/index.ts";
import type { CommandContext } from "../define.ts";

type Context = Pick<CommandContext, "out" | "globals">;

/** Flags that the units must carry, so that the service reads the same settings. */
export function unitFlags({ globals }: Pick<CommandContext, "globals">): string[] {
  const { config, envFile } = globals;
  return [
    ...(config === undefined ? [] : ["--config", config]),
    ...(envFile === undefined ? [] : ["--env-file", envFile]),
  ];
}

export function openServiceEngine({ system, settings }: App): Engine {
  const { agent } = settings;
  return openTransactionEngine(system, {
    stateDir: agent.state_dir,
    keepGenerations: agent.history_keep.generations,
    keepDays: agent.history_keep.days,
  });
}

/** `--dry-run`. */
export function showServicePlan({ out }: Context, plan: Plan, extra: readonly string[]): ExitCode {
  const hash = planHash(plan);
  out.result("plan", { ...planFields(plan, hash), notes: extra }, () =>
    [
      formatPlan(plan, out.style),
      ...extra.map((line) => `also: ${printable(line)}`),
      `plan ${hash}: ${formatCounts(countPlan(plan))}. Nothing was changed.`,
    ]
      .filter((line) => line !== "")
      .join("\n"),
  );
  for (const warning of plan.warnings) out.warn(printable(warning));
  return ExitCode.success;
}

export function showServiceReport(
  { out }: Context,
  report: ChangeReport,
  notes: readonly string[],
): ExitCode {
  const { plan, outcome } = report;
  const applied = outcome === "applied";
  const fields = {
    ...planFields(plan, report.planHash, (at) => report.steps[at]?.done ?? applied),
    transaction: report.transaction,
    generation: report.generation,
    notes,
  };
  out.result("plan", fields, () =>
    [
      formatPlan(plan, out.style),
      ...notes.map((line) => `note: ${printable(line)}`),
      outcome === "conflicts"
        ? `${out.style.paint("critical", "refused:")} nothing was changed`
        : `${out.style.paint("ok", "done:")} ${formatCounts(countPlan(plan))}`,
    ]
      .filter((line) => line !== "")
      .join("\n"),
  );
  for (const warning of plan.warnings) out.warn(printable(warning));
  return outcome === "conflicts" ? ExitCode.decision : ExitCode.success;
}
