// The monitor's parts for an App: probes, thresholds, where the history lies. The daemon and the commands that look
// once build the same probes from here.

import { joinPath, type AbsolutePath } from "../core/index.ts";
import { createAgentProbe, type AgentFacts } from "../monitor/probes/agent.ts";
import {
  createBackupsProbe,
  createLinksProbe,
  createModelsProbe,
  type EngineLook,
} from "../monitor/probes/engines.ts";
import { createGpuProbe } from "../monitor/probes/gpu.ts";
import { createHostProbe } from "../monitor/probes/host.ts";
import { createIoProbe } from "../monitor/probes/io.ts";
import { createKernelProbe } from "../monitor/probes/kernel.ts";
import { createLatencyProbe } from "../monitor/probes/latency.ts";
import { createMountsProbe } from "../monitor/probes/mounts.ts";
import { createServicesProbe } from "../monitor/probes/services.ts";
import { createSmartProbe } from "../monitor/probes/smart.ts";
import { createSpaceProbe } from "../monitor/probes/space.ts";
import type {
  BackupsData,
  LinksData,
  ModelsData,
  RootSpace,
  StorageRoot,
} from "../monitor/data.ts";
import { createLatencySurvey } from "../monitor/latency-survey.ts";
import { openKernelCursor, openKernelFeed } from "../monitor/kernel-records.ts";
import { createVolatileMemory, type Memory } from "../monitor/memory.ts";
import type { AnyProbe } from "../monitor/probe.ts";
import type { Thresholds } from "../monitor/rule.ts";
import type { Labels } from "../monitor/sample.ts";
import { smartFileName } from "../monitor/smart/file.ts";
import { createSleepCheck } from "../monitor/standby.ts";
import { createToolRunner } from "../monitor/tool.ts";
import { kernelDevices, readTopology } from "../monitor/topology.ts";
import { estimateTrend, type Point } from "../monitor/trend.ts";
import { systemConnector } from "../system/connect.ts";
import { hasPciDisplay } from "../system/pci.ts";
import { readText } from "../system/index.ts";
import { survey } from "../system/survey/index.ts";
import type { App } from "./app.ts";
import { statePlaces } from "./transaction.ts";

/** What other engines say; undefined: this build or host has none, and the probe does not apply. */
export interface MonitorEngines {
  readonly links?: EngineLook<LinksData> | undefined;
  readonly models?: EngineLook<ModelsData> | undefined;
  readonly backups?: EngineLook<BackupsData> | undefined;
  /** Bytes known to come to a root: running downloads and backups. */
  readonly comingBytes?: ((root: StorageRoot) => number) | undefined;
}

export interface ProbesOptions {
  readonly roots: readonly StorageRoot[];
  readonly engines: MonitorEngines;
  /** What probes remember; default: nothing beyond this process. */
  readonly memory?: Memory | undefined;
  /** Past values for trends. */
  readonly points?: ((series: string, labels: Labels, sinceMs: number) => Point[]) | undefined;
  /** The daemon's own facts; without them there is no agent probe. */
  readonly agent?:
    { readonly startedMonotonicMs: number; readonly facts: () => AgentFacts } | undefined;
  /** The latency probe writes to the roots: the daemon does, commands that only look do not. */
  readonly writesLatency: boolean;
  /** How far a first look at the kernel log goes back. */
  readonly kernelLookBackMs: number;
  /** Take SMART values from the smart service's file where there is one. */
  readonly smartFromFile: boolean;
  /** PATH for smartctl and nvidia-smi; default: the fixed one. */
  readonly toolPath?: string | undefined;
}

const latencyIntervalS = 300;
const contentIntervalS = 300;
const gpuIntervalS = 60;
const toolTimeoutMs = 20_000;
const dayMs = 86_400_000;
const trendAgeMs = 300_000;

