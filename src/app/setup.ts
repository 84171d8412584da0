// The six steps of `setup` around its one transaction: prerequisites before, verification, environment and health
// after. Returns what each step found; printing and asking is the command's.

import { CitadelError } from "../core/index.ts";
import {
  hasFindings,
  verifyDirectories,
  verifyLinks,
  verifyScript,
  type DirectoriesReport,
  type LinksReport,
} from "../layout/index.ts";
import type { PrerequisiteCheck } from "../layout/prerequisites.ts";
import { survey, type Question } from "../system/survey/index.ts";
import type { ChangeReport, Engine } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { viewLayout, type LayoutView } from "./layout.ts";

export type SetupStepName =
  "prerequisites" | "directories" | "links" | "verify" | "environment" | "health";

export interface SetupStep {
  readonly name: SetupStepName;
  readonly ok: boolean;
  readonly changed: boolean;
  /** One line for a person. */
  readonly text: string;
}

/** @throws kind `permission` or `read-only` when a root cannot be used; every such path is named */
export function assertUsableRoots(checks: readonly PrerequisiteCheck[]): void {
  const failed = checks.filter(({ id, ok }) => !ok && id.startsWith("rights:"));
  if (failed.length === 0) return;
  const readOnly = failed.some(({ found }) => found.includes("read-only"));
  throw new CitadelError({
    kind: readOnly ? "read-only" : "permission",
    code: readOnly ? "READ_ONLY" : "PERMISSION",
    message: failed.map(({ id, found }) => `${id.slice("rights:".length)}: ${found}`).join("; "),
    hint: readOnly
      ? "see `dmesg` for the reason; mount it read-write again, then run the command again"
      : "run the command as root (sudo)",
    details: { paths: failed.map(({ id }) => id.slice("rights:".length)) },
  });
}

const directorySteps = new Set(["make_dir", "set_mode", "set_owner"]);

/** The first three steps, as the applied plan tells them. */
export function appliedSteps(
  checks: readonly PrerequisiteCheck[],
  report: ChangeReport,
): SetupStep[] {
  const warnings = checks.filter(({ ok }) => !ok).length;
  const done = report.outcome === "applied";
  const count = (is: (step: { op: string }) => boolean) =>
    done ? report.plan.operations.filter(is).length : 0;
  const directories = count(({ op }) => directorySteps.has(op));
  const links = count(({ op }) => !directorySteps.has(op) && op !== "write_file");
  return [
    {
      name: "prerequisites",
      ok: true,
      changed: false,
      text: warnings === 0 ? "all there" : `${warnings} ${warnings === 1 ? "warning" : "warnings"}`,
    },
    { name: "directories", ok: true, changed: directories > 0, text: `${directories} changed` },
    { name: "links", ok: true, changed: links > 0, text: `${links} changed` },
  ];
}

export interface SetupResult {
  readonly steps: readonly SetupStep[];
  readonly links: LinksReport;
  readonly directories: DirectoriesReport;
  readonly health: readonly RootHealth[];
}

/** The last three steps: looks at the host anew, as if nothing had been done by us. */
export async function verifySetup(
  app: App,
  engine: Engine,
  wish: { readonly linksInside: boolean; readonly wrote: boolean },
  signal: AbortSignal,
): Promise<SetupResult> {
  const scope = { directories: true, links: true, files: true };
  const { linksInside, wrote } = wish;
  const view = await viewLayout(app, engine.state, { scope, linksInside, signal });
  const links = verifyLinks(view.desired, view.actual, view.history, view.ownersMatter);
  const directories = verifyDirectories(view.desired, view.actual, app.system.environment.isRoot);
  const script = verifyScript(view.desired, view.actual);
  const health = await rootHealth(app, view, signal);
  const wrong = [...links.issues, ...directories.issues].filter(({ state }) => state !== "skipped");
  const bad = health.filter(({ state }) => state === "critical" || state === "unknown");
  const steps: SetupStep[] = [
    {
      name: "verify",
      ok: !hasFindings(links) && !hasFindings(directories),
      changed: false,
      text:
        wrong.length === 0
          ? `${links.healthy} of ${links.total} links and ${directories.healthy} directories right`
          : `${wrong.length} to look at`,
    },
    { name: "environment", ok: script === "current", changed: wrote, text: `script ${script}` },
    {
      name: "health",
      ok: bad.length === 0,
      changed: false,
      text: health.map(({ path, state }) => `${path} ${state}`).join(", "),
    },
  ];
  return { steps, links, directories, health };
}

export interface RootHealth {
  readonly path: string;
  readonly state: "ok" | "warning" | "critical" | "unknown";
  readonly total_bytes: number;
  readonly used_bytes: number;
  readonly free_bytes: number;
  readonly usage: number;
  readonly inode_usage: number | null;
}

/** Space and inodes of the three roots against the thresholds of the settings. */
export async function rootHealth(
  app: App,
  view: LayoutView,
  signal: AbortSignal,
): Promise<RootHealth[]> {
  const { real } = app.system.hostPaths;
  const { paths } = view.options;
  const roots = [paths.appRoot, paths.modelsRoot, paths.backupRoot].map(real);
  const questions: Question[] = roots.map((path) => ({ kind: "usage", path }));
  const answers = await survey(questions, { signal, noteDir: app.system.hostPaths.runtimeDir });
  const limits = app.settings.monitoring;
  return roots.map((path, at) => {
    const answer = answers[at];
    if (answer?.kind !== "usage") {
      const none = { total_bytes: 0, used_bytes: 0, free_bytes: 0, usage: 0, inode_usage: null };
      return { path, state: "unknown", ...none };
    }
    const { totalBytes, usedBytes, availableBytes, usage, inodeUsage } = answer;
    const critical = usage >= limits.disk_usage_critical || (inodeUsage ?? 0) >= 0.95;
    const warning =
      usage >= limits.disk_usage_warning || (inodeUsage ?? 0) >= limits.inode_usage_warning;
    return {
      path,
      state: critical ? "critical" : warning ? "warning" : "ok",
      total_bytes: totalBytes,
      used_bytes: usedBytes,
      free_bytes: availableBytes,
      usage,
      inode_usage: inodeUsage ?? null,
    };
  });
}
