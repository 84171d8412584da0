// Runs every probe once and judges what it saw: for `monitor --once`, `health` and `status`. Nothing is kept.

import type { Clock } from "../system/index.ts";
import type { Acceptance, Alert } from "./alert.ts";
import { createRuleContext, judgeSamples } from "./evaluate.ts";
import type { AnyProbe, Probe } from "./probe.ts";
import type { AnyRule, Thresholds } from "./rule.ts";
import { createProbeRunner } from "./run-probe.ts";
import { worstState, type Sample, type Samples, type SampleState } from "./sample.ts";

export interface OnceOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly rules: readonly AnyRule[];
  readonly thresholds: Thresholds;
  /** Alerts of the daemon, for hysteresis: what it calls firing is not healthy here. */
  readonly alerts?: readonly Alert[] | undefined;
  readonly acceptances?: ReadonlyMap<string, Acceptance> | undefined;
}

export interface OnceResult {
  readonly samples: Samples;
  /** Worst of all; what does not apply does not count. */
  readonly overall: SampleState;
}

/** Runs the probes side by side, each within its deadline. */
export async function runOnce(
  probes: readonly AnyProbe[],
  options: OnceOptions,
): Promise<OnceResult> {
  const { clock, signal } = options;
  const taken = await Promise.all(
    probes.map((probe) => createProbeRunner(probe as Probe, clock).run(signal)),
  );
  const context = createRuleContext(options.thresholds, options.alerts ?? [], clock.nowMs());
  const judged = judgeSamples(taken, options.rules, context, options.acceptances);
  return { samples: toSamples(judged), overall: worstState(judged.map(({ state }) => state)) };
}

/** The samples by the name of their probe. */
export function toSamples(samples: readonly Sample[]): Samples {
  return Object.fromEntries(samples.map((sample) => [sample.probe, sample])) as Samples;
}
