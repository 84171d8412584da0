import { describe, expect, test } from "bun:test";
import { CitadelError } from "../../src/core/index.ts";
import { defineProbe } from "../../src/monitor/probe.ts";
import { createProbeRunner } from "../../src/monitor/run-probe.ts";
import { runOnce } from "../../src/monitor/once.ts";
import type { Reading } from "../../src/monitor/sample.ts";
import type { LinksData } from "../../src/monitor/data.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { testThresholds } from "../support/monitor-samples.ts";

const healthy: Reading<LinksData> = {
  state: "ok",
  data: { total: 1, healthy: 1, issues: [] },
  values: [],
};
const probeOf = (run: (signal: AbortSignal) => Promise<Reading<LinksData>>) =>
  defineProbe({ name: "links", intervalS: 60, timeoutMs: 5000, run });
const signal = () => new AbortController().signal;

describe("a probe", () => {
  test("that answers is a sample with its time", async () => {
    const clock = new ManualClock();
    const sample = await createProbeRunner(
      probeOf(() => Promise.resolve(healthy)),
      clock,
    ).run(signal());
    expect(sample).toMatchObject({ state: "ok", measuredAtMs: clock.nowMs(), error: undefined });
  });

  test.each([
    ["throws", () => Promise.reject(new Error("boom")), "PROBE_FAILED"],
    [
      "throws ours",
      () => Promise.reject(new CitadelError({ kind: "io", code: "IO_ERROR", message: "boom" })),
      "IO_ERROR",
    ],
    [
      "throws at once",
      () => {
        throw new Error("boom");
      },
      "PROBE_FAILED",
    ],
  ])("that %s is an unknown sample", async (_name, run, code) => {
    const sample = await createProbeRunner(probeOf(run), new ManualClock()).run(signal());
    expect(sample).toMatchObject({
      state: "unknown",
      data: null,
      error: { code, message: "boom" },
    });
  });

  test("that hangs is cut off at its deadline, not started again, and goes on when it ends", async () => {
    const clock = new ManualClock();
    let release: (reading: Reading<LinksData>) => void = () => {};
    let runs = 0;
    let aborted = false;
    const runner = createProbeRunner(
      probeOf((probeSignal) => {
        runs += 1;
        probeSignal.addEventListener("abort", () => {
          aborted = true;
        });
        return new Promise((resolve) => {
          release = resolve;
        });
      }),
      clock,
    );
    const first = runner.run(signal());
    await clock.advance(5000);
    expect(await first).toMatchObject({ state: "unknown", error: { code: "PROBE_TIMEOUT" } });
    expect(aborted).toBe(true);
    await clock.advance(60_000);
    expect(await runner.run(signal())).toMatchObject({
      error: { code: "PROBE_STUCK", message: "the run from 65 s ago has not ended" },
    });
    expect(runs).toBe(1);
    release(healthy);
    await clock.advance(0);
    const third = runner.run(signal());
    expect(runs).toBe(2);
    release(healthy);
    expect((await third).state).toBe("ok");
    expect(clock.sleeping).toBe(0);
  });

  test("ends with the agent", async () => {
    const stop = new AbortController();
    const clock = new ManualClock();
    const run = createProbeRunner(
      probeOf(() => new Promise(() => {})),
      clock,
    ).run(stop.signal);
    stop.abort();
    expect(await run).toMatchObject({ error: { code: "CANCELLED" } });
  });
});

test("one hanging probe does not keep the others of a look waiting for their samples", async () => {
  const clock = new ManualClock();
  const hanging = probeOf(() => new Promise(() => {}));
  const quick = defineProbe({
    name: "models",
    intervalS: 60,
    timeoutMs: 5000,
    run: () => Promise.resolve({ state: "ok" as const, data: { models: [] }, values: [] }),
  });
  const look = runOnce([hanging, quick], {
    clock,
    signal: signal(),
    rules: [],
    thresholds: testThresholds,
  });
  await clock.advance(5000);
  const { samples, overall } = await look;
  expect(samples.models?.state).toBe("ok");
  expect(samples.links).toMatchObject({ state: "unknown", error: { code: "PROBE_TIMEOUT" } });
  expect(overall).toBe("unknown");
});
