// `rollback`: back to an earlier generation, as a new transaction.

import { assertHistoryKnown, openLayoutEngine } from "../app/layout-engine.ts";
import { assertRootsUsable, previewRollback } from "../app/rollback.ts";
import { CitadelError, ExitCode } from "../core/index.ts";
import { printable } from "../output/index.ts";
import { countPlan, formatCounts, formatPlan, planFields } from "../output/plan-text.ts";
import { planHash, type Engine } from "../transaction/index.ts";
import { detailOf } from "./layout-change.ts";
import { defineAgentCommand, type CommandContext } from "./define.ts";

export const command = defineAgentCommand({
  description: "goes back to the state after an earlier generation; alone: undoes the newest one",
  access: "change",
  args: {
    generation: {
      type: "positional",
      required: false,
      value: "number",
      min: 0,
      description: "a number of `history`; 0 is the host before the first set-up",
    },
  },
  examples: [
    "citadel-agent rollback --dry-run",
    "citadel-agent rollback 3 --yes",
    "citadel-agent rollback 0",
  ],
  details:
    "Removes only what the agent made and nobody changed since; a directory only when\nit is empty; a file only with the content the agent wrote. Everything else is a\nconflict (exit 6), and then nothing is touched. The rollback is a generation of\nits own: rolling back to before it brings everything back.",
  async run(context) {
    const { app, args, globals, out, signal } = context;
    using engine = openLayoutEngine(app);
    const { lockTimeoutMs } = globals;
    if (!globals.dryRun && engine.state.pending !== null) {
      await engine.recover({ command: "rollback", lockTimeoutMs, signal });
    }
    // a journal that cannot be read has no generations to show, which is not the same as having none
    if (engine.state.problem !== undefined) throw engine.state.problem;
    if (engine.state.generation === 0) assertHistoryKnown(app);
    const target = args.generation ?? newestBut(engine);
    if (globals.dryRun) return showPlan(context, engine, target);
    const shown = previewRollback(app, engine, target);
    const confirmed = await confirm(context, shown);
    if (confirmed === "refused") return ExitCode.decision;
    const report = await engine.change({
      command: `rollback ${target}`,
      plan: () => previewRollback(app, engine, target),
      guard: () => assertRootsUsable(app, engine, shown),
      expectedHash: globals.planHash ?? confirmed,
      lockTimeoutMs,
      signal,
    });
    const applied = report.outcome === "applied";
    const fields = {
      ...planFields(report.plan, report.planHash, (at) => report.steps[at]?.done ?? applied),
      target,
      transaction: report.transaction,
      generation: report.generation,
    };
    out.result("plan", fields, () => {
      const counts = formatCounts(countPlan(report.plan));
      if (applied) {
        return `${out.style.paint("ok", "done:")} as after generation ${target}; ${counts} (generation ${report.generation})`;
      }
      if (report.outcome === "nothing") {
        return `${out.style.paint("ok", "nothing to change:")} the host is as after generation ${target}`;
      }
      return `${formatPlan(report.plan, out.style)}\n${out.style.paint("critical", "refused:")} nothing was changed`;
    });
    for (const warning of report.plan.warnings) out.warn(printable(warning));
    return report.outcome === "conflicts" ? ExitCode.decision : ExitCode.success;
  },
});

function newestBut(engine: Engine): number {
  const newest = engine.state.generation;
  if (newest > 0) return newest - 1;
  throw new CitadelError({
    kind: "usage",
    code: "NOTHING_TO_ROLL_BACK",
    message: "there is no generation to go back from",
    hint: "see `citadel-agent history`",
  });
}

function showPlan({ app, out }: CommandContext, engine: Engine, target: number): ExitCode {
  const plan = previewRollback(app, engine, target);
  const { pending } = engine.state;
  const hash = planHash(plan);
  out.result(
    "plan",
    { ...planFields(plan, hash), target, pending_transaction: pending },
    () =>
      `${formatPlan(plan, out.style, 0, "full")}\nplan ${hash}: ${formatCounts(countPlan(plan))}. Nothing was changed.`,
  );
  for (const warning of plan.warnings) out.warn(printable(warning));
  return ExitCode.success;
}

/** @returns the hash that a person said yes to; undefined where nobody has to be asked; `refused` for a no */
async function confirm(
  { globals, out }: CommandContext,
  plan: ReturnType<typeof previewRollback>,
): Promise<string | undefined> {
  if (plan.conflicts.length > 0 || plan.operations.length === 0) return undefined;
  out.line(formatPlan(plan, out.style, 0, detailOf(globals)));
  if (globals.yes) return undefined;
  const { length } = plan.operations;
  if (await out.confirm(`Apply ${length} ${length === 1 ? "step" : "steps"}?`))
    return planHash(plan);
  out.note("nothing was changed");
  return "refused";
}
