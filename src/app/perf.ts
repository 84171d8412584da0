// `perf` for an App: what lies under a path, how much may be written, and the measurement.

import { CitadelError, type AbsolutePath } from "../core/index.ts";
import { findBacking } from "../host/block-devices.ts";
import { analyzePerf, type PerfReport, type StorageFacts } from "../monitor/perf/analyze.ts";
import { choosePerfSize } from "../monitor/perf/plan.ts";
import { measurePerf } from "../monitor/perf/run.ts";
import { mountOf, parseMountinfo, readText } from "../system/index.ts";
import { survey } from "../system/survey/index.ts";
import type { App } from "./app.ts";

export interface PerfRequest {
  readonly path: AbsolutePath;
  readonly sizeBytes?: number | undefined;
  readonly secondsEach: number;
  readonly signal: AbortSignal;
}

/**
 * Measures the storage under a directory. Never makes a path; what it writes has no name.
 * @throws `not-found`, `conflict` for no directory, `no-space` PERF_NO_SPACE, `timeout` for a dead mount
 */
export async function measureUnder(app: App, request: PerfRequest): Promise<PerfReport> {
  const { path, signal } = request;
  const [state, usage] = await survey(
    [
      { kind: "state", path },
      { kind: "usage", path },
    ],
    { signal },
  );
  const isDirectory =
    state?.kind === "state" &&
    (state.type === "directory" || (state.type === "link" && state.resolves === "directory"));
  if (state?.kind === "absent") throw notFound(path);
  if (state?.kind === "unknown" || usage?.kind === "unknown") throw silent(path);
  if (!isDirectory || usage?.kind !== "usage") throw notDirectory(path);
  const sizeBytes = choosePerfSize(path, usage.availableBytes, request.sizeBytes);
  const measured = await measurePerf(path, sizeBytes, request.secondsEach, signal);
  const facts = readFacts(app, path, measured.direct);
  const { monitoring } = app.settings;
  return {
    facts,
    sizeBytes,
    figures: measured.figures,
    analysis: analyzePerf(measured.figures, facts, {
      ioLatencyMs: monitoring.io_latency_threshold,
      throughputBytesPerS: monitoring.throughput_threshold * 1e6,
    }),
  };
}

/** By the running kernel's own tables, also below `--root`: it is the kernel that was measured. */
function readFacts({ system }: App, path: AbsolutePath, direct: boolean): StorageFacts {
  const { hostPaths } = system;
  const mounts = parseMountinfo(readText("/proc/self/mountinfo") ?? "");
  const paths = {
    proc: "/proc" as AbsolutePath,
    sys: "/sys" as AbsolutePath,
    real: hostPaths.real,
    host: (real: string) => real as AbsolutePath,
  };
  const backing = findBacking(paths, path, mounts);
  const mount = mountOf(mounts, path);
  return {
    path,
    direct,
    mountpoint: mount?.mountpoint ?? null,
    fstype: mount?.fstype ?? null,
    options: [...new Set([...(mount?.mountOptions ?? []), ...(mount?.superOptions ?? [])])],
    layers: [...new Set(backing.chain.map((device) => device.kind))],
    disks: backing.disks.map((disk) => ({
      name: disk.name,
      // A virtual disk says "rotating" whatever lies behind it.
      rotational: disk.transport === "virtio" ? null : (disk.rotational ?? null),
      transport: disk.transport,
      scheduler: disk.scheduler?.active ?? null,
      schedulers: disk.scheduler?.available ?? [],
    })),
  };
}

function notFound(path: string): CitadelError {
  return new CitadelError({
    kind: "not-found",
    code: "NOT_FOUND",
    message: `there is no ${path}`,
    path,
    hint: "give an existing directory: `perf` never makes one",
  });
}

function notDirectory(path: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "NOT_A_DIRECTORY",
    message: `not a directory: ${path}`,
    path,
    hint: "give a directory on the storage to be measured",
  });
}

function silent(path: string): CitadelError {
  return new CitadelError({
    kind: "timeout",
    code: "STORAGE_NOT_ANSWERING",
    message: `the storage under ${path} does not answer`,
    path,
    hint: "see `dmesg`, and `citadel-agent explain STORAGE_NOT_ANSWERING`",
  });
}
