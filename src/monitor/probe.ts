// The shape of a probe: reads one kind of fact, within a deadline, and never judges. Reading and parsing are apart:
// each file in probes/ has a pure parser beside the code that reads.

import type { ProbeData } from "./data.ts";
import type { ProbeName, Reading } from "./sample.ts";

export interface Probe<Name extends ProbeName = ProbeName> {
  readonly name: Name;
  /** Distance of two runs, by the monotonic clock. */
  readonly intervalS: number;
  /** After this long the run is cut off: `signal` aborts, and the sample says `PROBE_TIMEOUT`. */
  readonly timeoutMs: number;
  /**
   * Takes one reading. May keep what it needs for the next run (counters, cursors) in its closure.
   * @param signal aborts at the deadline and at the end of the agent
   * @throws anything: `runProbe` turns it into a sample
   */
  run(signal: AbortSignal): Promise<Reading<ProbeData[Name]>>;
}

export type AnyProbe = { readonly [Name in ProbeName]: Probe<Name> }[ProbeName];

/** Types a declaration. */
export function defineProbe<Name extends ProbeName>(probe: Probe<Name>): Probe<Name> {
  return probe;
}
