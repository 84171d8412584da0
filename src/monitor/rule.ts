// What a rule is: it looks at one sample and says what is wrong, with hysteresis, so that a value that hovers at a
// threshold does not flap. Hold times are the alert engine's part (alert.ts). Pure.

import type { ProbeData } from "./data.ts";
import { formatLabels, type Labels, type ProbeName } from "./sample.ts";

export type Severity = "warning" | "critical";

/** One thing that is wrong now. Same name and labels: same cause, one alert. */
export interface Finding {
  /** Stable code, also the alert's name: `DISK_USAGE`. `explain` knows each. */
  readonly name: string;
  readonly severity: Severity;
  readonly labels: Labels;
  /** One line for a person: what, where, how much. */
  readonly summary: string;
  /** What to do about it, with its reason. */
  readonly advice: string;
  readonly value?: number | undefined;
  readonly threshold?: number | undefined;
  /** The value can be accepted (`alerts ack`): it then counts only when it grows. */
  readonly acceptable?: boolean | undefined;
  /** An event that was, not a state that is (a kernel message): it stays firing for its keep time. */
  readonly keepMs?: number | undefined;
}

/** What rules may know beside the sample. */
export interface RuleContext {
  readonly thresholds: Thresholds;
  readonly nowMs: number;
  /** Severity of the alert with this fingerprint while it is pending or firing: for hysteresis. */
  activeSeverity(fingerprint: string): Severity | undefined;
}

/** The limits that the settings name. Every comparison is "greater or equal" (for minimums "below"). */
export interface Thresholds {
  readonly diskUsageWarning: number;
  readonly diskUsageCritical: number;
  readonly inodeUsageWarning: number;
  readonly cpuUsageWarning: number;
  readonly memoryUsageWarning: number;
  readonly gpuMemoryWarning: number;
  readonly gpuTemperatureCriticalC: number;
  readonly ioLatencyMs: number;
  /** Bytes per second (the setting is in MB/s of 1e6). */
  readonly throughputBytesPerS: number;
}

/** What a rule returns: what is wrong, and where it could not look (there, alerts stay as they are). */
export interface Verdict {
  readonly findings: readonly Finding[];
  /** Labels that could not be judged: an alert that carries all of them is left alone. `{}`: all of the rule. */
  readonly blind?: readonly Labels[] | undefined;
}

export interface Rule<Name extends ProbeName = ProbeName> {
  /** The names of the findings it can make. */
  readonly names: readonly string[];
  readonly probe: Name;
  readonly description: string;
  /** Further evaluations that must find it too before the alert fires; default 1. 0: fires at once. */
  readonly hold?: number | undefined;
  /** Further clean evaluations before it resolves; default 1. */
  readonly clearHold?: number | undefined;
  judge(data: ProbeData[Name], context: RuleContext): Verdict;
}

export type AnyRule = { readonly [Name in ProbeName]: Rule<Name> }[ProbeName];

export function defineRule<Name extends ProbeName>(rule: Rule<Name>): Rule<Name> {
  return rule;
}

/** What makes a cause the same cause: name and labels, nothing else. */
export function fingerprintOf(name: string, labels: Labels): string {
  return Bun.hash
    .xxHash64(`${name}\n${formatLabels(labels)}`)
    .toString(16)
    .padStart(16, "0");
}
