// One schedule, deadline and state per probe, on a clock that the test moves.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import type { AbsolutePath } from "../../src/core/index.ts";
import { openAlertKeeper } from "../../src/monitor/alert-keeper.ts";
import { openHistory } from "../../src/monitor/history.ts";
import { createMonitorLoop, type MonitorLoop } from "../../src/monitor/loop.ts";
import type { AnyProbe } from "../../src/monitor/probe.ts";
import { shippedRules } from "../../src/monitor/rules/index.ts";
import type { ProbeName } from "../../src/monitor/sample.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { mountOf, testThresholds } from "../support/monitor-samples.ts";

interface World extends Disposable {
  readonly clock: ManualClock;
  readonly loop: MonitorLoop;
  readonly alertNames: () => string[];
  readonly stop: AbortController;
}

function start(probes: readonly AnyProbe[], clock: ManualClock): World {
  const directory = mkdtempSync(`${tmpdir()}/citadel-loop-`);
  const history = openHistory({
    path: `${directory}/history.db` as AbsolutePath,
    clock,
    metricsRetentionDays: 1,
    alertsRetentionDays: 1,
  });
  const keeper = openAlertKeeper({
    history,
    rules: shippedRules,
    thresholds: testThresholds,
    sinks: [],
  });
  const loop = createMonitorLoop({ clock, probes, history, keeper });
  const stop = new AbortController();
  void loop.run(stop.signal);
  return {
    clock,
    loop,
    stop,
    alertNames: () =>
      keeper.active.filter(({ state }) => state === "firing").map(({ name }) => name),
    [Symbol.dispose]() {
      stop.abort();
      history[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const probeOf = (name: ProbeName, intervalS: number, run: () => Promise<unknown>) =>
  ({ name, intervalS, timeoutMs: 5000, run }) as unknown as AnyProbe;
const fine = (times: number[], clock: ManualClock) => () => {
  times.push(clock.monotonicMs());
  return Promise.resolve({ state: "ok", data: null, values: [] });
};

describe("the monitor's loop", () => {
  test("a probe that never returns is cut off, alerts, and delays no other", async () => {
    const clock = new ManualClock();
    const times: number[] = [];
    using world = start(
      [probeOf("space", 10, fine(times, clock)), probeOf("smart", 10, () => new Promise(() => {}))],
      clock,
    );
    await clock.advance(45_000);
    expect(times).toEqual([0, 10_000, 20_000, 30_000, 40_000]);
    const stuck = world.loop.states().find(({ name }) => name === "smart");
    expect(stuck?.lastError?.code).toBe("PROBE_STUCK");
    expect(world.loop.samples().smart?.state).toBe("unknown");
    expect(world.alertNames()).toEqual(["PROBE_FAILING"]);
    expect(world.loop.isTurning()).toBe(true);
  });

  test("keeps its intervals when the wall clock jumps either way", async () => {
    const clock = new ManualClock();
    const times: number[] = [];
    using world = start([probeOf("space", 10, fine(times, clock))], clock);
    await clock.advance(15_000);
    clock.jumpWall(-86_400_000);
    await clock.advance(10_000);
    clock.jumpWall(2 * 86_400_000);
    await clock.advance(10_000);
    expect(times).toEqual([0, 10_000, 20_000, 30_000]);
    expect(world.loop.samples().space?.state).toBe("ok");
  });

  test("looks again after half an interval when something new has to prove itself, then as before", async () => {
    const clock = new ManualClock();
    const times: number[] = [];
    let roots = [mountOf()];
    const look = () => {
      times.push(clock.monotonicMs());
      return Promise.resolve({ state: "ok", data: { roots }, values: [] });
    };
    using world = start([probeOf("mounts", 10, look)], clock);
    await clock.advance(1000);
    roots = [mountOf({ readOnly: true })];
    await clock.advance(15_000);
    expect(world.alertNames()).toEqual(["STORAGE_READ_ONLY"]);
    await clock.advance(30_000);
    expect(times).toEqual([0, 10_000, 15_000, 20_000, 30_000, 40_000]);
  });

  test("a sample older than two intervals is not current", async () => {
    const clock = new ManualClock();
    let hangs = false;
    using world = start(
      [
        probeOf("space", 10, () =>
          hangs ? new Promise(() => {}) : Promise.resolve({ state: "ok", data: null, values: [] }),
        ),
      ],
      clock,
    );
    await clock.advance(1);
    expect(world.loop.samples().space?.state).toBe("ok");
    hangs = true;
    await clock.advance(26_000);
    expect(world.loop.samples().space?.state ?? "absent").not.toBe("ok");
  });

  test("runs a probe at once when asked, beside its schedule", async () => {
    const clock = new ManualClock();
    const times: number[] = [];
    using world = start([probeOf("links", 300, fine(times, clock))], clock);
    await clock.advance(1000);
    world.loop.runNow("links");
    await clock.advance(0);
    expect(times).toEqual([0, 1000]);
  });

  test("is not turning when a probe's own schedule stands still", async () => {
    const clock = new ManualClock();
    using world = start([probeOf("space", 10, fine([], clock))], clock);
    await clock.advance(1000);
    expect(world.loop.isTurning()).toBe(true);
    world.stop.abort();
    await clock.advance(120_000);
    expect(world.loop.isTurning()).toBe(false);
  });

  test("is ready when every probe gave its first sample", async () => {
    const clock = new ManualClock();
    using world = start(
      [probeOf("space", 10, fine([], clock)), probeOf("smart", 10, () => new Promise(() => {}))],
      clock,
    );
    await clock.advance(1000);
    expect(world.loop.ready).toBe(false);
    await clock.advance(5000);
    expect(world.loop.ready).toBe(true);
    await world.loop.firstRound;
  });
});
