// How long a small durable write and a direct read take on each root. Percentiles over the last hour of measures.
// A disk in standby is left alone, and nothing is written to a root that should be a mount and is none.

import { mountOf, parseMountinfo, readText, type HostPaths } from "../../system/index.ts";
import type { Percentiles, RootLatency, StorageRoot } from "../data.ts";
import type { LatencyAnswer, LatencySurvey } from "../latency-survey.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";

/** Nearest-rank percentiles; null without measures. */
export function percentilesOf(measuresMs: readonly number[]): Percentiles | null {
  if (measuresMs.length === 0) return null;
  const sorted = [...measuresMs].sort((a, b) => a - b);
  const rank = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return {
    count: sorted.length,
    p50Ms: rank(0.5),
    p95Ms: rank(0.95),
    p99Ms: rank(0.99),
    maxMs: sorted.at(-1) ?? 0,
  };
}

export interface LatencyProbeOptions {
  readonly intervalS: number;
  readonly roots: readonly StorageRoot[];
  readonly survey: LatencySurvey;
  readonly paths: Pick<HostPaths, "proc" | "host">;
  /** Whether the disk behind the root sleeps: asking must not wake it. */
  readonly isAsleep: (root: StorageRoot, signal: AbortSignal) => Promise<boolean>;
}

const rounds = 5;
// One hour at the default interval of 300 s.
const maxMeasures = 60;

export function createLatencyProbe(options: LatencyProbeOptions): Probe<"latency"> {
  const { roots, survey } = options;
  const kept = new Map<string, { write: number[]; read: number[] }>();
  return defineProbe({
    name: "latency",
    intervalS: options.intervalS,
    timeoutMs: 8000 * (roots.length + 1),
    async run(signal) {
      const results: RootLatency[] = [];
      for (const root of roots) {
        const absent = notMounted(root, options.paths);
        if (absent !== undefined) results.push(unavailable(root, "unavailable", absent));
        else if (await options.isAsleep(root, signal))
          results.push(unavailable(root, "asleep", "the disk is in standby: not woken"));
        else {
          results.push(measured(root, await survey(root.path, rounds, signal), kept));
        }
      }
      const failed = results.filter((result) => result.state === "unavailable");
      const note = failed.map((result) => `${result.path}: ${result.reason}`).join("; ");
      return {
        state: failed.length > 0 ? "unknown" : "ok",
        ...(note === "" ? {} : { note }),
        data: { roots: results },
        values: results.flatMap(latencyValues),
      };
    },
  });
}

function notMounted(
  root: StorageRoot,
  paths: Pick<HostPaths, "proc" | "host">,
): string | undefined {
  if (!root.requireMount) return undefined;
  const text = readText(`${paths.proc ?? "/proc"}/self/mountinfo`) ?? "";
  const mount = mountOf(parseMountinfo(text), paths.host(root.path));
  return mount === undefined || mount.mountpoint === "/" ? "not mounted" : undefined;
}

function unavailable(
  root: StorageRoot,
  state: "asleep" | "unavailable",
  reason: string,
): RootLatency {
  return { role: root.role, path: root.path, state, reason, write: null, read: null };
}

function measured(
  root: StorageRoot,
  answer: LatencyAnswer,
  kept: Map<string, { write: number[]; read: number[] }>,
): RootLatency {
  if (!answer.ok) return unavailable(root, "unavailable", answer.message);
  const history = kept.get(root.role) ?? { write: [], read: [] };
  history.write = [...history.write, ...answer.writeMs].slice(-maxMeasures);
  history.read = [...history.read, ...answer.readMs].slice(-maxMeasures);
  kept.set(root.role, history);
  return {
    role: root.role,
    path: root.path,
    state: "measured",
    reason: answer.buffered ? "no direct I/O here: reads may come from the cache" : null,
    write: percentilesOf(history.write),
    read: percentilesOf(history.read),
  };
}

function latencyValues(latency: RootLatency): Value[] {
  return (["write", "read"] as const).flatMap((operation) => {
    const measures = latency[operation];
    if (measures === null) return [];
    const labels = { root: latency.role, path: latency.path, operation };
    return [
      { series: "storage_latency_p50_seconds", labels, value: measures.p50Ms / 1000 },
      { series: "storage_latency_p95_seconds", labels, value: measures.p95Ms / 1000 },
      { series: "storage_latency_p99_seconds", labels, value: measures.p99Ms / 1000 },
    ];
  });
}
