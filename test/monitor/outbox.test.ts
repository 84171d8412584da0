// The outbox on a real SQLite file: order, limits, and what a database that cannot be written means.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { AbsolutePath } from "../../src/core/index.ts";
import type { Alert, AlertTransition } from "../../src/monitor/alert.ts";
import { openAlertKeeper } from "../../src/monitor/alert-keeper.ts";
import { openHistory, type History } from "../../src/monitor/history.ts";
import { createOutbox, type Outbox, type StoredTransition } from "../../src/monitor/outbox.ts";
import { defineRule, type AnyRule } from "../../src/monitor/rule.ts";
import type { Sample } from "../../src/monitor/sample.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { testThresholds } from "../support/monitor-samples.ts";

const directories: string[] = [];
afterEach(() => {
  for (const each of directories.splice(0)) rmSync(each, { recursive: true, force: true });
});

function open(clock = new ManualClock()): {
  history: History;
  path: AbsolutePath;
  clock: ManualClock;
} {
  const directory = mkdtempSync(`${tmpdir()}/citadel-outbox-`);
  directories.push(directory);
  const path = `${directory}/history.db` as AbsolutePath;
  const history = openHistory({ path, clock, metricsRetentionDays: 1, alertsRetentionDays: 1 });
  return { history, path, clock };
}

const alertOf = (fingerprint: string): Alert => ({
  fingerprint,
  name: "DISK_USAGE",
  labels: { root: fingerprint },
  severity: "warning",
  state: "firing",
  summary: "full",
  advice: "free space",
  value: 0.9,
  threshold: 0.8,
  acceptable: false,
  sinceMs: 0,
  firedAtMs: 0,
  resolvedAtMs: null,
  lastSeenMs: 0,
  streak: 0,
  keepUntilMs: null,
  acknowledged: null,
});
const transitionOf = (
  fingerprint: string,
  atMs: number,
  kind: AlertTransition["kind"] = "firing",
): AlertTransition => ({ kind, atMs, alert: alertOf(fingerprint) });

const withOutbox = <T>(history: History, use: (outbox: Outbox) => T, limits = {}) => {
  const result = history.transaction("test", (database) => ({
    value: use(createOutbox(database, limits)),
  }));
  if (result === undefined) throw new Error(`the history cannot be used: ${history.problem}`);
  return result.value;
};
const idsOf = (outbox: Outbox, sink: string) =>
  outbox
    .head(sink, 100)
    .map(({ kind, body }) =>
      kind === "status" ? body : (JSON.parse(body) as StoredTransition).id,
    );

describe("the outbox", () => {
  test("keeps the order of each sink apart and forgets what was delivered", () => {
    const { history } = open();
    withOutbox(history, (outbox) => {
      outbox.addTransition(["push", "webhook"], transitionOf("a", 1));
      outbox.addStatus("push", "s1", 2);
      outbox.addTransition(["push", "webhook"], transitionOf("a", 3, "resolved"));
      expect(idsOf(outbox, "push")).toEqual(["a-1-firing", "s1", "a-3-resolved"]);
      expect(idsOf(outbox, "webhook")).toEqual(["a-1-firing", "a-3-resolved"]);
      outbox.remove("push", outbox.head("push", 2).at(-1)?.id ?? 0);
      expect(idsOf(outbox, "push")).toEqual(["a-3-resolved"]);
      expect(outbox.waiting()).toEqual({ push: 1, webhook: 2 });
    });
    history[Symbol.dispose]();
  });

  test("drops the oldest status before any alert", () => {
    const { history } = open();
    withOutbox(
      history,
      (outbox) => {
        outbox.addTransition(["push"], transitionOf("a", 1));
        outbox.addStatus("push", "s1", 2);
        outbox.addStatus("push", "s2", 3);
        outbox.addTransition(["push"], transitionOf("b", 4));
        outbox.addTransition(["push"], transitionOf("c", 5));
        expect(idsOf(outbox, "push")).toEqual(["a-1-firing", "b-4-firing", "c-5-firing"]);
        outbox.addStatus("push", "s3", 6);
        expect(idsOf(outbox, "push")).not.toContain("s3");
      },
      { messages: 3, statuses: 5 },
    );
    history[Symbol.dispose]();
  });

  test("beyond its limit one alert's transitions collapse to the first and the last, counted", () => {
    const { history } = open();
    withOutbox(
      history,
      (outbox) => {
        for (let at = 1; at <= 6; at += 1)
          outbox.addTransition(
            ["webhook"],
            transitionOf("flaps", at, at % 2 ? "firing" : "resolved"),
          );
        outbox.addTransition(["webhook"], transitionOf("other", 7));
        expect(idsOf(outbox, "webhook")).toEqual([
          "flaps-1-firing",
          "flaps-5-firing",
          "flaps-6-resolved",
          "other-7-firing",
        ]);
        expect(outbox.head("webhook", 10).map(({ collapsed }) => collapsed)).toEqual([0, 3, 0, 0]);
      },
      { messages: 5 },
    );
    history[Symbol.dispose]();
  });
});

