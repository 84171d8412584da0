// What every command that changes the layout does around the engine: show the plan, ask where a person decides,
// apply, report. The commands themselves only say what they wish.

import {
  changeLayout,
  exitCodeOfRemainders,
  foreseeAdoptions,
  previewLayout,
} from "../app/layout-change.ts";
import type { LayoutPreview, LayoutWish } from "../app/layout-change.ts";
import { openLayoutEngine } from "../app/layout-engine.ts";
import { ExitCode } from "../core/index.ts";
import type { Remainder } from "../layout/index.ts";
import { printable } from "../output/index.ts";
import {
  countPlan,
  formatCounts,
  formatPlan,
  planFields,
  type PlanDetail,
} from "../output/plan-text.ts";
import type { ChangeReport, Engine } from "../transaction/index.ts";
import type { Style } from "../output/index.ts";
import type { CommandContext, GlobalFlags } from "./define.ts";

export interface Manner {
  /** A person is asked before anything is changed. */
  readonly asks: boolean;
}

/** Runs a change of the layout from the wish to the exit code. */
export async function runLayoutChange(
  context: Pick<CommandContext, "app" | "globals" | "out" | "signal">,
  wish: LayoutWish,
  manner: Manner,
): Promise<ExitCode> {
  const { app, globals, out, signal } = context;
  using engine = openLayoutEngine(app);
  if (globals.dryRun) return await showPlan(context, engine, wish);
  const confirmed = manner.asks ? await confirmPlan(context, engine, wish) : undefined;
  if (confirmed?.refused === true) return ExitCode.decision;
  const { report, preview } = await changeLayout(app, engine, wish, {
    planHash: globals.planHash,
    confirmedHash: confirmed?.hash,
    lockTimeoutMs: globals.lockTimeoutMs,
    signal,
    onProgress: (path, doneBytes, totalBytes) =>
      out.progress({ activity: "copying", current: path, doneBytes, totalBytes }),
  });
  const wasShown = manner.asks && !out.json;
  out.result("plan", reportFields(report, preview), () =>
    formatReport(report, preview, out.style, wasShown, detailOf(globals)),
  );
  for (const warning of report.plan.warnings) out.warn(printable(warning));
  if (report.fallback) out.warn("the journal cannot be written: recorded in /run until it can");
  if (report.unfinished !== undefined) out.warn(report.unfinished);
  if (report.setAside !== undefined) {
    out.warn(`the journal was damaged and lies aside now: ${report.setAside}`);
  }
  if (report.outcome === "conflicts") return ExitCode.decision;
  return exitCodeOfRemainders(preview.remainders);
}

export async function showPlan(
  { app, out, signal }: Pick<CommandContext, "app" | "out" | "signal">,
  engine: Engine,
  wish: LayoutWish,
): Promise<ExitCode> {
  const { pending } = engine.state;
  const preview = await previewLayout(app, engine.state, wish, signal);
  const { plan, hash } = preview;
  const remainders = [...preview.remainders, ...foreseeAdoptions(engine, preview)];
  const fields = {
    ...planFields(plan, hash),
    left: remainders.map(remainderFields),
    pending_transaction: pending,
  };
  out.result("plan", fields, () =>
    [
      ...(pending === null ? [] : [pendingText(pending)]),
      formatPlan(plan, out.style, remainders.length, "full"),
      formatRemainders(remainders, out.style),
      `plan ${hash}: ${formatCounts(countPlan(plan))}. Nothing was changed.`,
    ]
      .filter((line) => line !== "")
      .join("\n"),
  );
  for (const warning of plan.warnings) out.warn(printable(warning));
  return ExitCode.success;
}

/** A person who wants every step says --verbose. */
export const detailOf = ({ verbosity }: Pick<GlobalFlags, "verbosity">): PlanDetail =>
  verbosity > 0 ? "full" : "brief";

const pendingText = (pending: { command: string; started: string }) =>
  `an open transaction (${pending.command}, since ${pending.started}) will be undone first; the plan may differ then`;

export interface Confirmation {
  /** A person said no. */
  readonly refused: boolean;
  /** What a person said yes to; undefined where `--yes` did. */
  readonly hash: string | undefined;
  /** What was shown of what the plan leaves alone. */
  readonly shown: readonly Remainder[];
}

