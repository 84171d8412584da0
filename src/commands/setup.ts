// `setup`: the single command on a fresh host. Looks, shows the plan, asks, applies directories, links and the
// environment script as one transaction, and then checks what it did.

import {
  changeLayout,
  exitCodeOfRemainders,
  type LayoutPreview,
  type LayoutWish,
} from "../app/layout-change.ts";
import { openLayoutEngine } from "../app/layout-engine.ts";
import { viewLayout } from "../app/layout.ts";
import { verifyPrerequisites } from "../app/prerequisites.ts";
import { appliedSteps, assertUsableRoots, verifySetup, type SetupStep } from "../app/setup.ts";
import { ExitCode } from "../core/index.ts";
import { quoteSh } from "../layout/env-script.ts";
import type { PrerequisiteCheck } from "../layout/prerequisites.ts";
import { printable, type Style } from "../output/index.ts";
import { countPlan, formatCounts, formatPlan } from "../output/plan-text.ts";
import type { ChangeReport, Engine } from "../transaction/index.ts";
import { defineAgentCommand, type CommandContext } from "./define.ts";
import { commandText, conflictArgs, forceArg, linksInsideArg } from "./layout-args.ts";
import { confirmPlan, formatRemainders, reportFields, showPlan } from "./layout-change.ts";

type Context = Pick<CommandContext, "app" | "globals" | "out" | "signal">;

export const command = defineAgentCommand({
  description: "lays out directories, links and the environment script, and checks them",
  access: "change",
  args: {
    ...forceArg,
    ...conflictArgs,
    ...linksInsideArg,
    acceptDisk: {
      type: "boolean",
      description: "take the disks that are mounted now for the right ones",
    },
    acceptPaths: {
      type: "boolean",
      description: "take the paths of the settings although they changed",
    },
  },
  examples: [
    "citadel-agent setup --dry-run",
    "citadel-agent setup",
    "citadel-agent setup --yes --adopt",
  ],
  details:
    "Never creates users, installs packages, formats, mounts or tunes: it prints the\ncommand. What it did is undone by `citadel-agent rollback`.",
  async run(context) {
    const { app, args, globals, out, signal, words } = context;
    const { acceptDisk, acceptPaths, adopt, force, moveAside } = args;
    const linksInside = args.links === "inside";
    const flags = {
      force,
      adopt,
      "move-aside": moveAside,
      "accept-disk": acceptDisk,
      "accept-paths": acceptPaths,
    };
    const wish: LayoutWish = {
      command: commandText(words, { ...flags, links: linksInside ? "inside" : undefined }),
      scope: { directories: true, links: true, files: true },
      manner: "strict",
      acceptDisk,
      acceptPaths,
      adopt,
      force,
      linksInside,
      moveAside,
      needsAllRoots: true,
    };
    using engine = openLayoutEngine(app);
    const checks = await prerequisites(context, engine, acceptDisk === true);
    if (globals.dryRun) return await showPlan(context, engine, wish);
    const confirmed = await confirmPlan(context, engine, wish);
    if (confirmed?.refused === true) return ExitCode.decision;
    const { report, preview } = await changeLayout(app, engine, wish, {
      planHash: globals.planHash,
      confirmedHash: confirmed?.hash,
      lockTimeoutMs: globals.lockTimeoutMs,
      signal,
      onProgress: (path, doneBytes, totalBytes) =>
        out.progress({ activity: "copying", current: path, doneBytes, totalBytes }),
    });
    if (report.outcome === "conflicts") return refused(context, report, preview);
    const shown = new Set(confirmed?.shown.map(({ path }) => path));
    return await finish(context, engine, { checks, report, preview, shown }, linksInside);
  },
});

