// From samples to findings: every rule judges the data of its probe, and a probe that fails is a finding itself.
// Pure. What a rule could not see stays as it was (`blind`); nothing is called healthy for want of data.

import { isAccepted, type Acceptance, type Evaluation } from "./alert.ts";
import type { Alert } from "./alert.ts";
import type { AnyRule, Finding, Rule, RuleContext, Thresholds, Verdict } from "./rule.ts";
import { fingerprintOf } from "./rule.ts";
import {
  worseState,
  type Labels,
  type ProbeName,
  type Sample,
  type SampleState,
} from "./sample.ts";

export const probeNames = [
  "mounts",
  "space",
  "io",
  "latency",
  "smart",
  "kernel",
  "links",
  "models",
  "backups",
  "services",
  "host",
  "gpu",
  "agent",
] as const satisfies readonly ProbeName[];

const probeFailing = "PROBE_FAILING";
const probeFailingHold = 2;

/** Builds what rules may know, from the alerts that are active. */
export function createRuleContext(
  thresholds: Thresholds,
  alerts: readonly Alert[],
  nowMs: number,
): RuleContext {
  const severities = new Map(
    alerts
      .filter((alert) => alert.state !== "resolved")
      .map((alert) => [alert.fingerprint, alert.severity]),
  );
  return { thresholds, nowMs, activeSeverity: (fingerprint) => severities.get(fingerprint) };
}

/** Judges samples that were taken just now; rules of other probes are left alone. */
export function evaluateRules(
  samples: readonly Sample[],
  rules: readonly AnyRule[],
  context: RuleContext,
): Evaluation {
  const findings: Finding[] = [];
  const judged = new Set<string>();
  const blind = new Map<string, Labels[]>();
  const holds = new Map<string, { hold: number; clearHold: number }>();
  for (const rule of rules) {
    for (const name of rule.names)
      holds.set(name, { hold: rule.hold ?? 1, clearHold: rule.clearHold ?? 1 });
    for (const sample of samples) {
      const verdict = sample.probe === rule.probe ? judge(rule, sample, context) : undefined;
      if (verdict === undefined) continue;
      findings.push(...verdict.findings);
      for (const name of rule.names) {
        judged.add(name);
        blind.set(name, [...(blind.get(name) ?? []), ...(verdict.blind ?? [])]);
      }
    }
  }
  addProbeFailures(samples, findings, judged, blind);
  holds.set(probeFailing, { hold: probeFailingHold, clearHold: 1 });
  return { findings, judged, blind, holds };
}

/** Undefined: the sample says nothing that this rule could judge. */
function judge(rule: AnyRule, sample: Sample, context: RuleContext): Verdict | undefined {
  if (sample.data !== null) {
    // The types of probe and data go together by `probe`, which the caller compared.
    return (rule as Rule).judge(sample.data, context);
  }
  return sample.state === "not_applicable" ? { findings: [] } : undefined;
}

function addProbeFailures(
  samples: readonly Sample[],
  findings: Finding[],
  judged: Set<string>,
  blind: Map<string, Labels[]>,
): void {
  const looked = new Set<string>(samples.map((sample) => sample.probe));
  judged.add(probeFailing);
  blind.set(
    probeFailing,
    probeNames.filter((name) => !looked.has(name)).map((name) => ({ probe: name })),
  );
  for (const { probe, error } of samples) {
    if (error === undefined || error.code === "CANCELLED") continue;
    findings.push({
      name: probeFailing,
      severity: "warning",
      labels: { probe },
      summary: `the probe "${probe}" fails: ${error.message}`,
      advice: `nothing is known about ${probe} until it works again; see \`citadel-agent doctor\``,
    });
  }
}

/** The sample with its findings, and the state that follows; accepted values count no more. */
export function withFindings<Name extends ProbeName>(
  sample: Sample<Name>,
  findings: readonly Finding[],
  acceptances: ReadonlyMap<string, Acceptance> = new Map(),
): Sample<Name> {
  const open = findings.filter(
    (finding) => !isAccepted(finding, acceptances.get(fingerprintOf(finding.name, finding.labels))),
  );
  let state: SampleState = sample.state;
  for (const finding of open) {
    // A probe that failed stays unknown: the alert about it says the rest.
    if (finding.name !== probeFailing) state = worseState(state, finding.severity);
  }
  return { ...sample, state, findings: open };
}

/** Evaluates samples one by one and gives each its findings; for commands that look once. */
export function judgeSamples<S extends Sample>(
  samples: readonly S[],
  rules: readonly AnyRule[],
  context: RuleContext,
  acceptances: ReadonlyMap<string, Acceptance> = new Map(),
): S[] {
  return samples.map((sample) => {
    const { findings } = evaluateRules([sample], rules, context);
    return withFindings(sample, findings, acceptances) as S;
  });
}
