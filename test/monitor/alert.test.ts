import { describe, expect, test } from "bun:test";
import {
  advanceAlerts,
  silenceOf,
  type Acceptance,
  type Alert,
  type Evaluation,
} from "../../src/monitor/alert.ts";
import { fingerprintOf, type Finding } from "../../src/monitor/rule.ts";
import type { Labels } from "../../src/monitor/sample.ts";
import { createRandom } from "../support/fuzz.ts";

const labels = { root: "models" };
const fingerprint = fingerprintOf("DISK_USAGE", labels);
const finding = (more: Partial<Finding> = {}): Finding => ({
  name: "DISK_USAGE",
  severity: "warning",
  labels,
  summary: "full",
  advice: "free space",
  ...more,
});
const evaluation = (
  findings: readonly Finding[],
  more: {
    judged?: readonly string[];
    blind?: readonly Labels[];
    hold?: number;
    clearHold?: number;
  } = {},
): Evaluation => ({
  findings,
  judged: new Set(more.judged ?? ["DISK_USAGE"]),
  blind: new Map([["DISK_USAGE", more.blind ?? []]]),
  holds: new Map([["DISK_USAGE", { hold: more.hold ?? 1, clearHold: more.clearHold ?? 1 }]]),
});

/** Runs evaluations one after another, one minute apart, and gives what was told and where it ended. */
function play(steps: readonly Evaluation[], acceptances?: ReadonlyMap<string, Acceptance>) {
  let alerts: readonly Alert[] = [];
  const told: string[] = [];
  for (const [at, step] of steps.entries()) {
    const result = advanceAlerts(alerts, step, at * 60_000, acceptances);
    alerts = result.alerts;
    told.push(...result.transitions.map(({ kind }) => `${at}:${kind}`));
  }
  return { told, alerts };
}

const seen = evaluation([finding()]);
const critical = evaluation([finding({ severity: "critical" })]);
const clean = evaluation([]);
const unjudged = evaluation([], { judged: [] });
const blind = evaluation([], { blind: [labels] });

describe("the path of an alert", () => {
  test.each<[string, Evaluation[], string[]]>([
    ["fires after one further evaluation", [seen, seen], ["0:pending", "1:firing"]],
    [
      "a single blip never fires",
      [seen, clean, seen, clean],
      ["0:pending", "1:dropped", "2:pending", "3:dropped"],
    ],
    ["one alert per cause, not one per cycle", [seen, seen, seen, seen], ["0:pending", "1:firing"]],
    [
      "resolves after one further clean evaluation",
      [seen, seen, clean, clean],
      ["0:pending", "1:firing", "3:resolved"],
    ],
    [
      "a clean blip does not resolve it",
      [seen, seen, clean, seen, clean, seen],
      ["0:pending", "1:firing"],
    ],
    ["getting worse is told", [seen, seen, critical], ["0:pending", "1:firing", "2:severity"]],
    ["getting better is told", [critical, critical, seen], ["0:pending", "1:firing", "2:severity"]],
    [
      "a rule that did not run moves nothing",
      [seen, unjudged, seen, unjudged, unjudged, unjudged],
      ["0:pending", "2:firing"],
    ],
    ["what could not be seen stays", [seen, seen, blind, blind, blind], ["0:pending", "1:firing"]],
    [
      "blind elsewhere is no excuse",
      [
        seen,
        seen,
        evaluation([], { blind: [{ root: "backup" }] }),
        evaluation([], { blind: [{ root: "backup" }] }),
      ],
      ["0:pending", "1:firing", "3:resolved"],
    ],
    ["hold 0 fires at once", [evaluation([finding()], { hold: 0 })], ["0:firing"]],
    [
      "a long hold waits",
      [1, 2, 3, 4].map(() => evaluation([finding()], { hold: 3 })),
      ["0:pending", "3:firing"],
    ],
    [
      "clear hold 0 resolves at once",
      [seen, seen, evaluation([], { clearHold: 0 })],
      ["0:pending", "1:firing", "2:resolved"],
    ],
    [
      "the same cause in two findings counts once, the worse one",
      [evaluation([finding(), finding({ severity: "critical" })], { hold: 0 })],
      ["0:firing"],
    ],
  ])("%s", (_name, steps, told) => expect(play(steps).told).toEqual(told));

  test("it comes back as a new spell after it was resolved", () => {
    const { told, alerts } = play([seen, seen, clean, clean, seen, seen]);
    expect(told.slice(-2)).toEqual(["4:pending", "5:firing"]);
    expect(alerts).toMatchObject([{ sinceMs: 240_000, firedAtMs: 300_000 }]);
  });

  test("it began when it was first seen, not when it fired", () => {
    expect(play([seen, seen]).alerts).toMatchObject([{ sinceMs: 0, firedAtMs: 60_000 }]);
  });

  test("an event keeps firing for its time and then resolves without being seen again", () => {
    const event = evaluation([finding({ keepMs: 150_000 })], { hold: 0 });
    const { told } = play([event, clean, clean, clean]);
    expect(told).toEqual(["0:firing", "3:resolved"]);
  });

  test("an acknowledgement ends when it gets worse", () => {
    const acknowledged = { by: "root", atMs: 0, comment: "known" };
    const [alert] = play([seen, seen]).alerts;
    const before = [{ ...(alert as Alert), acknowledged }];
    expect(advanceAlerts(before, seen, 1).alerts[0]?.acknowledged).toEqual(acknowledged);
    expect(advanceAlerts(before, critical, 1).alerts[0]?.acknowledged).toBeNull();
  });
});

