// A plan as JSON and as text: the same steps, conflicts and counts for every command that changes the host.

import type { Conflict, Operation, PathState, Plan } from "../transaction/operation.ts";
import { directoryPlaces, manyDirectories } from "./plan-directories-text.ts";
import { printable } from "./printable.ts";
import type { Style, Tone } from "./style.ts";

export interface PlanCounts {
  readonly created: number;
  readonly replaced: number;
  readonly removed: number;
  readonly unchanged: number;
}

const creates = new Set(["make_dir", "create_link"]);
const removes = new Set(["remove_dir", "remove_link", "remove_leftover", "remove_file"]);

/** Counts apart what is made, what is changed in place, what goes and what is right already. */
export function countPlan(plan: Plan): PlanCounts {
  let created = 0;
  let removed = 0;
  for (const step of plan.operations) {
    if (creates.has(step.op) || (step.op === "write_file" && step.before.type === "absent")) {
      created += 1;
    } else if (removes.has(step.op)) removed += 1;
  }
  const replaced = plan.operations.length - created - removed;
  return { created, replaced, removed, unchanged: plan.unchanged };
}

/** A state in a few words: a link by its target, a file or directory by mode and owner. */
export function stateText(state: PathState): string | null {
  switch (state.type) {
    case "absent":
      return null;
    case "link":
      return state.target;
    case "value":
    case "external":
      return state.value;
    case "other":
      return state.what;
    default: {
      const mode = state.mode === undefined ? undefined : state.mode.toString(8).padStart(4, "0");
      const owner = state.uid === undefined ? undefined : `${state.uid}:${state.gid ?? ""}`;
      return [state.type, mode, owner].filter((word) => word !== undefined).join(" ");
    }
  }
}

/** `from` and `to` of a step: what is there now and what will be there. */
function ends(step: Operation): { from: string | null; to: string | null } {
  const from = stateText(step.before);
  if (step.op === "move_aside") return { from, to: step.to ?? null };
  if (step.op !== "set_owner") return { from, to: stateText(step.after) };
  const owner = (state: PathState) => ("uid" in state ? `${state.uid}:${state.gid}` : null);
  return { from: owner(step.before), to: owner(step.after) };
}

/** One step as in the JSON documents. @param done left out in a plan that was not applied */
export function stepFields(step: Operation, done?: boolean): Record<string, unknown> {
  const fields = { op: step.op, path: step.path, ...ends(step), why: step.why };
  return done === undefined ? fields : { ...fields, done };
}

/** `steps`, `conflicts`, `plan_hash`, counts, warnings of a plan. */
export function planFields(
  plan: Plan,
  planHash: string,
  isDone?: (step: number) => boolean,
): Record<string, unknown> {
  return {
    command: plan.command,
    steps: plan.operations.map((step, at) => stepFields(step, isDone?.(at))),
    conflicts: plan.conflicts.map(({ path, code, message, hint }) => ({
      path,
      code,
      message,
      hint,
    })),
    on_the_host: plan.onTheHost,
    warnings: plan.warnings,
    plan_hash: planHash,
    ...countPlan(plan),
  };
}

/** Steps of these kinds stand under one heading, in this order; what is in none comes last. */
const groups: readonly (readonly [string, Tone, readonly string[]])[] = [
  ["make directories", "ok", ["make_dir"]],
  ["set modes and owners", "accent", ["set_mode", "set_owner"]],
  ["make links", "ok", ["create_link"]],
  ["replace links", "warning", ["replace_link"]],
  ["adopt", "warning", ["adopt"]],
  ["move aside", "warning", ["move_aside"]],
  ["write files", "accent", ["write_file"]],
  ["set values", "accent", ["set_value", "run_command"]],
  ["remove", "warning", ["remove_link", "remove_leftover", "remove_dir", "remove_file"]],
];

const shownPerGroup = 40;

/**
 * `full`: every step, for --dry-run and --verbose. `brief`: directories by their places, the first 40 steps of each
 * kind: for a person who is asked.
 */
export type PlanDetail = "full" | "brief";

/**
 * The plan for a person, grouped and aligned, with the reason of each step.
 * @param left how many things the plan does not mend: without steps it is not said that all is well then
 */
export function formatPlan(
  plan: Plan,
  style: Style,
  left = 0,
  detail: PlanDetail = "brief",
): string {
  const blocks: string[] = [];
  for (const [heading, tone, kinds] of groups) {
    const steps = plan.operations.filter(({ op }) => kinds.includes(op));
    if (steps.length > 0) blocks.push(formatGroup(heading, tone, steps, style, detail));
  }
  if (plan.conflicts.length > 0) blocks.push(formatConflicts(plan.conflicts, style));
  if (plan.onTheHost.length > 0) {
    const lines = plan.onTheHost.map((line) => `  ${line}`);
    blocks.push([style.paint("strong", "on the host, afterwards"), ...lines].join("\n"));
  }
  if (plan.operations.length === 0 && plan.conflicts.length === 0) {
    blocks.push(left === 0 ? "nothing to do: everything is as it should be" : "no steps");
  }
  return blocks.join("\n");
}

function formatGroup(
  heading: string,
  tone: Tone,
  steps: readonly Operation[],
  style: Style,
  detail: PlanDetail,
): string {
  const title = style.paint(tone, `${heading} (${steps.length})`);
  const collapses = steps.length >= manyDirectories && steps.every(({ op }) => op === "make_dir");
  if (detail === "brief" && collapses) {
    const places = directoryPlaces(steps.map(({ path }) => path));
    return `${title}\n${style.table(places, { indent: 2 })}`;
  }
  const shown = detail === "full" ? steps.length : shownPerGroup;
  const rows = steps.slice(0, shown).map((step) => stepRow(step, style));
  const rest = steps.length - rows.length;
  const more = rest > 0 ? `\n  … and ${rest} more (all with --verbose)` : "";
  return `${title}\n${style.table(rows, { indent: 2 })}${more}`;
}

function stepRow(step: Operation, style: Style): string[] {
  const { from, to } = ends(step);
  const path = printable(step.path);
  const why = style.paint("dim", printable(step.why));
  switch (step.op) {
    case "make_dir":
      return [path, (to ?? "").replace(/^directory ?/, ""), why];
    case "create_link":
    case "move_aside":
      return [path, `-> ${printable(to ?? "")}`, why];
    case "replace_link":
    case "set_value":
    case "set_mode":
    case "set_owner":
      return [path, `${printable(from ?? "")} -> ${printable(to ?? "")}`, why];
    case "adopt":
      return [path, `-> ${printable(step.to ?? "")}`, why];
    default:
      return [path, why];
  }
}

function formatConflicts(conflicts: readonly Conflict[], style: Style): string {
  const title = style.paint("critical", `conflicts (${conflicts.length})`);
  const shown = conflicts.slice(0, shownPerGroup);
  const lines = shown.flatMap(({ code, message, hint }) => [
    `  ${printable(message)} [${code}]`,
    style.paint("dim", `    ${printable(hint)}`),
  ]);
  const rest = conflicts.length - shown.length;
  if (rest > 0) lines.push(`  … and ${rest} more (all with --json)`);
  return [title, ...lines].join("\n");
}

/** `3 created, 1 replaced, 12 unchanged`. */
export function formatCounts(counts: PlanCounts): string {
  const words = [`${counts.created} created`, `${counts.replaced} replaced`];
  if (counts.removed > 0) words.push(`${counts.removed} removed`);
  return [...words, `${counts.unchanged} unchanged`].join(", ");
}
