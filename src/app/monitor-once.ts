// One look at everything for `health`, `status` and `monitor --once`: the probes, judged with what the daemon's
// history knows (trends, accepted values, disks seen before), read-only.

import type { Acceptance, Alert } from "../monitor/alert.ts";
import { openHistoryForReading, type HistoryView } from "../monitor/history.ts";
import { createVolatileMemory, readOnlyMemory } from "../monitor/memory.ts";
import { runOnce, type OnceResult } from "../monitor/once.ts";
import { shippedRules } from "../monitor/rules/index.ts";
import type { ProbeName } from "../monitor/sample.ts";
import { estimateWornOut } from "../monitor/trend.ts";
import type { App } from "./app.ts";
import { monitorEngines, storageRoots } from "./monitor-engines.ts";
import { createProbes, historyPath, monitorThresholds } from "./monitor.ts";

export interface LookResult extends OnceResult {
  /** Pending and firing alerts of the daemon. */
  readonly alerts: readonly Alert[];
  /** When the endurance of a disk will be used up, by device, where the history tells. */
  readonly wornOutInS: ReadonlyMap<string, number>;
  /** Why the history could not be read; undefined: it could, or there is none. */
  readonly historyProblem: string | undefined;
}

export interface LookOptions {
  readonly signal: AbortSignal;
  /** Only these probes; default: all. */
  readonly only?: readonly ProbeName[] | undefined;
}

/** How far a one-shot look goes back in the kernel log. */
const lookBackMs = 24 * 3600 * 1000;

/** Looks at the host once. Takes no lock, writes nothing. */
export async function lookOnce(app: App, { signal, only }: LookOptions): Promise<LookResult> {
  const { view, problem } = openView(app);
  try {
    // Its place in the kernel log is the daemon's: this look goes back a day.
    const memory = withoutPlaces(view);
    const probes = createProbes(app, {
      roots: storageRoots(app),
      engines: monitorEngines(app, memory),
      memory,
      points: view?.points,
      writesLatency: false,
      kernelLookBackMs: lookBackMs,
      smartFromFile: false,
    }).filter((probe) => only === undefined || only.includes(probe.name));
    const alerts = view?.alerts.active() ?? [];
    const result = await runOnce(probes, {
      clock: app.system.clock,
      signal,
      rules: shippedRules,
      thresholds: monitorThresholds(app),
      alerts,
      acceptances: view?.alerts.acceptances() ?? new Map<string, Acceptance>(),
    });
    const wornOutInS = wearOf(result, view, app.system.clock.nowMs());
    return { ...result, alerts, wornOutInS, historyProblem: problem };
  } finally {
    view?.[Symbol.dispose]();
  }
}

const wearWindowMs = 30 * 86_400_000;

function wearOf(
  { samples }: OnceResult,
  view: HistoryView | undefined,
  nowMs: number,
): Map<string, number> {
  const found = new Map<string, number>();
  for (const { device } of samples.smart?.data?.disks ?? []) {
    const points = view?.points("smart_wear_ratio", { device }, nowMs - wearWindowMs) ?? [];
    const inS = estimateWornOut(points);
    if (inS !== null) found.set(device, inS);
  }
  return found;
}

function openView(app: App): { view: HistoryView | undefined; problem: string | undefined } {
  try {
    return { view: openHistoryForReading(historyPath(app)), problem: undefined };
  } catch (thrown) {
    // Without privilege it cannot be read; everything but trends works without.
    return { view: undefined, problem: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

function withoutPlaces(view: HistoryView | undefined) {
  if (view === undefined) return createVolatileMemory();
  const base = readOnlyMemory(view.memory);
  return {
    read: (key: string) => (key.endsWith(".place") ? undefined : base.read(key)),
    write: base.write,
  };
}
