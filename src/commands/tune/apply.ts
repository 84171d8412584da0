// `tune apply`: sets mount options, schedulers, the udev rule and the trim timer as one transaction.

import { viewTuning, type TuneView } from "../../app/host.ts";
import { changeTuning, needsRoot, openHostEngine, type TuneChange } from "../../app/tune-change.ts";
import { ExitCode } from "../../core/index.ts";
import type { TunePlan } from "../../host/index.ts";
import { planHash } from "../../transaction/index.ts";
import { printable } from "../../output/index.ts";
import type { CommandContext } from "../define.ts";
import { defineAgentCommand } from "../define.ts";
import { tuneArgs } from "./args.ts";
import {
  countSteps,
  formatLeft,
  formatTunePlan,
  shownSteps,
  stepFields,
  tuneFields,
} from "./text.ts";

export const command = defineAgentCommand({
  description: "tunes mounts, schedulers and trim of the storage, as one transaction",
  access: "change",
  args: tuneArgs,
  examples: [
    "citadel-agent tune apply",
    "citadel-agent tune apply --profile planb-02 --yes",
    "citadel-agent tune apply --remount-now",
  ],
  details:
    "What cannot change while mounted (data=) is set for the next mount and\nreported as pending. `tune rollback` restores what was there.",
  async run(context) {
    const { app, args, globals, out, signal } = context;
    const request = { remountNow: args.remountNow, signal };
    const view = await viewTuning(app, request);
    const hash = planHash(view.tune.plan);
    if (globals.dryRun) return showPlan(context, view, hash);
    if (!view.facts.privileged) return refuse(context, view, hash);
    using engine = openHostEngine(app);
    const confirmed = await confirm(context, view, hash);
    if (confirmed === "refused") return ExitCode.decision;
    const change = await changeTuning(app, engine, {
      ...request,
      command: commandText(view.tune, args.remountNow),
      expectedHash: globals.planHash ?? confirmed,
      lockTimeoutMs: globals.lockTimeoutMs,
    });
    for (const line of change.unproved) out.note(line);
    return report(context, change, view);
  },
});

type Context = Pick<CommandContext, "globals" | "out">;

const commandText = (tune: TunePlan, remountNow: boolean) =>
  `tune apply --profile ${tune.profile}${remountNow ? " --remount-now" : ""}`;

function showPlan({ out }: Context, { tune, facts }: TuneView, hash: string): ExitCode {
  out.result(
    "tune-plan",
    { ...tuneFields(tune, facts), ...stepFields(tune.plan, hash) },
    () => `${formatTunePlan(tune, facts, out.style)}\n\nplan ${hash}: nothing was changed`,
  );
  return ExitCode.success;
}

/** Without root the plan is shown and nothing is touched: every item says that it needs root. */
function refuse({ out }: Context, { tune, facts }: TuneView, hash: string): ExitCode {
  const { message, hint } = needsRoot("tune apply");
  out.result(
    "tune-plan",
    { ...tuneFields(tune, facts), ...stepFields(tune.plan, hash, () => false) },
    () => formatTunePlan(tune, facts, out.style),
  );
  out.warn(`${message}; ${hint ?? ""}`);
  return ExitCode.partial;
}

/** @returns the hash that was said yes to; undefined where nothing has to be asked; `refused` for a no */
async function confirm(
  { globals, out }: Context,
  { tune, facts }: TuneView,
  hash: string,
): Promise<string | undefined> {
  const { operations, conflicts } = tune.plan;
  if (operations.length === 0 || conflicts.length > 0) return undefined;
  out.line(formatTunePlan(tune, facts, out.style));
  const risks = tune.risks.length === 0 ? "" : ` Risks: ${tune.risks.join("; ")}.`;
  const yes = await out.confirm(`Apply profile ${tune.profile}?${risks}`);
  if (!yes) {
    out.note("nothing was changed");
    return "refused";
  }
  return globals.yes ? undefined : hash;
}

function report(
  { out }: Context,
  { report: done, tune }: TuneChange,
  { facts }: TuneView,
): ExitCode {
  const isDone = (at: number) => done.steps[at]?.done ?? false;
  const fields = {
    ...tuneFields(tune, facts),
    ...stepFields(done.plan, done.planHash, isDone),
    transaction: done.transaction,
    generation: done.generation,
  };
  out.result("tune-plan", fields, () => {
    const shown = done.outcome === "applied" ? "" : formatTunePlan(tune, facts, out.style);
    return [shown, formatLeft(tune, out.style), lastLine(done, out.style.paint)]
      .filter((block) => block !== "")
      .join("\n");
  });
  for (const { command: text } of done.recovered) out.note(`undone: ${printable(text)}`);
  if (done.outcome === "conflicts") return ExitCode.decision;
  const blocked = tune.items.some(
    (item) => item.state === "pending" && item.why.includes("--remount-now"),
  );
  return tune.couldNot.length > 0 || blocked ? ExitCode.partial : ExitCode.success;
}

function lastLine(
  done: TuneChange["report"],
  paint: (tone: "ok" | "critical", text: string) => string,
): string {
  switch (done.outcome) {
    case "conflicts":
      return `${paint("critical", "refused:")} nothing was changed`;
    case "nothing":
      return `${paint("ok", "nothing to change:")} ${done.plan.unchanged} items are as wanted`;
    case "applied":
      return `${paint("ok", "done:")} ${countSteps(shownSteps(done.plan.operations).length)} (generation ${done.generation})`;
  }
}
