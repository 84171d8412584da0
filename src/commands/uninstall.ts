// `uninstall`: takes the agent off a host, and says what stays.

import { openLayoutEngine } from "../app/layout-engine.ts";
import { assertRootsUsable } from "../app/rollback.ts";
import { previewUninstall, removeState, type UninstallPreview } from "../app/uninstall.ts";
import { ExitCode } from "../core/index.ts";
import { printable, type Style } from "../output/index.ts";
import {
  countPlan,
  formatCounts,
  formatPlan,
  planFields,
  type PlanDetail,
} from "../output/plan-text.ts";
import { detailOf } from "./layout-change.ts";
import { defineAgentCommand } from "./define.ts";

export const command = defineAgentCommand({
  description:
    "removes units, udev rule, fstab options and the script of the agent; says what stays",
  access: "change",
  args: {
    keepState: { type: "boolean", description: "leaves journal, catalogue and history" },
    purgeLinks: {
      type: "boolean",
      description: "also our links, and directories of ours that are empty then",
    },
  },
  examples: [
    "citadel-agent uninstall --dry-run --purge-links",
    "citadel-agent uninstall --yes --keep-state",
  ],
  details:
    "Never removes models, backups, directories that hold anything, or files that\nsomebody changed since. Without --keep-state the history goes too, and with it\nthe way back.",
  async run({ app, args, globals, out, signal }) {
    using engine = openLayoutEngine(app);
    const wish = { purgeLinks: args.purgeLinks === true };
    const { lockTimeoutMs } = globals;
    if (!globals.dryRun && engine.state.pending !== null) {
      await engine.recover({ command: "uninstall", lockTimeoutMs, signal });
    }
    const first = await previewUninstall(app, engine, wish, signal);
    if (globals.dryRun) {
      const fields = { ...planFields(first.plan, first.hash), stays: first.stays };
      out.result(
        "plan",
        fields,
        () => `${textOf(first, out.style, "full")}\nplan ${first.hash}: nothing was changed`,
      );
      return ExitCode.success;
    }
    out.line(textOf(first, out.style, detailOf(globals)));
    if (!globals.yes && !(await out.confirm(question(args.keepState === true)))) {
      out.note("nothing was changed");
      return ExitCode.decision;
    }
    const report = await engine.change({
      command: first.plan.command,
      plan: async () => (await previewUninstall(app, engine, wish, signal)).plan,
      guard: () => assertRootsUsable(app, engine, first.plan),
      expectedHash: globals.planHash ?? (globals.yes ? undefined : first.hash),
      lockTimeoutMs,
      signal,
    });
    engine[Symbol.dispose]();
    const removed = args.keepState === true ? undefined : removeState(app);
    const applied = report.outcome === "applied";
    const fields = {
      ...planFields(report.plan, report.planHash, (at) => report.steps[at]?.done ?? applied),
      transaction: report.transaction,
      generation: report.generation,
      stays: first.stays,
      state_removed: removed ?? null,
    };
    out.result("plan", fields, () => {
      const counts = formatCounts(countPlan(report.plan));
      const state = removed === undefined ? "" : `; the state in ${removed} is gone`;
      return `${out.style.paint("ok", "done:")} ${applied ? counts : "nothing to remove"}${state}`;
    });
    return ExitCode.success;
  },
});

const question = (keepsState: boolean) =>
  keepsState ? "Uninstall?" : "Uninstall, and remove the history with the way back?";

function textOf({ plan, stays }: UninstallPreview, style: Style, detail: PlanDetail): string {
  const lines = stays.map((text) => `  ${printable(text)}`);
  return [formatPlan(plan, style, 0, detail), style.paint("strong", "stays"), ...lines].join("\n");
}
