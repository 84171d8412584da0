// Processor, memory and load of the host, from /proc.

import { readText, type Clock } from "../../system/index.ts";
import type { HostData } from "../data.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";

export interface CpuCounters {
  readonly total: number;
  readonly idle: number;
  readonly ioWait: number;
  readonly count: number;
}

/** Parses /proc/stat (proc_stat(5)); undefined without a `cpu` line. Guest time is part of user time already. */
export function parseCpuStat(text: string): CpuCounters | undefined {
  const line = /^cpu +([\d ]+)$/m.exec(text);
  if (line === null) return undefined;
  const fields = (line[1] ?? "").trim().split(/ +/).map(Number).slice(0, 8);
  if (fields.length < 4 || !fields.every(Number.isFinite)) return undefined;
  const count = text.match(/^cpu\d+ /gm)?.length ?? 0;
  const ioWait = fields[4] ?? 0;
  return {
    total: fields.reduce((a, b) => a + b, 0),
    idle: (fields[3] ?? 0) + ioWait,
    ioWait,
    count: Math.max(1, count),
  };
}

/** Share of time busy between two looks; null when no time passed or a counter went back (seen on idle VMs). */
export function cpuUsage(before: CpuCounters, after: CpuCounters): number | null {
  const total = after.total - before.total;
  const idle = after.idle - before.idle;
  if (total <= 0 || idle < 0) return null;
  return Math.min(1, Math.max(0, (total - idle) / total));
}

export interface MemoryCounters {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
}

/** Parses /proc/meminfo; before Linux 3.14 there is no MemAvailable, and free + cached stands for it. */
export function parseMeminfo(text: string): MemoryCounters | undefined {
  const kib = (name: string) => {
    const match = new RegExp(`^${name}: +(\\d{1,15}) kB$`, "m").exec(text);
    return match === null ? undefined : Number(match[1]) * 1024;
  };
  const totalBytes = kib("MemTotal");
  if (totalBytes === undefined || totalBytes === 0) return undefined;
  const older = (kib("MemFree") ?? 0) + (kib("Buffers") ?? 0) + (kib("Cached") ?? 0);
  return {
    totalBytes,
    availableBytes: Math.min(totalBytes, kib("MemAvailable") ?? older),
    swapTotalBytes: kib("SwapTotal") ?? 0,
    swapFreeBytes: kib("SwapFree") ?? 0,
  };
}

/** Parses /proc/loadavg: the three averages. */
export function parseLoadavg(text: string): readonly [number, number, number] | undefined {
  const match = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) /.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

export interface HostProbeOptions {
  readonly intervalS: number;
  readonly clock: Clock;
  readonly procPath: string | undefined;
  readonly firstWindowMs?: number | undefined;
}

export function createHostProbe(options: HostProbeOptions): Probe<"host"> {
  const { clock, procPath } = options;
  let before: CpuCounters | undefined;
  const look = () => parseCpuStat(readText(`${procPath}/stat`) ?? "");
  return defineProbe({
    name: "host",
    intervalS: options.intervalS,
    timeoutMs: 10_000,
    async run(signal) {
      if (procPath === undefined)
        return {
          state: "not_applicable",
          note: "no /proc below this root",
          data: null,
          values: [],
        };
      if (before === undefined) {
        before = look();
        await clock.sleep(options.firstWindowMs ?? 500, signal);
      }
      const after = look();
      const memory = parseMeminfo(readText(`${procPath}/meminfo`) ?? "");
      const load = parseLoadavg(readText(`${procPath}/loadavg`) ?? "");
      if (after === undefined || memory === undefined || load === undefined)
        return { state: "unknown", note: "/proc cannot be read", data: null, values: [] };
      const data = toHostData(before, after, memory, load, readText(`${procPath}/uptime`));
      before = after;
      return { state: "ok", data, values: hostValues(data) };
    },
  });
}

function toHostData(
  before: CpuCounters | undefined,
  after: CpuCounters,
  memory: MemoryCounters,
  load: readonly [number, number, number],
  uptime: string | undefined,
): HostData {
  const total = before === undefined ? 0 : after.total - before.total;
  const waited = before === undefined ? 0 : after.ioWait - before.ioWait;
  const uptimeS = Number.parseFloat(uptime ?? "");
  return {
    cpuUsage: before === undefined ? null : cpuUsage(before, after),
    ioWaitRatio: total > 0 && waited >= 0 ? Math.min(1, waited / total) : null,
    cpuCount: after.count,
    load1: load[0],
    load5: load[1],
    load15: load[2],
    memoryTotalBytes: memory.totalBytes,
    memoryAvailableBytes: memory.availableBytes,
    memoryUsage: (memory.totalBytes - memory.availableBytes) / memory.totalBytes,
    swapTotalBytes: memory.swapTotalBytes,
    swapFreeBytes: memory.swapFreeBytes,
    uptimeS: Number.isFinite(uptimeS) ? uptimeS : null,
  };
}

function hostValues(data: HostData): Value[] {
  const numbers: Record<string, number | null> = {
    cpu_usage_ratio: data.cpuUsage,
    cpu_iowait_ratio: data.ioWaitRatio,
    load1: data.load1,
    memory_available_bytes: data.memoryAvailableBytes,
    memory_total_bytes: data.memoryTotalBytes,
    memory_usage_ratio: data.memoryUsage,
  };
  return Object.entries(numbers).flatMap(([series, value]) =>
    value === null ? [] : [{ series, labels: {}, value }],
  );
}
