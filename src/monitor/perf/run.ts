// Measures the storage under a path through the child, within a deadline, and reads what it said.

import * as v from "valibot";
import { CitadelError, type ErrorKind } from "../../core/index.ts";
import { runProcess, selfCommand } from "../../system/index.ts";
import { perfDeadlineMs } from "./plan.ts";
import type { PerfFigures } from "./summary.ts";

export interface PerfMeasurement {
  readonly direct: boolean;
  readonly figures: readonly PerfFigures[];
}

const finite = v.pipe(v.number(), v.finite());
const figuresSchema = v.object({
  name: v.picklist(["sequential_write", "sequential_read", "random_read", "random_write", "fsync"]),
  block_bytes: finite,
  depth: finite,
  operations: finite,
  bytes: finite,
  duration_s: finite,
  iops: finite,
  bytes_per_s: finite,
  latency: v.object({ p50_s: finite, p95_s: finite, p99_s: finite, max_s: finite }),
});
const lineSchema = v.union([
  v.object({ result: figuresSchema }),
  v.object({ done: v.object({ direct: v.boolean() }) }),
  v.object({
    error: v.object({
      kind: v.string(),
      code: v.string(),
      message: v.string(),
      hint: v.optional(v.string()),
    }),
  }),
]);

/**
 * @param secondsEach time for each workload
 * @throws kinds of the measurement (`read-only`, `no-space`, `permission`); `timeout`, code PERF_TIMEOUT
 */
export async function measurePerf(
  directory: string,
  sizeBytes: number,
  secondsEach: number,
  signal: AbortSignal,
): Promise<PerfMeasurement> {
  const timeoutMs = perfDeadlineMs(secondsEach);
  const run = await runProcess(
    [...selfCommand(), "__child", "perf", directory, String(sizeBytes), String(secondsEach)],
    { timeoutMs, signal },
  );
  if (signal.aborted)
    throw new CitadelError({
      kind: "cancelled",
      code: "CANCELLED",
      message: "the measurement was interrupted; nothing is left behind",
    });
  const figures: PerfFigures[] = [];
  for (const text of run.stdout.split("\n")) {
    const line = v.safeParse(lineSchema, parseLine(text));
    if (!line.success) continue;
    if ("result" in line.output) figures.push(line.output.result);
    else if ("done" in line.output) return { direct: line.output.done.direct, figures };
    else throw toError(line.output.error, directory);
  }
  throw new CitadelError({
    kind: run.timedOut ? "timeout" : "io",
    code: run.timedOut ? "PERF_TIMEOUT" : "PERF_FAILED",
    message: run.timedOut
      ? `the storage under ${directory} did not finish within ${timeoutMs / 1000} s`
      : `the measurement ended early: ${run.stderr.trim().split("\n")[0] ?? run.signal ?? ""}`,
    path: directory,
    hint: "see `dmesg` for errors of the disk",
  });
}

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // cut off: what is missing is said by the missing `done`
  }
}

function toError(
  error: { kind: string; code: string; message: string; hint?: string | undefined },
  path: string,
): CitadelError {
  return new CitadelError({ ...error, kind: error.kind as ErrorKind, path });
}
