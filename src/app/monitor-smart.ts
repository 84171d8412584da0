// What citadel-agent-smart.service does: asks the disks once and leaves the answer for the sandboxed daemon. It runs
// outside of the daemon's sandbox, so it does nothing else.

import { joinPath, type AbsolutePath } from "../core/index.ts";
import { openHistory } from "../monitor/history.ts";
import type { Probe } from "../monitor/probe.ts";
import { createProbeRunner } from "../monitor/run-probe.ts";
import type { Sample } from "../monitor/sample.ts";
import { formatSmartFile, smartFileName } from "../monitor/smart/file.ts";
import { makeDirectories, writeFileAtomic } from "../system/index.ts";
import type { App } from "./app.ts";
import { storageRoots } from "./monitor-engines.ts";
import { createProbes, historyPath } from "./monitor.ts";

/** `/run/citadel-agent/smart.json`. */
export function smartFilePath(app: App): AbsolutePath {
  return joinPath(app.system.hostPaths.runtimeDir, smartFileName);
}

/** Asks every disk behind the storage roots and writes the file (0644, atomic). @returns what was found */
export async function refreshSmartFile(app: App, signal: AbortSignal): Promise<Sample<"smart">> {
  const { monitoring } = app.settings;
  // The disks seen before are remembered here: the daemon reads the file and remembers nothing of them.
  using history = openHistory({
    path: historyPath(app),
    clock: app.system.clock,
    metricsRetentionDays: monitoring.metrics_retention_days,
    alertsRetentionDays: monitoring.alerts_retention_days,
  });
  const probe = createProbes(app, {
    roots: storageRoots(app),
    engines: {},
    memory: history.memory,
    writesLatency: false,
    kernelLookBackMs: 0,
    smartFromFile: false,
  }).find((each) => each.name === "smart") as Probe<"smart">;
  const sample = await createProbeRunner(probe, app.system.clock).run(signal);
  makeDirectories(app.system.hostPaths.runtimeDir, 0o755);
  const reading = {
    state: sample.data === null && sample.state !== "not_applicable" ? "unknown" : sample.state,
    note: sample.note,
    data: sample.data,
    values: [],
  } as Parameters<typeof formatSmartFile>[0];
  writeFileAtomic(smartFilePath(app), formatSmartFile(reading, sample.measuredAtMs));
  return sample;
}
