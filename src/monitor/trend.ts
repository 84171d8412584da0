// Growth and time to full from past values: the median of slopes (Theil-Sen), which a burst or a clean-up does not
// bend, with Sen's interval. Pure.

import type { SpaceTrend } from "./data.ts";

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

export interface Slope {
  /** Units per second. */
  readonly perS: number;
  /** Bounds of the 90 % interval. */
  readonly lowPerS: number;
  readonly highPerS: number;
  readonly spanS: number;
}

const hourS = 3600;
const dayS = 24 * hourS;
/** No statement before the history spans this (spec/monitor.md). */
export const leastSpanS = hourS;
// Normal quantile for a two-sided interval of 90 %.
const z90 = 1.6449;
// 1,770 pairs: a fit costs well under a millisecond.
const maxPoints = 60;

/**
 * Fits a line: the median of the slopes of all pairs.
 * @see Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968, for the interval
 * @returns undefined below three points or without a span
 */
export function fitSlope(points: readonly Point[]): Slope | undefined {
  const thin = thinOut(points);
  const n = thin.length;
  const first = thin[0];
  const last = thin.at(-1);
  if (n < 3 || first === undefined || last === undefined || last.atMs <= first.atMs)
    return undefined;
  const slopes: number[] = [];
  for (const [at, a] of thin.entries()) {
    for (const b of thin.slice(at + 1)) {
      if (b.atMs > a.atMs) slopes.push(((b.value - a.value) * 1000) / (b.atMs - a.atMs));
    }
  }
  slopes.sort((a, b) => a - b);
  const spread = z90 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const at = (index: number) =>
    slopes[Math.min(slopes.length - 1, Math.max(0, Math.round(index)))] ?? 0;
  return {
    perS: median(slopes),
    lowPerS: at((slopes.length - spread) / 2 - 1),
    highPerS: at((slopes.length + spread) / 2),
    spanS: (last.atMs - first.atMs) / 1000,
  };
}

function median(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

/** At most `maxPoints`, evenly by index, the newest always among them. */
function thinOut(points: readonly Point[]): readonly Point[] {
  if (points.length <= maxPoints) return points;
  const step = (points.length - 1) / (maxPoints - 1);
  return Array.from({ length: maxPoints }, (_, at) => points[Math.round(at * step)]).filter(
    (point) => point !== undefined,
  );
}

/** Windows that are fitted: a fast fill shows in the short one, slow growth in the long one. */
const windowsS = [3 * hourS, dayS, 7 * dayS];

export interface TrendInput {
  /** Used bytes over time, oldest first. */
  readonly used: readonly Point[];
  readonly availableBytes: number;
  /** Bytes known to come, less what retention frees. */
  readonly comingBytes: number;
  readonly nowMs: number;
}

/**
 * Estimates growth and time to full. While bytes are known to come, short windows are not extrapolated: what they
 * show is that download or backup, and it ends. Null members before the history spans an hour.
 */
export function estimateTrend({
  used,
  availableBytes,
  comingBytes,
  nowMs,
}: TrendInput): SpaceTrend {
  const first = used[0];
  const historySpanS = first === undefined ? 0 : Math.max(0, (nowMs - first.atMs) / 1000);
  const none = { growthBytesPerDay: null, fullInS: null, fullInLowS: null, fullInHighS: null };
  if (historySpanS < leastSpanS) return { ...none, historySpanS };
  const fits = windowsS.flatMap((windowS) => {
    const fit = fitSlope(used.filter((point) => point.atMs >= nowMs - windowS * 1000));
    return fit === undefined || fit.spanS < leastSpanS * 0.9 ? [] : [{ windowS, ...fit }];
  });
  const longest = fits.at(-1);
  if (longest === undefined) return { ...none, historySpanS };
  const leftBytes = availableBytes - Math.max(0, comingBytes);
  const usable = comingBytes > 0 && leftBytes > 0 ? fits.filter((f) => f.windowS >= dayS) : fits;
  // Only growth that is there for certain: an interval that holds zero says nothing.
  const growing = usable.filter((fit) => fit.lowPerS > 0);
  const soonest = growing.sort((a, b) => b.perS - a.perS)[0];
  const growthBytesPerDay = longest.perS * dayS;
  if (leftBytes <= 0)
    return { growthBytesPerDay, fullInS: 0, fullInLowS: 0, fullInHighS: 0, historySpanS };
  if (soonest === undefined) return { ...none, growthBytesPerDay, historySpanS };
  return {
    growthBytesPerDay,
    fullInS: leftBytes / soonest.perS,
    fullInLowS: leftBytes / soonest.highPerS,
    fullInHighS: leftBytes / soonest.lowPerS,
    historySpanS,
  };
}

/** Wear moves slowly: below a week of history its slope is noise. */
const leastWearSpanS = 7 * dayS;

/**
 * When a disk's rated endurance will be used up at its present wear.
 * @param wear share used over time, oldest first
 * @returns seconds from now; null below a week of history or where it does not grow for certain
 */
export function estimateWornOut(wear: readonly Point[]): number | null {
  const fit = fitSlope(wear);
  const now = wear.at(-1)?.value;
  if (fit === undefined || now === undefined || fit.spanS < leastWearSpanS) return null;
  return fit.lowPerS > 0 ? Math.max(0, 1 - now) / fit.perS : null;
}