describe("an accepted value", () => {
  const acceptances = new Map<string, Acceptance>([
    [fingerprint, { fingerprint, value: 7, by: "root", atMs: 0, comment: "" }],
  ]);
  const errors = (value: number) => evaluation([finding({ value, acceptable: true })]);

  test("makes no alert while it does not grow, and one when it does", () => {
    expect(play([errors(7), errors(7)], acceptances).told).toEqual([]);
    expect(play([errors(7), errors(8), errors(8)], acceptances).told).toEqual([
      "1:pending",
      "2:firing",
    ]);
  });

  test("does not cover a finding that cannot be accepted", () => {
    const plain = evaluation([finding({ value: 3 })]);
    expect(play([plain, plain], acceptances).told).toEqual(["0:pending", "1:firing"]);
  });
});

test("a silence covers what carries its matchers until it ends", () => {
  const [alert] = play([seen, seen]).alerts as [Alert];
  const silence = { id: "s", until: 0, by: "root", atMs: 0, comment: "", untilMs: 1000 };
  const covers = (matchers: Labels, nowMs = 0) =>
    silenceOf(alert, [{ ...silence, matchers }], nowMs) !== undefined;
  expect(covers({ name: "DISK_USAGE" })).toBe(true);
  expect(covers({ root: "models", severity: "warning" })).toBe(true);
  expect(covers({ root: "backup" })).toBe(false);
  expect(covers({ name: "DISK_USAGE" }, 1000)).toBe(false);
});

test("random walks (seed 99) keep one alert per cause and tell each change once", () => {
  const random = createRandom(99);
  let alerts: readonly Alert[] = [];
  const told = new Map<string, string>();
  for (let at = 0; at < 5000; at += 1) {
    const findings = ["a", "b", "c"]
      .filter(() => random() < 0.5)
      .map((root) =>
        finding({ labels: { root }, severity: random() < 0.3 ? "critical" : "warning" }),
      );
    const step = random() < 0.1 ? unjudged : evaluation(findings);
    const result = advanceAlerts(alerts, step, at * 1000);
    const ids = result.alerts.map((alert) => alert.fingerprint);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { kind, alert } of result.transitions) {
      const before = told.get(alert.fingerprint) ?? "none";
      const allowed: Record<string, readonly string[]> = {
        pending: ["none", "resolved", "dropped"],
        dropped: ["pending"],
        firing: ["pending"],
        severity: ["firing", "severity"],
        resolved: ["firing", "severity"],
      };
      expect(allowed[kind]).toContain(before);
      told.set(alert.fingerprint, kind);
    }
    ({ alerts } = result);
  }
});