const rule = defineRule({
  names: ["CPU_USAGE"],
  probe: "host",
  description: "test",
  hold: 0,
  clearHold: 0,
  judge: (data) => ({
    findings: (data as unknown as { bad: boolean }).bad
      ? [{ name: "CPU_USAGE", severity: "critical", labels: {}, summary: "busy", advice: "look" }]
      : [],
  }),
}) as AnyRule;
const sampleOf = (bad: boolean, atMs: number) =>
  ({
    probe: "host",
    state: "ok",
    note: undefined,
    measuredAtMs: atMs,
    durationMs: 1,
    values: [],
    data: { bad },
    findings: [],
    error: undefined,
  }) as unknown as Sample;

describe("the alert keeper", () => {
  const keeperOf = (history: History) =>
    openAlertKeeper({ history, rules: [rule], thresholds: testThresholds, sinks: ["webhook"] });
  const idsAt = (keeper: ReturnType<typeof keeperOf>) =>
    keeper.queue
      .head("webhook", 100)
      .map(({ body }) => (JSON.parse(body) as StoredTransition).transition.kind);

  test("an alert and its message are one commit that a new process finds", () => {
    const { history, path, clock } = open();
    keeperOf(history).evaluate([sampleOf(true, 1)], clock.nowMs());
    history[Symbol.dispose]();
    const again = openHistory({ path, clock, metricsRetentionDays: 1, alertsRetentionDays: 1 });
    const keeper = keeperOf(again);
    expect(keeper.active.map(({ state }) => state)).toEqual(["firing"]);
    expect(idsAt(keeper)).toEqual(["firing"]);
    again[Symbol.dispose]();
  });

  test("delivers from memory while the database cannot be written, and never twice to the same sink", async () => {
    const clock = new ManualClock();
    const directory = mkdtempSync(`${tmpdir()}/citadel-outbox-`);
    directories.push(directory);
    writeFileSync(`${directory}/file`, ""); // a file where the state directory should be
    const path = `${directory}/file/history.db` as AbsolutePath;
    const history = openHistory({ path, clock, metricsRetentionDays: 1, alertsRetentionDays: 1 });
    expect(history.problem).not.toBeNull();
    const keeper = keeperOf(history);
    keeper.evaluate([sampleOf(true, 1)], clock.nowMs());
    const [message] = keeper.queue.head("webhook", 10);
    expect(message?.kind).toBe("alert");
    keeper.queue.remove("webhook", message?.id ?? 0);
    expect(keeper.queue.head("webhook", 10)).toEqual([]);
    await clock.advance(61_000);
    keeper.evaluate([sampleOf(false, 2)], clock.nowMs());
    expect(idsAt(keeper)).toEqual(["resolved"]);
    rmSync(`${directory}/file`);
    await clock.advance(61_000);
    keeper.evaluate([sampleOf(false, 3)], clock.nowMs());
    expect(history.problem).toBeNull();
    expect(idsAt(keeper)).toEqual(["resolved"]);
    expect(keeper.backlog.isEmpty).toBe(true);
    history[Symbol.dispose]();
  });

  test("a database begun anew tells every firing alert again", async () => {
    const { history, path, clock } = open();
    const keeper = keeperOf(history);
    keeper.evaluate([sampleOf(true, 1)], clock.nowMs());
    expect(idsAt(keeper)).toEqual(["firing"]);
    const other = open(clock);
    other.history[Symbol.dispose]();
    // The file is damaged under the running agent: its first page is overwritten.
    history[Symbol.dispose]();
    for (const suffix of ["", "-wal", "-shm"]) writeFileSync(path + suffix, "x".repeat(8192));
    const begun = openHistory({ path, clock, metricsRetentionDays: 1, alertsRetentionDays: 1 });
    expect(begun.problem).toContain("damaged");
    const next = openAlertKeeper({
      history: begun,
      rules: [rule],
      thresholds: testThresholds,
      sinks: ["webhook"],
      before: keeper,
    });
    next.evaluate([sampleOf(true, 2)], clock.nowMs());
    expect(idsAt(next)).toEqual(["firing"]);
    begun[Symbol.dispose]();
  });
});
