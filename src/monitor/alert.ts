// Alerts as values: what one is, and how findings move it from pending to firing to resolved. Pure: no clock, no
// database, so that every path can be tabled in a test. One alert per cause, never one per cycle.

import type { Finding, Severity } from "./rule.ts";
import { fingerprintOf } from "./rule.ts";
import type { Labels } from "./sample.ts";

export type AlertState = "pending" | "firing" | "resolved";

export interface Alert {
  /** `fingerprintOf(name, labels)`: what `alerts ack` takes (a prefix of it is enough). */
  readonly fingerprint: string;
  readonly name: string;
  readonly labels: Labels;
  readonly severity: Severity;
  readonly state: AlertState;
  readonly summary: string;
  readonly advice: string;
  readonly value: number | null;
  readonly threshold: number | null;
  readonly acceptable: boolean;
  /** First seen in this spell: the true `startsAt`. */
  readonly sinceMs: number;
  readonly firedAtMs: number | null;
  readonly resolvedAtMs: number | null;
  readonly lastSeenMs: number;
  /** Evaluations in a row that found it (pending) or did not (firing). */
  readonly streak: number;
  /** An event keeps firing until then without being seen again. */
  readonly keepUntilMs: number | null;
  readonly acknowledged: Acknowledgement | null;
}

export interface Acknowledgement {
  readonly by: string;
  readonly atMs: number;
  readonly comment: string;
}

/** A value a person took for known: findings up to it make no alert. Lives on when the alert is gone. */
export interface Acceptance extends Acknowledgement {
  readonly fingerprint: string;
  readonly value: number;
}

/** Alerts that carry all of `matchers` (`name` counts as a label) are not sent while it lasts. */
export interface Silence {
  readonly id: string;
  readonly matchers: Labels;
  readonly untilMs: number;
  readonly by: string;
  readonly atMs: number;
  readonly comment: string;
}

export type TransitionKind = "pending" | "firing" | "severity" | "resolved" | "dropped";

/** A change worth telling. `pending` and `dropped` (a pending one that went away) are for the history alone. */
export interface AlertTransition {
  readonly kind: TransitionKind;
  readonly alert: Alert;
  readonly atMs: number;
}

/** Findings of one evaluation, and what they cannot speak about. */
export interface Evaluation {
  readonly findings: readonly Finding[];
  /** Rule names (alert names) that were judged in this evaluation: only their alerts move. */
  readonly judged: ReadonlySet<string>;
  /** Judged, but not for these labels. */
  readonly blind: ReadonlyMap<string, readonly Labels[]>;
  /** Hold and clear hold by alert name; absent: 1 and 1. */
  readonly holds: ReadonlyMap<string, { readonly hold: number; readonly clearHold: number }>;
}

export interface AdvanceResult {
  /** Pending and firing ones, and those that resolved in this step. */
  readonly alerts: readonly Alert[];
  readonly transitions: readonly AlertTransition[];
}

/**
 * Moves alerts by one evaluation.
 * @param previous pending and firing alerts (resolved ones are ignored)
 * @param acceptances values taken for known, by fingerprint
 * @returns the alerts after it, and what changed, in a stable order
 */
export function advanceAlerts(
  previous: readonly Alert[],
  evaluation: Evaluation,
  nowMs: number,
  acceptances: ReadonlyMap<string, Acceptance> = new Map(),
): AdvanceResult {
  const found = new Map<string, Finding>();
  for (const finding of evaluation.findings) {
    const fingerprint = fingerprintOf(finding.name, finding.labels);
    if (isAccepted(finding, acceptances.get(fingerprint))) continue;
    const other = found.get(fingerprint);
    if (other === undefined || other.severity === "warning") found.set(fingerprint, finding);
  }
  const alerts: Alert[] = [];
  const transitions: AlertTransition[] = [];
  const keep = (alert: Alert, kind?: TransitionKind) => {
    if (kind !== "dropped") alerts.push(alert);
    if (kind !== undefined) transitions.push({ kind, alert, atMs: nowMs });
  };
  for (const alert of previous) {
    if (alert.state === "resolved") continue;
    const finding = found.get(alert.fingerprint);
    found.delete(alert.fingerprint);
    const holds = evaluation.holds.get(alert.name) ?? defaultHolds;
    if (finding !== undefined) keep(...seen(alert, finding, holds.hold, nowMs));
    else if (!mayJudge(alert, evaluation)) keep(alert);
    else keep(...unseen(alert, holds.clearHold, nowMs));
  }
  for (const [fingerprint, finding] of found) {
    const hold = (evaluation.holds.get(finding.name) ?? defaultHolds).hold;
    const alert = begin(fingerprint, finding, nowMs);
    if (hold <= 0) keep({ ...alert, state: "firing", firedAtMs: nowMs }, "firing");
    else keep(alert, "pending");
  }
  return { alerts, transitions };
}

