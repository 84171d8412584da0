// `tune rollback`: restores what was there before `tune apply`, and nothing that others changed.

import { openHostEngine, previewTuneRollback } from "../../app/tune-change.ts";
import { needsRoot, rollBackTuning, type RollbackPreview } from "../../app/tune-change.ts";
import { ExitCode } from "../../core/index.ts";
import type { Style } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import {
  countSteps,
  formatConflicts,
  formatSteps,
  section,
  shownSteps,
  stepFields,
} from "./text.ts";

export const command = defineAgentCommand({
  description: "restores what was there before `tune apply`",
  access: "change",
  args: {},
  examples: ["citadel-agent tune rollback --dry-run", "citadel-agent tune rollback --yes"],
  async run({ app, globals, out, signal }) {
    using engine = openHostEngine(app);
    const first = await previewTuneRollback(app, engine, signal);
    if (globals.dryRun) {
      out.result("tune-rollback", fieldsOf(first), () => {
        const text = formatPreview(first, out.style);
        return `${text}\n\nplan ${first.hash}: nothing was changed`;
      });
      return ExitCode.success;
    }
    const { environment, hostPaths } = app.system;
    if (!environment.isRoot && !hostPaths.relocated) throw needsRoot("tune rollback");
    const asks = first.plan.operations.length > 0 && first.plan.conflicts.length === 0;
    if (asks) {
      out.line(formatPreview(first, out.style));
      if (!(await out.confirm("Restore what was there before the tuning?"))) {
        out.note("nothing was changed");
        return ExitCode.decision;
      }
    }
    const { report, preview } = await rollBackTuning(app, engine, {
      command: "tune rollback",
      expectedHash: globals.planHash ?? (asks && !globals.yes ? first.hash : undefined),
      lockTimeoutMs: globals.lockTimeoutMs,
      signal,
    });
    const { transaction, generation, outcome } = report;
    const isDone = (at: number) => report.steps[at]?.done ?? false;
    const fields = { ...fieldsOf(preview, isDone), transaction, generation };
    out.result("tune-rollback", fields, () => {
      const shown =
        outcome === "applied" ? formatRest(preview, out.style) : formatPreview(preview, out.style);
      const count = countSteps(shownSteps(report.plan.operations).length);
      const done = `${out.style.paint("ok", "restored:")} ${count} (generation ${generation})`;
      const end = {
        applied: done,
        nothing: "nothing to restore",
        conflicts: "refused: nothing was changed",
      };
      return [shown, end[outcome]].filter((block) => block !== "").join("\n\n");
    });
    if (outcome === "conflicts") return ExitCode.decision;
    return preview.left.length > 0 ? ExitCode.partial : ExitCode.success;
  },
});

function fieldsOf(
  { plan, hash, history, left, pending }: RollbackPreview,
  isDone?: (at: number) => boolean,
): Record<string, unknown> {
  return {
    generations: history.applied.map(({ id }) => id),
    between: history.between.map(({ id, command: text }) => ({ generation: id, command: text })),
    left,
    pending,
    warnings: plan.warnings,
    ...stepFields(plan, hash, isDone),
  };
}

/** What a person has to know behind the steps, which were shown before they were asked. */
const formatRest = ({ left, pending }: RollbackPreview, style: Style) =>
  [section("left as found", left, "warning", style), section("pending", pending, "warning", style)]
    .filter((block) => block !== "")
    .join("\n");

function formatPreview({ plan, history, left, pending }: RollbackPreview, style: Style): string {
  const { applied, between } = history;
  const head =
    applied.length === 0
      ? "no tuning of ours to take back"
      : `takes back ${applied.map(({ id, time }) => `generation ${id} (${time})`).join(", ")}`;
  const others = between.map(({ id, command: text }) => `generation ${id}: ${text}`);
  return [
    head,
    section("came in between and stays", others, "warning", style),
    formatSteps(plan.operations, style),
    section("stays", plan.warnings, "dim", style),
    section("left as found", left, "warning", style),
    section("pending", pending, "warning", style),
    section("on the host, afterwards", plan.onTheHost, "strong", style),
    formatConflicts(plan.conflicts, style),
  ]
    .filter((block) => block !== "")
    .join("\n\n");
}
