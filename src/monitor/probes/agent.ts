// The agent itself: processor time, memory, queues, the last error of each probe.

import { listDirectory, readText, type Clock } from "../../system/index.ts";
import type { AgentData } from "../data.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";

/** What the loop knows about itself. */
export interface AgentFacts {
  readonly queues: Readonly<Record<string, number>>;
  readonly probeErrors: AgentData["probeErrors"];
  readonly restartedUncleanly: boolean;
  readonly historyProblem: string | null;
  readonly notices: AgentData["notices"];
}

export interface AgentProbeOptions {
  readonly intervalS: number;
  readonly clock: Clock;
  readonly pid: number;
  readonly startedMonotonicMs: number;
  readonly facts: () => AgentFacts;
  /** The real /proc, whatever `--root` says: it is about this process. */
  readonly procPath?: string | undefined;
}

/** Parses /proc/PID/status: resident and anonymous memory in bytes. */
export function parseProcessStatus(text: string): {
  readonly rssBytes: number | null;
  readonly anonymousBytes: number | null;
} {
  const kib = (name: string) => {
    const match = new RegExp(`^${name}:\\s+(\\d{1,15}) kB$`, "m").exec(text);
    return match === null ? null : Number(match[1]) * 1024;
  };
  return { rssBytes: kib("VmRSS"), anonymousBytes: kib("RssAnon") };
}

/** Parses /proc/PID/stat: user and system time in clock ticks (USER_HZ, 100 on Linux). */
export function parseProcessTicks(text: string): number | undefined {
  // The name in parentheses may hold anything, parentheses and blanks included.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return text.includes(")") && Number.isFinite(ticks) ? ticks : undefined;
}

const ticksPerS = 100;

export function createAgentProbe(options: AgentProbeOptions): Probe<"agent"> {
  const { clock, pid } = options;
  const base = `${options.procPath ?? "/proc"}/${pid}`;
  let before: { readonly ticks: number; readonly atMs: number } | undefined;
  return defineProbe({
    name: "agent",
    intervalS: options.intervalS,
    timeoutMs: 5000,
    async run() {
      const atMs = clock.monotonicMs();
      const ticks = parseProcessTicks(readText(`${base}/stat`) ?? "");
      const status = parseProcessStatus(readText(`${base}/status`) ?? "");
      const spanS = before === undefined ? 0 : (atMs - before.atMs) / 1000;
      const data: AgentData = {
        pid,
        uptimeS: (atMs - options.startedMonotonicMs) / 1000,
        cpuUsage:
          before === undefined || ticks === undefined || spanS <= 0
            ? null
            : (ticks - before.ticks) / ticksPerS / spanS,
        ...status,
        openFiles: listDirectory(`${base}/fd`)?.length ?? null,
        ...options.facts(),
      };
      if (ticks !== undefined) before = { ticks, atMs };
      return { state: "ok", data, values: agentValues(data) };
    },
  });
}

function agentValues(data: AgentData): Value[] {
  const numbers: Record<string, number | null> = {
    agent_cpu_ratio: data.cpuUsage,
    agent_resident_memory_bytes: data.rssBytes,
    agent_anonymous_memory_bytes: data.anonymousBytes,
    agent_open_files: data.openFiles,
    agent_uptime_seconds: data.uptimeS,
  };
  return [
    ...Object.entries(numbers).flatMap(([series, value]) =>
      value === null ? [] : [{ series, labels: {}, value }],
    ),
    ...Object.entries(data.queues).map(([queue, value]) => ({
      series: "agent_queue_length",
      labels: { queue },
      value,
    })),
  ];
}