/** Missing tools and users are warnings; missing mounts and rights stop here, before the first change. */
async function prerequisites(
  { app, out, signal }: Context,
  engine: Engine,
  acceptDisk: boolean,
): Promise<PrerequisiteCheck[]> {
  const scope = { directories: false, links: false, files: false };
  const view = await viewLayout(app, engine.state, { scope, acceptDisk, signal });
  const checks = await verifyPrerequisites(app, view, signal);
  for (const { found, fix, level, name, ok } of checks) {
    if (ok || level === "error") continue;
    out.note(`${name}: ${printable(found)}${fix === null ? "" : `; mend it with: ${fix}`}`);
  }
  if (view.roots.every(({ state }) => state === "ok")) assertUsableRoots(checks);
  return checks;
}

function refused({ out }: Context, report: ChangeReport, preview: LayoutPreview): ExitCode {
  const steps = [{ name: "prerequisites", ok: true, changed: false }];
  const fields = { steps, ok: false, plan: reportFields(report, preview) };
  out.result("setup", fields, () =>
    [
      formatPlan({ ...report.plan, operations: [] }, out.style),
      `${out.style.paint("critical", "refused:")} nothing was changed`,
    ].join("\n"),
  );
  return ExitCode.decision;
}

interface Done {
  readonly checks: readonly PrerequisiteCheck[];
  readonly report: ChangeReport;
  readonly preview: LayoutPreview;
  /** Paths that were said to be left alone when the plan was shown. */
  readonly shown: ReadonlySet<string>;
}

async function finish(
  { app, out, signal }: Context,
  engine: Engine,
  { checks, report, preview, shown }: Done,
  linksInside: boolean,
): Promise<ExitCode> {
  const said = new Set(checks.map(({ found }) => found));
  for (const warning of report.plan.warnings) if (!said.has(warning)) out.warn(printable(warning));
  const wrote =
    report.outcome === "applied" && report.plan.operations.some(({ op }) => op === "write_file");
  const result = await verifySetup(app, engine, { linksInside, wrote }, signal);
  const steps = [...appliedSteps(checks, report), ...result.steps];
  const left = exitCodeOfRemainders(preview.remainders);
  // a cache link that was left alone is known and said: partly done, not a failed check
  const unexpected = result.links.issues.some(
    ({ path, state }) =>
      state !== "skipped" && !preview.remainders.some((remainder) => remainder.path === path),
  );
  const failed = steps.some(({ name, ok }) => !ok && name !== "verify");
  const wrong = unexpected || result.directories.issues.length > 0 || failed;
  const exitCode = left === ExitCode.success && wrong ? ExitCode.findings : left;
  const fields = {
    steps: steps.map(({ name, ok, changed }) => ({ name, ok, changed })),
    ok: exitCode === ExitCode.success,
    plan: reportFields(report, preview),
    prerequisites: checks,
    issues: [...result.links.issues, ...result.directories.issues],
    health: result.health,
  };
  out.result("setup", fields, () =>
    formatSetup(steps, { checks, report, preview, shown }, out.style),
  );
  return exitCode;
}

function formatSetup(
  steps: readonly SetupStep[],
  { report, preview, shown }: Done,
  style: Style,
): string {
  const rows = steps.map(({ name, ok, text }) => [
    ok ? style.paint("ok", "ok") : style.paint("critical", "wrong"),
    name,
    printable(text),
  ]);
  const counts = formatCounts(countPlan(report.plan));
  const generation = report.generation === null ? "" : ` (generation ${report.generation})`;
  const last =
    report.outcome === "applied" ? `done: ${counts}${generation}` : `nothing to change: ${counts}`;
  const unsaid = preview.remainders.filter(({ path }) => !shown.has(path));
  const rest = formatRemainders(unsaid, style);
  const script = preview.view.desired.files[0]?.path ?? "";
  const word = /^[\w/.-]+$/.test(script) ? script : quoteSh(script);
  const next = `source it in your shell: . ${printable(word)}`;
  return [style.table(rows), rest, last, next].filter((line) => line !== "").join("\n");
}