/** Shows the plan and asks. @returns undefined where there was nothing to show */
export async function confirmPlan(
  { app, globals, out, signal }: Pick<CommandContext, "app" | "globals" | "out" | "signal">,
  engine: Engine,
  wish: LayoutWish,
): Promise<Confirmation | undefined> {
  if (engine.state.pending !== null) {
    // what a dead process left is undone without asking; only then the plan is the one that will be done
    const { lockTimeoutMs } = globals;
    const recovered = await engine.recover({ command: wish.command, lockTimeoutMs, signal });
    for (const each of recovered) out.note(`undone: the open transaction ${each.command}`);
  }
  const preview = await previewLayout(app, engine.state, wish, signal);
  const { plan, hash } = preview;
  const remainders = [...preview.remainders, ...foreseeAdoptions(engine, preview)];
  if (plan.conflicts.length > 0 || plan.operations.length === 0) return undefined;
  out.line(formatPlan(plan, out.style, 0, detailOf(globals)));
  if (remainders.length > 0) out.line(formatRemainders(remainders, out.style));
  const shown = out.json ? [] : remainders;
  if (globals.yes) return { refused: false, hash: undefined, shown };
  const { length } = plan.operations;
  if (await out.confirm(`Apply ${length} ${length === 1 ? "step" : "steps"}?`)) {
    return { refused: false, hash, shown };
  }
  out.note("nothing was changed");
  return { refused: true, hash: undefined, shown };
}

/** The document of a change that ran. */
export function reportFields(
  report: ChangeReport,
  preview: LayoutPreview,
): Record<string, unknown> {
  const done = report.outcome === "applied";
  return {
    ...planFields(report.plan, report.planHash, (at) => report.steps[at]?.done ?? done),
    transaction: report.transaction,
    generation: report.generation,
    recovered: report.recovered,
    kept: report.kept,
    left: preview.remainders.map(remainderFields),
  };
}

export const remainderFields = ({ path, state, code, message, hint }: Remainder) => {
  return { path, state, code, message, hint };
};

function formatReport(
  report: ChangeReport,
  preview: LayoutPreview,
  style: Style,
  wasShown: boolean,
  detail: PlanDetail,
): string {
  const { plan, outcome } = report;
  const lines: string[] = [];
  for (const { command } of report.recovered) lines.push(`undone: the open transaction ${command}`);
  if (!wasShown || outcome !== "applied") {
    lines.push(formatPlan(plan, style, preview.remainders.length, detail));
  }
  for (const { path, message } of report.kept) {
    lines.push(`kept: ${printable(path)}: ${printable(message)}`);
  }
  if (!wasShown || outcome !== "applied") lines.push(formatRemainders(preview.remainders, style));
  lines.push(lastLine(report, style));
  return lines.filter((line) => line !== "").join("\n");
}

function lastLine(report: ChangeReport, style: Style): string {
  const counts = formatCounts(countPlan(report.plan));
  switch (report.outcome) {
    case "conflicts":
      return `${style.paint("critical", "refused:")} nothing was changed`;
    case "nothing":
      return `${style.paint("ok", "nothing to change:")} ${report.plan.unchanged} unchanged`;
    case "applied":
      return `${style.paint("ok", "done:")} ${counts} (generation ${report.generation})`;
  }
}

const shownRemainders = 40;
const shownBlocked = 3;

/** What stays as it is, with what a person can do. */
export function formatRemainders(remainders: readonly Remainder[], style: Style): string {
  const is = (...wanted: Remainder["because"][]) =>
    remainders.filter(({ because }) => wanted.includes(because));
  const rest = is("decision", "cache");
  const lines: string[] = formatBlocked(is("blocked"), style);
  if (rest.length > 0) lines.push(style.paint("warning", `left alone (${rest.length})`));
  for (const { message, hint, code } of rest.slice(0, shownRemainders)) {
    lines.push(`  ${printable(message)} [${code}]`, style.paint("dim", `    ${printable(hint)}`));
  }
  if (rest.length > shownRemainders) {
    lines.push(`  … and ${rest.length - shownRemainders} more (all with --json)`);
  }
  for (const { message } of is("skipped").slice(0, shownRemainders)) {
    lines.push(style.paint("dim", `skipped: ${printable(message)}`));
  }
  return lines.join("\n");
}

/** One block for each reason: a disk that is gone blocks dozens of paths. */
function formatBlocked(remainders: readonly Remainder[], style: Style): string[] {
  const groups = Map.groupBy(remainders, ({ reason = "", hint }) => `${reason}\0${hint}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const names = group.slice(0, shownBlocked).map(({ path }) => printable(path));
    const more = group.length > shownBlocked ? ", …" : "";
    const count = group.length === 1 ? "1 path" : `${group.length} paths`;
    const why = printable(first.reason ?? first.message);
    return [
      style.paint("critical", `blocked: ${why}: ${count} left alone [${first.code}]`),
      `  ${names.join(", ")}${more}`,
      style.paint("dim", `    ${printable(first.hint)}`),
    ];
  });
}
