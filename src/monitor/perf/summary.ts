// The figures of one workload: percentiles, rates. Pure.

import type { PerfResult, PerfWorkloadName } from "../../system/perf-file.ts";

export interface PerfFigures {
  readonly name: PerfWorkloadName;
  readonly block_bytes: number;
  readonly depth: number;
  readonly operations: number;
  readonly bytes: number;
  readonly duration_s: number;
  readonly iops: number;
  readonly bytes_per_s: number;
  readonly latency: {
    readonly p50_s: number;
    readonly p95_s: number;
    readonly p99_s: number;
    readonly max_s: number;
  };
}

/** Nearest-rank percentiles of sorted latencies, and rates over the whole time. */
export function summarize(result: PerfResult): PerfFigures {
  const { latenciesMs, operations, bytes, durationMs } = result;
  const rank = (share: number) =>
    (latenciesMs[Math.max(0, Math.ceil(share * latenciesMs.length) - 1)] ?? 0) / 1000;
  const seconds = Math.max(durationMs, 0.001) / 1000;
  return {
    name: result.name,
    block_bytes: result.blockBytes,
    depth: result.depth,
    operations,
    bytes,
    duration_s: seconds,
    iops: operations / seconds,
    bytes_per_s: bytes / seconds,
    latency: { p50_s: rank(0.5), p95_s: rank(0.95), p99_s: rank(0.99), max_s: rank(1) },
  };
}
