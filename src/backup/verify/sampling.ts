// Which files a verification looks at when it does not look at all of them.

import { createRandom } from "../../core/index.ts";

/** @returns whether the file at this position (in manifest order, from 0) is to be checked */
export type Choice = (position: number) => boolean;

export const chooseAll: Choice = () => true;

/** How many files a rate stands for: at least one, none at rate 0. */
export function sampleSize(total: number, rate: number): number {
  return rate <= 0 || total === 0
    ? 0
    : Math.min(total, Math.max(1, Math.ceil(total * rate - 1e-9)));
}

/**
 * A random sample without repeats, the same for the same seed (selection sampling, Knuth 3.4.2 algorithm S).
 * Asked once for each position, in order.
 */
export function chooseRandom(total: number, rate: number, seed: number): Choice {
  const random = createRandom(seed);
  let wanted = sampleSize(total, rate);
  return (position) => {
    if (random() * (total - position) >= wanted) return false;
    wanted -= 1;
    return true;
  };
}

/**
 * Those verified longest ago: so many that a rate of 0.1, ten times, covers everything.
 * @param verifiedAt when each file was last verified, in manifest order, ms; 0 for never
 */
export function chooseOldest(verifiedAt: Float64Array, rate: number): Choice {
  const wanted = sampleSize(verifiedAt.length, rate);
  if (wanted === 0) return () => false;
  const sorted = verifiedAt.slice().sort();
  const threshold = sorted[wanted - 1] ?? 0;
  let before = 0; // how many are older than the threshold: the rest of the sample is taken at it, in order
  while ((sorted[before] ?? threshold) < threshold) before += 1;
  let atThreshold = wanted - before;
  return (position) => {
    const at = verifiedAt[position] ?? 0;
    if (at < threshold) return true;
    if (at > threshold || atThreshold === 0) return false;
    atThreshold -= 1;
    return true;
  };
}
