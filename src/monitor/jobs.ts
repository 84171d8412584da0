// Scheduled work of the daemon: looks when something falls due and starts it in a process of its own, so that a
// restart of the daemon neither kills nor doubles it. That process asks its own records what is due, so runs that
// were missed are made up for, whatever stopped the daemon or moved the clock.

import { messageOf } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import type { Notices } from "./notices.ts";

export interface Job {
  /** `backup`. */
  readonly name: string;
  /** Whether it is time to start it. Touches no storage root: one that hangs must not hang the daemon. */
  isDue(): boolean;
  /** Starts it and returns at once. @throws when it cannot be started */
  start(): Promise<void>;
}

export interface JobsOptions {
  readonly clock: Clock;
  readonly jobs: readonly Job[];
  readonly notices: Notices;
  readonly intervalS: number;
  readonly onStart?: ((job: string) => void) | undefined;
}

/** Not twice within this time: a job that just began has not recorded it yet. */
const pauseMs = 300_000;

/** Looks after the jobs until the signal aborts. */
export async function runJobs(options: JobsOptions, signal: AbortSignal): Promise<void> {
  const { clock, jobs, notices } = options;
  const startedAtMs = new Map<string, number>();
  while (!signal.aborted) {
    for (const job of jobs) {
      const before = startedAtMs.get(job.name);
      if (before !== undefined && clock.monotonicMs() - before < pauseMs) continue;
      try {
        if (!job.isDue()) continue;
        startedAtMs.set(job.name, clock.monotonicMs());
        await job.start();
        options.onStart?.(job.name);
        notices.clear("JOB_FAILED", { job: job.name });
      } catch (thrown) {
        notices.set({
          name: "JOB_FAILED",
          severity: "warning",
          labels: { job: job.name },
          summary: `the job ${job.name} cannot be started: ${messageOf(thrown)}`,
          advice: "run it by hand to see what it needs; `citadel-agent doctor`",
        });
      }
    }
    await clock.sleep(options.intervalS * 1000, signal);
  }
}
