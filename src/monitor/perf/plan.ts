// What `perf` will do on a file system: how large, how long, in which order. Pure.

import { CitadelError, formatBytes } from "../../core/index.ts";
import type { PerfWorkload } from "../../system/perf-file.ts";

const kib = 1024;
const mib = 1024 * kib;
const defaultSizeBytes = 256 * mib;
/** Below this the figures mean nothing. */
export const leastSizeBytes = 16 * mib;
/** What is written may take at most this share of what is free. */
const shareOfFree = 8;

/**
 * How much to write.
 * @param wanted asked for with `--size`; undefined: 256 MiB, less where little is free
 * @throws kind `no-space`, code PERF_NO_SPACE
 */
export function choosePerfSize(path: string, availableBytes: number, wanted?: number): number {
  const most = Math.floor(availableBytes / (wanted === undefined ? shareOfFree : 2) / mib) * mib;
  const size = Math.min(wanted ?? defaultSizeBytes, most);
  if (size >= leastSizeBytes && (wanted === undefined || size === wanted)) return size;
  const needed = wanted === undefined ? leastSizeBytes * shareOfFree : wanted * 2;
  throw new CitadelError({
    kind: "no-space",
    code: "PERF_NO_SPACE",
    message: `too little is free to measure on ${path}: ${formatBytes(availableBytes)} are, ${formatBytes(needed)} are needed`,
    path,
    hint: "free space first: a measurement must not fill the disk",
  });
}

/** The workloads for a file of `sizeBytes`, each at most `secondsEach` long. */
export function planPerf(sizeBytes: number, secondsEach: number): PerfWorkload[] {
  const limitMs = secondsEach * 1000;
  const large = { blockBytes: 4 * mib, depth: 4, limitMs };
  const small = { blockBytes: 4 * kib, limitMs, limitOperations: 200_000 };
  return [
    // The whole file is written whatever it takes, or reads would meet holes; a child's deadline bounds it.
    {
      name: "sequential_write",
      ...large,
      limitMs: limitMs * 10,
      limitOperations: Math.floor(sizeBytes / large.blockBytes),
    },
    {
      name: "sequential_read",
      ...large,
      limitOperations: 4 * Math.floor(sizeBytes / large.blockBytes),
    },
    { name: "random_read", ...small, depth: 8 },
    { name: "random_write", ...small, depth: 8 },
    { name: "fsync", ...small, depth: 1, limitOperations: 1000 },
  ];
}

/** How long a whole run may take before it is cut off. */
export const perfDeadlineMs = (secondsEach: number) => secondsEach * 1000 * 14 + 20_000;