/** The limits of the settings, in the units of the rules. */
export function monitorThresholds({ settings }: App): Thresholds {
  const { monitoring } = settings;
  return {
    diskUsageWarning: monitoring.disk_usage_warning,
    diskUsageCritical: monitoring.disk_usage_critical,
    inodeUsageWarning: monitoring.inode_usage_warning,
    cpuUsageWarning: monitoring.cpu_usage_warning,
    memoryUsageWarning: monitoring.memory_usage_warning,
    gpuMemoryWarning: monitoring.gpu_memory_warning,
    gpuTemperatureCriticalC: monitoring.gpu_temperature_critical,
    ioLatencyMs: monitoring.io_latency_threshold,
    throughputBytesPerS: monitoring.throughput_threshold * 1e6,
  };
}

/** `<state>/history.db` of whoever calls. */
export function historyPath({ system, settings }: App): AbsolutePath {
  return joinPath(statePlaces(system, settings.agent.state_dir).stateDir, "history.db");
}

/** Every probe of the table in spec/monitor.md, with the intervals of the settings. */
export function createProbes(app: App, options: ProbesOptions): AnyProbe[] {
  const { system, settings } = app;
  const { clock, hostPaths } = system;
  const { monitoring, symlinks } = settings;
  const { roots, engines } = options;
  const intervalS = monitoring.check_interval;
  const memory = options.memory ?? createVolatileMemory();
  const tool = createToolRunner({ timeoutMs: toolTimeoutMs, path: options.toolPath });
  const topology = rememberTopology(app, roots);
  const models = remembering(engines.models);
  const probes: AnyProbe[] = [
    createMountsProbe({ intervalS, paths: hostPaths, roots }),
    createSpaceProbe({
      intervalS,
      roots,
      survey,
      paths: hostPaths,
      trend: options.points === undefined ? undefined : createTrends(app, options.points),
      comingBytes: engines.comingBytes,
    }),
    createIoProbe({
      intervalS,
      clock,
      procPath: hostPaths.proc,
      disks: () => topology().map(({ name, roots: on }) => ({ name, roots: on })),
    }),
    createSmartProbe({
      intervalS: monitoring.smart_check_interval,
      enabled: monitoring.enable_smart_checks,
      tool,
      memory,
      clock,
      // Below --root the disks are those of a tree, not of the running kernel.
      targets: () => (hostPaths.relocated ? [] : readTopology(hostPaths, roots).map(toSmartTarget)),
      file: options.smartFromFile
        ? () => readText(joinPath(hostPaths.runtimeDir, smartFileName))
        : undefined,
    }),
    createLinksProbe({ intervalS: symlinks.health_check_interval, look: engines.links }),
    createModelsProbe({ intervalS: contentIntervalS, look: models?.look }),
    createBackupsProbe({ intervalS: contentIntervalS, look: engines.backups }),
    createHostProbe({ intervalS, clock, procPath: hostPaths.proc }),
    ...kernelAndGpu(app, { ...options, memory, tool, topology }),
  ];
  if (!hostPaths.relocated)
    probes.push(
      createServicesProbe({
        intervalS,
        services: Object.entries(monitoring.model_ports).map(([name, port]) => ({ name, port })),
        connector: systemConnector,
        memory,
        isExpected: (name) => monitoring.expect_services && holdsModel(app, name, models?.last()),
      }),
    );
  if (options.writesLatency)
    probes.push(
      createLatencyProbe({
        intervalS: latencyIntervalS,
        roots,
        survey: createLatencySurvey(),
        paths: hostPaths,
        isAsleep: createSleepCheck(tool, (root) => readTopology(hostPaths, [root])),
      }),
    );
  if (options.agent !== undefined)
    probes.push(
      createAgentProbe({ intervalS, clock, pid: system.environment.pid, ...options.agent }),
    );
  return probes;
}

const topologyAgeMs = 300_000;

/**
 * The disks behind the roots, looked up again when the mount table is another, or after five minutes: walking /sys
 * was a third of the daemon's processor time.
 */
