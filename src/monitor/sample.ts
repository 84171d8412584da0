// What a probe says: one sample per run, with a state, numbers for the history and the metrics, and the facts that
// rules, `status` and `health` read. What could not be read is `unknown`, what the host lacks is `not_applicable`;
// neither is ever `ok`.

import type { ProbeData } from "./data.ts";
import type { Finding } from "./rule.ts";

/** From harmless to worst, as `overall` of `status` counts them; `not_applicable` does not count. */
export const sampleStates = ["not_applicable", "ok", "unknown", "warning", "critical"] as const;
export type SampleState = (typeof sampleStates)[number];

export type ProbeName = keyof ProbeData;

/** Label names and values of a series or an alert; the order does not matter. */
export type Labels = Readonly<Record<string, string>>;

/** One number. `series` is a key of `seriesTable` (series.ts): base units, no prefix. */
export interface Value {
  readonly series: string;
  readonly labels: Labels;
  readonly value: number;
}

/** What the run of a probe returns: whether it could look, and what it saw. Judging is the rules' part. */
export interface Reading<Data> {
  readonly state: "ok" | "unknown" | "not_applicable";
  /** Why it is unknown or not applicable, or a remark: for a person. */
  readonly note?: string | undefined;
  readonly data: Data | null;
  readonly values: readonly Value[];
  /** The look itself failed (a tool that did not return): reported as `PROBE_FAILING`. */
  readonly problem?: ProbeError | undefined;
}

/** A reading with its time, its judgement, and what went wrong while it was taken. */
export interface Sample<Name extends ProbeName = ProbeName> {
  readonly probe: Name;
  /** Worst of the reading and of its findings. */
  readonly state: SampleState;
  readonly note: string | undefined;
  /** Wall clock at the end of the run. */
  readonly measuredAtMs: number;
  readonly durationMs: number;
  readonly values: readonly Value[];
  readonly data: ProbeData[Name] | null;
  readonly findings: readonly Finding[];
  /** Set when the run threw, was cut off at its deadline, or is still hanging from before. */
  readonly error: ProbeError | undefined;
}

export interface ProbeError {
  /** `PROBE_TIMEOUT`, `PROBE_STUCK`, or the code of what was thrown. */
  readonly code: string;
  readonly message: string;
}

export type AnySample = { readonly [Name in ProbeName]: Sample<Name> }[ProbeName];

/** The latest sample of each probe that ran. */
export type Samples = { readonly [Name in ProbeName]?: Sample<Name> | undefined };

/** The worse of two states. */
export function worseState(a: SampleState, b: SampleState): SampleState {
  return sampleStates.indexOf(a) >= sampleStates.indexOf(b) ? a : b;
}

/** The worst of many; `unknown` when nothing applies: what was not looked at is not ok. */
export function worstState(states: Iterable<SampleState>): SampleState {
  let worst: SampleState = "not_applicable";
  for (const state of states) worst = worseState(worst, state);
  return worst === "not_applicable" ? "unknown" : worst;
}

/** A stable text for labels: keys sorted, so that equal labels give equal text. */
export function formatLabels(labels: Labels): string {
  return Object.keys(labels)
    .sort()
    .map((key) => `${key}=${JSON.stringify(labels[key])}`)
    .join(",");
}
