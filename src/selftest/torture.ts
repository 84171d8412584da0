// Proof on the operator's own file system: the agent is run as a child in a scratch tree, killed at random moments,
// run again, and what is on disk is compared with what was promised. Nothing here looks inside the engines.

import { createRandom } from "../core/index.ts";
import { runDoomed, type DoomedRun } from "../system/doomed-process.ts";

export interface TortureOptions {
  /** An empty directory of our own; everything happens below it. */
  readonly scratch: string;
  /** The words that start the agent. */
  readonly agent: readonly string[];
  readonly seed: number;
  /** Kills per promise. */
  readonly rounds: number;
  readonly signal: AbortSignal;
  readonly onRound?: ((promise: string, round: number, rounds: number) => void) | undefined;
}

export interface PromiseReport {
  readonly promise: string;
  readonly rounds: number;
  /** How many of them were still running when they were killed. */
  readonly killed: number;
  /** How often something was looked at while it was being changed. */
  readonly reads: number;
  /** What was found against the promise; empty: kept. */
  readonly violations: readonly string[];
}

/** One run of the agent in the scratch tree. */
export type RunAgent = (
  args: readonly string[],
  run?: {
    readonly killAfterMs?: number | undefined;
    readonly environment?: Readonly<Record<string, string>> | undefined;
    readonly meanwhile?: (() => void) | undefined;
  },
) => Promise<DoomedRun>;

export interface Bench {
  readonly scratch: string;
  readonly run: RunAgent;
  readonly random: () => number;
  readonly rounds: number;
  readonly signal: AbortSignal;
  onRound(round: number): void;
}

const childTimeoutMs = 120_000;

/** The tools of one promise: a run of the agent below the scratch root, and the seeded moments. */
export function createBench(promise: string, options: TortureOptions): Bench {
  const { agent, scratch, seed, rounds, signal, onRound } = options;
  return {
    scratch,
    random: createRandom(seed),
    rounds,
    signal,
    onRound: (round) => onRound?.(promise, round, rounds),
    run: (args, { killAfterMs, environment, meanwhile } = {}) =>
      runDoomed([...agent, ...args, "--root", scratch], {
        killAfterMs,
        timeoutMs: childTimeoutMs,
        environment,
        meanwhile,
      }),
  };
}