function rememberTopology({ system }: App, roots: readonly StorageRoot[]) {
  const { clock, hostPaths } = system;
  let known:
    | { atMs: number; mounts: string | undefined; disks: ReturnType<typeof readTopology> }
    | undefined;
  return () => {
    const atMs = clock.monotonicMs();
    const { proc } = hostPaths;
    const mounts = proc === undefined ? undefined : readText(joinPath(proc, "self/mountinfo"));
    if (known === undefined || known.mounts !== mounts || atMs - known.atMs > topologyAgeMs)
      known = { atMs, mounts, disks: readTopology(hostPaths, roots) };
    return known.disks;
  };
}

interface KernelAndGpu extends Pick<ProbesOptions, "kernelLookBackMs"> {
  readonly memory: Memory;
  readonly tool: ReturnType<typeof createToolRunner>;
  readonly topology: () => ReturnType<typeof readTopology>;
}

function kernelAndGpu({ system, settings }: App, options: KernelAndGpu): AnyProbe[] {
  const { hostPaths } = system;
  const { proc, sys } = hostPaths;
  // The kernel log and the GPUs are the running host's, never those of a tree below --root.
  if (hostPaths.relocated || proc === undefined || sys === undefined) return [];
  const feed = openKernelFeed(joinPath(hostPaths.dev, "kmsg"));
  const cursorOf = (key: string) =>
    openKernelCursor({
      feed,
      procPath: proc,
      memory: options.memory,
      key,
      lookBackMs: options.kernelLookBackMs,
    });
  return [
    createKernelProbe({
      intervalS: settings.monitoring.check_interval,
      cursor: cursorOf("kernel.place"),
      devices: () => kernelDevices(options.topology()),
    }),
    createGpuProbe({
      intervalS: gpuIntervalS,
      tool: options.tool,
      memory: options.memory,
      cursor: cursorOf("gpu.place"),
      hasDevice: () => hasPciDisplay(sys, "0x10de"),
    }),
  ];
}

function toSmartTarget({ disk, roots }: ReturnType<typeof readTopology>[number]) {
  return {
    device: `/dev/${disk.name}`,
    roots,
    serial: disk.serial ?? disk.wwn ?? null,
    model: disk.model ?? null,
  };
}

/** The trend of a root, computed anew every five minutes: the fit reads a week of roll-ups. */
function createTrends({ system }: App, points: NonNullable<ProbesOptions["points"]>) {
  const { clock } = system;
  const cache = new Map<string, { readonly atMs: number; readonly used: readonly Point[] }>();
  return (space: RootSpace) => {
    if (space.availableBytes === null) return null;
    const nowMs = clock.nowMs();
    let known = cache.get(space.role);
    if (known === undefined || Math.abs(nowMs - known.atMs) >= trendAgeMs) {
      const labels = { root: space.role, path: space.path };
      known = { atMs: nowMs, used: points("storage_used_bytes", labels, nowMs - 7 * dayMs) };
      cache.set(space.role, known);
    }
    return estimateTrend({
      used: known.used,
      availableBytes: space.availableBytes,
      comingBytes: space.comingBytes,
      nowMs,
    });
  };
}

/** Keeps the last answer of a look, for whoever needs it between. */
function remembering<T>(look: EngineLook<T> | undefined) {
  if (look === undefined) return undefined;
  let last: T | null = null;
  return {
    last: () => last,
    look: async (signal: AbortSignal) => {
      last = await look(signal);
      return last;
    },
  };
}

/** Whether the model behind a service's alias lies on the disk. */
function holdsModel(
  { settings }: App,
  alias: string,
  models: ModelsData | null | undefined,
): boolean {
  const key = settings.models.convenience_links[alias] ?? alias;
  return (
    models?.models.some(
      (model) => model.key === key && model.state !== "empty" && model.state !== "missing",
    ) ?? false
  );
}