const defaultHolds = { hold: 1, clearHold: 1 };

/** Whether the finding's value was accepted and has not grown since. */
export function isAccepted(finding: Finding, acceptance: Acceptance | undefined): boolean {
  return (
    acceptance !== undefined &&
    finding.acceptable === true &&
    finding.value !== undefined &&
    finding.value <= acceptance.value
  );
}

function begin(fingerprint: string, finding: Finding, nowMs: number): Alert {
  return {
    fingerprint,
    ...factsOf(finding, nowMs),
    name: finding.name,
    labels: finding.labels,
    state: "pending",
    sinceMs: nowMs,
    firedAtMs: null,
    resolvedAtMs: null,
    streak: 0,
    acknowledged: null,
  };
}

function factsOf(finding: Finding, nowMs: number) {
  return {
    severity: finding.severity,
    summary: finding.summary,
    advice: finding.advice,
    value: finding.value ?? null,
    threshold: finding.threshold ?? null,
    acceptable: finding.acceptable ?? false,
    lastSeenMs: nowMs,
    keepUntilMs: finding.keepMs === undefined ? null : nowMs + finding.keepMs,
  };
}

function seen(
  alert: Alert,
  finding: Finding,
  hold: number,
  nowMs: number,
): [Alert, TransitionKind?] {
  const facts = { ...alert, ...factsOf(finding, nowMs) };
  if (alert.state === "firing") {
    const next: Alert = { ...facts, streak: 0 };
    if (alert.severity === finding.severity) return [next];
    // It got worse: what was acknowledged was something smaller.
    return [finding.severity === "critical" ? { ...next, acknowledged: null } : next, "severity"];
  }
  const streak = alert.streak + 1;
  if (streak < hold) return [{ ...facts, streak }];
  return [{ ...facts, state: "firing", firedAtMs: nowMs, streak: 0 }, "firing"];
}

function unseen(alert: Alert, clearHold: number, nowMs: number): [Alert, TransitionKind?] {
  if (alert.state === "pending") return [alert, "dropped"];
  if (alert.keepUntilMs !== null && nowMs < alert.keepUntilMs) return [alert];
  const streak = alert.streak + 1;
  if (alert.keepUntilMs === null && streak <= clearHold) return [{ ...alert, streak }];
  return [{ ...alert, state: "resolved", resolvedAtMs: nowMs, streak: 0 }, "resolved"];
}

/** Whether the evaluation says something about this alert: its rule ran, and its labels were not blind. */
function mayJudge(alert: Alert, evaluation: Evaluation): boolean {
  if (!evaluation.judged.has(alert.name)) return false;
  const blind = evaluation.blind.get(alert.name) ?? [];
  return !blind.some((labels) => carries(alert.labels, labels));
}

/** Whether `labels` has every member of `wanted`. */
export function carries(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

/** The silence that covers an alert now, if any. */
export function silenceOf(
  alert: Alert,
  silences: readonly Silence[],
  nowMs: number,
): Silence | undefined {
  const labels = { ...alert.labels, name: alert.name, severity: alert.severity };
  return silences.find((silence) => silence.untilMs > nowMs && carries(labels, silence.matchers));
}
