// The loop of the daemon: one schedule, deadline and state per probe. Each probe runs on its own; one that hangs is
// cut off by its runner and never delays another. Judging and the alerts follow each sample at once.

import type { Clock } from "../system/index.ts";
import type { AlertTransition } from "./alert.ts";
import type { AlertKeeper } from "./alert-keeper.ts";
import type { History } from "./history.ts";
import type { AnyProbe, Probe } from "./probe.ts";
import { createProbeRunner } from "./run-probe.ts";
import type { ProbeName, Sample, Samples } from "./sample.ts";

export interface LoopOptions {
  readonly clock: Clock;
  readonly probes: readonly AnyProbe[];
  readonly history: Pick<History, "record">;
  readonly keeper: AlertKeeper;
  /** After each sample, judged, with the alert transitions that came of it. Must not throw. */
  readonly onSample?:
    ((sample: Sample, transitions: readonly AlertTransition[]) => void) | undefined;
}

/** What is known of one probe. */
export interface ProbeState {
  readonly name: ProbeName;
  readonly intervalS: number;
  readonly runs: number;
  readonly failures: number;
  readonly consecutiveFailures: number;
  readonly lastError: {
    readonly code: string;
    readonly message: string;
    readonly atMs: number;
  } | null;
}

export interface MonitorLoop {
  /** Runs until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** The latest sample of each probe that is not older than two of its intervals. */
  samples(): Samples;
  /** Every probe has given a sample. */
  readonly ready: boolean;
  /** Resolves when `ready` becomes true, or the loop ends. */
  readonly firstRound: Promise<void>;
  /** Whether each probe still keeps its schedule: what the watchdog is fed by. */
  isTurning(): boolean;
  /** Runs a probe now, beside its schedule. */
  runNow(name: ProbeName): void;
  states(): ProbeState[];
}

/** How late a probe may be beyond its deadline before the loop counts as stuck. */
const slackMs = 30_000;

/** Creates the loop; nothing runs yet. */
export function createMonitorLoop(options: LoopOptions): MonitorLoop {
  const { clock, probes } = options;
  const round = Promise.withResolvers<void>();
  const schedules = probes.map((probe) => createSchedule(probe as Probe, options, onSample));
  const isReady = () => schedules.every((schedule) => schedule.latest !== undefined);
  function onSample() {
    if (isReady()) round.resolve();
  }
  return {
    async run(signal) {
      await Promise.all(schedules.map((schedule) => schedule.run(signal)));
      round.resolve();
    },
    samples: () =>
      Object.fromEntries(
        schedules
          .filter((schedule) => schedule.isCurrent())
          .map(({ probe, latest }) => [probe.name, latest?.sample]),
      ) as Samples,
    get ready() {
      return isReady();
    },
    firstRound: round.promise,
    isTurning: () => schedules.every((schedule) => clock.monotonicMs() <= schedule.lateAtMs),
    runNow: (name) => schedules.find(({ probe }) => probe.name === name)?.wake(),
    states: () => schedules.map((schedule) => schedule.state()),
  };
}

interface Latest {
  readonly sample: Sample;
  readonly atMonotonicMs: number;
}

function createSchedule(probe: Probe, options: LoopOptions, onSample: () => void) {
  const { clock } = options;
  const runner = createProbeRunner(probe, clock);
  const intervalMs = probe.intervalS * 1000;
  const counts = { runs: 0, failures: 0, consecutiveFailures: 0 };
  let lastError: ProbeState["lastError"] = null;
  let latest: Latest | undefined;
  let lateAtMs = Number.POSITIVE_INFINITY;
  let waker = new AbortController();
  let wanted = false;
  /** Something new has to prove itself: the next look comes after half an interval, so that it fires within two. */
  let isSuspicious = false;

  const once = async (signal: AbortSignal) => {
    lateAtMs = clock.monotonicMs() + probe.timeoutMs + slackMs;
    const sample = await runner.run(signal);
    if (signal.aborted) return;
    counts.runs += 1;
    const { error } = sample;
    counts.failures += error === undefined ? 0 : 1;
    counts.consecutiveFailures = error === undefined ? 0 : counts.consecutiveFailures + 1;
    if (error !== undefined) lastError = { ...error, atMs: sample.measuredAtMs };
    options.history.record(sample.values, sample.measuredAtMs);
    const { samples, transitions } = options.keeper.evaluate([sample], clock.nowMs());
    const judged = samples[0] ?? sample;
    latest = { sample: judged, atMonotonicMs: clock.monotonicMs() };
    isSuspicious = transitions.some(({ kind }) => kind === "pending");
    options.onSample?.(judged, transitions);
    onSample();
  };
  return {
    probe,
    get latest() {
      return latest;
    },
    get lateAtMs() {
      return lateAtMs;
    },
    isCurrent: () =>
      latest !== undefined &&
      clock.monotonicMs() - latest.atMonotonicMs <= 2 * intervalMs + probe.timeoutMs,
    state: (): ProbeState => ({
      name: probe.name,
      intervalS: probe.intervalS,
      ...counts,
      lastError: counts.consecutiveFailures > 0 ? lastError : null,
    }),
    wake() {
      wanted = true;
      waker.abort();
    },
    /** Keeps to multiples of the interval: a slow run makes one late, not all that follow. */
    async run(signal: AbortSignal) {
      const startMs = clock.monotonicMs();
      while (!signal.aborted) {
        wanted = false;
        waker = new AbortController();
        await once(signal);
        if (wanted) continue;
        const passedMs = clock.monotonicMs() - startMs;
        const restMs = intervalMs - (passedMs % intervalMs);
        const waitMs = isSuspicious ? Math.min(restMs, intervalMs / 2) : restMs;
        lateAtMs = clock.monotonicMs() + waitMs + probe.timeoutMs + slackMs;
        await clock.sleep(waitMs, AbortSignal.any([signal, waker.signal]));
      }
    },
  };
}
