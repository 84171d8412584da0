// Runs one probe: within its deadline, never twice at once, and with a sample as the outcome whatever happens.
// The run of a probe that ignores its signal is left to itself; until it ends, the probe is not started again.

import { CitadelError, messageOf } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import type { Probe } from "./probe.ts";
import type { ProbeData } from "./data.ts";
import type { ProbeError, ProbeName, Reading, Sample } from "./sample.ts";

export interface ProbeRunner<Name extends ProbeName = ProbeName> {
  readonly probe: Probe<Name>;
  /** Takes a sample; its findings are empty and its state is the reading's: judging comes after (evaluate.ts). */
  run(signal: AbortSignal): Promise<Sample<Name>>;
}

/** Creates the runner of a probe; one per probe and process. */
export function createProbeRunner<Name extends ProbeName>(
  probe: Probe<Name>,
  clock: Clock,
): ProbeRunner<Name> {
  let hangingSinceMs: number | undefined;
  return {
    probe,
    async run(signal) {
      const startedMs = clock.monotonicMs();
      const finish = (outcome: Outcome<Name>) =>
        toSample(probe.name, outcome, clock.nowMs(), clock.monotonicMs() - startedMs);
      if (hangingSinceMs !== undefined) {
        const seconds = Math.round((startedMs - hangingSinceMs) / 1000);
        return finish({
          error: {
            code: "PROBE_STUCK",
            message: `the run from ${seconds} s ago has not ended`,
          },
        });
      }
      hangingSinceMs = startedMs;
      const deadline = new AbortController();
      const stop = () => deadline.abort();
      signal.addEventListener("abort", stop, { once: true });
      const run = attempt(probe, deadline.signal).finally(() => {
        hangingSinceMs = undefined;
      });
      const over = new AbortController();
      const timeout = clock.sleep(probe.timeoutMs, AbortSignal.any([over.signal, signal]));
      try {
        const outcome = await Promise.race([run, timeout.then(() => undefined)]);
        if (outcome !== undefined) return finish(outcome);
        return finish({
          error: signal.aborted
            ? { code: "CANCELLED", message: "the agent stops" }
            : {
                code: "PROBE_TIMEOUT",
                message: `no answer within ${probe.timeoutMs / 1000} s`,
              },
        });
      } finally {
        deadline.abort();
        over.abort();
        signal.removeEventListener("abort", stop);
      }
    },
  };
}

interface Outcome<Name extends ProbeName> {
  readonly reading?: Reading<ProbeData[Name]>;
  readonly error?: ProbeError;
}

async function attempt<Name extends ProbeName>(
  probe: Probe<Name>,
  signal: AbortSignal,
): Promise<Outcome<Name>> {
  try {
    return { reading: await probe.run(signal) };
  } catch (thrown) {
    const code = thrown instanceof CitadelError ? thrown.code : "PROBE_FAILED";
    return { error: { code, message: messageOf(thrown).slice(0, 500) } };
  }
}

function toSample<Name extends ProbeName>(
  name: Name,
  { reading, error }: Outcome<Name>,
  measuredAtMs: number,
  durationMs: number,
): Sample<Name> {
  return {
    probe: name,
    state: reading?.state ?? "unknown",
    note: reading?.note ?? error?.message,
    measuredAtMs,
    durationMs,
    values: reading?.values ?? [],
    data: reading?.data ?? null,
    findings: [],
    error: error ?? reading?.problem,
  };
}
