import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { AbsolutePath } from "../../src/core/index.ts";
import type { RootSpace } from "../../src/monitor/data.ts";
import { createAlerting } from "../../src/monitor/alerting.ts";
import { openHistory } from "../../src/monitor/history.ts";
import { shippedRules } from "../../src/monitor/rules/index.ts";
import type { Sample } from "../../src/monitor/sample.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { spaceOf, testThresholds } from "../support/monitor-samples.ts";

let directory: string;
let clock: ManualClock;
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/monitor-alerting-`);
  clock = new ManualClock();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = () =>
  openHistory({
    path: `${directory}/state/history.db` as AbsolutePath,
    clock,
    metricsRetentionDays: 1,
    alertsRetentionDays: 7,
  });
const sample = (usage: number | null, more: Partial<RootSpace> = {}): Sample<"space"> => ({
  probe: "space",
  state: usage === null ? "unknown" : "ok",
  note: undefined,
  measuredAtMs: clock.nowMs(),
  durationMs: 1,
  values: [],
  data: { roots: [spaceOf({ usage, ...more })] },
  findings: [],
  error: undefined,
});

test("alerts and messages are one transaction, and go on after a restart", () => {
  const sent: string[] = [];
  const play = (usages: readonly (number | null)[]) => {
    using history = open();
    const alerting = createAlerting({
      history,
      rules: shippedRules,
      thresholds: testThresholds,
      enqueue: (_database, told) =>
        sent.push(...told.map(({ kind, alert }) => `${kind} ${alert.name} ${alert.severity}`)),
    });
    for (const usage of usages) {
      alerting.evaluate([sample(usage)], clock.nowMs());
      clock.jumpWall(60_000);
    }
    return alerting.alerts;
  };
  play([0.85]);
  play([0.85]);
  play([null, null, null]);
  play([0.95]);
  play([0.5]);
  expect(play([0.5])).toEqual([]);
  expect(sent).toEqual([
    "pending DISK_USAGE warning",
    "firing DISK_USAGE warning",
    "severity DISK_USAGE critical",
    "resolved DISK_USAGE critical",
  ]);
});

test("without a database alerts go on, and are stored when it is back", () => {
  writeFileSync(`${directory}/state`, "in the way");
  using history = open();
  const alerting = createAlerting({ history, rules: shippedRules, thresholds: testThresholds });
  const step = (usage: number) => {
    const { transitions } = alerting.evaluate([sample(usage)], clock.nowMs());
    clock.jumpWall(120_000);
    return transitions.map(({ kind }) => kind);
  };
  expect(step(0.95)).toEqual(["pending"]);
  expect(step(0.95)).toEqual(["firing"]);
  expect(history.problem).toBeString();
  rmSync(`${directory}/state`);
  expect(step(0.95)).toEqual([]);
  expect(history.problem).toBeNull();
  expect(history.alerts((store) => store.active())).toMatchObject([
    { name: "DISK_USAGE", state: "firing" },
  ]);
  expect(step(0.5)).toEqual([]);
  expect(step(0.5)).toEqual(["resolved"]);
});

test("a judged sample carries its findings and the state that follows", () => {
  using history = open();
  const alerting = createAlerting({ history, rules: shippedRules, thresholds: testThresholds });
  const [judged] = alerting.evaluate([sample(0.9)], clock.nowMs()).samples;
  expect(judged?.state).toBe("critical");
  expect(judged?.findings.map(({ name }) => name)).toEqual(["DISK_USAGE"]);
});
