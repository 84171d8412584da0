// The daemon's own hand: mends missing, broken and looping links of ours as `repair` would, through the same
// transaction, with its limit. It never makes what no set-up ever made.

import { CitadelError, messageOf } from "../core/index.ts";
import {
  chooseRepairs,
  logRepairs,
  readRepairLog,
  writeRepairLog,
} from "../monitor/auto-repair.ts";
import type { LinksData } from "../monitor/data.ts";
import type { Memory } from "../monitor/memory.ts";
import type { Notices } from "../monitor/notices.ts";
import type { Operation } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { changeLayout } from "./layout-change.ts";
import { openLayoutEngine } from "./layout-engine.ts";

export interface RepairOutcome {
  readonly repaired: readonly string[];
  readonly exhausted: readonly string[];
  /** Why nothing was mended although something could be; undefined: nothing stood in the way. */
  readonly problem: string | undefined;
}

/** Somebody at work has the right of way: we come again. */
const lockTimeoutMs = 2000;
const mendingSteps = new Set<Operation["op"]>(["create_link", "replace_link"]);
const keepMs = 900_000;

/** Mends what may be mended, and leaves notices of it. Never throws. */
export async function repairLinks(
  app: App,
  links: LinksData,
  context: { readonly memory: Memory; readonly notices: Notices; readonly signal: AbortSignal },
): Promise<RepairOutcome> {
  const { memory, notices, signal } = context;
  const nowMs = app.system.clock.nowMs();
  const log = readRepairLog(memory);
  const perHour = app.settings.monitoring.repairs_per_hour;
  const choice = chooseRepairs(links.issues, log, perHour, nowMs);
  tellExhausted(notices, choice.exhausted, perHour);
  if (choice.paths.length === 0)
    return { repaired: [], exhausted: choice.exhausted, problem: undefined };
  try {
    const repaired = await mend(app, new Set(choice.paths), signal);
    // Counted when it was done: what cannot be done now (a disk that is gone) is no repair.
    if (repaired.length > 0) writeRepairLog(memory, logRepairs(log, repaired, nowMs));
    for (const path of repaired) notices.tell(repairedNotice(path));
    notices.clear("LINK_REPAIR_FAILED");
    return { repaired, exhausted: choice.exhausted, problem: undefined };
  } catch (thrown) {
    const isBusy = thrown instanceof CitadelError && thrown.kind === "locked";
    const problem = messageOf(thrown);
    if (!isBusy && !signal.aborted) notices.set(failedNotice(problem));
    return { repaired: [], exhausted: choice.exhausted, problem };
  }
}

async function mend(
  app: App,
  paths: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  using engine = openLayoutEngine(app);
  const { state } = engine;
  if (state.generation === 0) return []; // nothing was ever set up here
  // asked now: the engine closes this view of the journal when it takes the lock
  const ours = new Set([...paths].filter((path) => state.ownedTargets(path).length > 0));
  const isOurs = (step: Operation) => ours.has(step.path) && mendingSteps.has(step.op);
  const { report } = await changeLayout(
    app,
    engine,
    {
      command: "monitor: repair links",
      scope: { directories: false, links: true, files: false },
      manner: "mend",
      keepStep: isOurs,
    },
    { lockTimeoutMs, signal },
  );
  return report.outcome === "applied" ? report.steps.map(({ path }) => path) : [];
}

const repairedNotice = (path: string) => ({
  name: "LINK_REPAIRED" as const,
  severity: "warning" as const,
  labels: { path },
  summary: `the link ${path} was gone or broken and was restored`,
  advice: "find out what removed it: `citadel-agent history`, the log of whatever works there",
  keepMs,
});

const failedNotice = (problem: string) => ({
  name: "LINK_REPAIR_FAILED" as const,
  severity: "warning" as const,
  labels: {},
  summary: `links cannot be mended: ${problem}`,
  advice: "`citadel-agent repair --dry-run` shows what is in the way",
});

function tellExhausted(notices: Notices, paths: readonly string[], perHour: number): void {
  notices.clear("LINK_REPAIR_LIMIT");
  for (const path of paths)
    notices.set({
      name: "LINK_REPAIR_LIMIT",
      severity: "critical",
      labels: { path },
      summary: `${path} was mended ${perHour} times within the hour and is broken again`,
      advice: "something removes it again and again: find and stop it, then `citadel-agent repair`",
    });
}
