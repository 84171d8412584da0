import { describe, expect, test } from "bun:test";
import { estimateTrend, estimateWornOut, fitSlope, type Point } from "../../src/monitor/trend.ts";
import { createRandom } from "../support/fuzz.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const gib = 1024 ** 3;
const nowMs = Date.UTC(2026, 5, 1);

/** One point each five minutes over `spanMs`, ending now. */
function series(spanMs: number, value: (agoMs: number) => number): Point[] {
  const points: Point[] = [];
  for (let agoMs = spanMs; agoMs >= 0; agoMs -= 5 * minuteMs)
    points.push({ atMs: nowMs - agoMs, value: value(agoMs) });
  return points;
}
const estimate = (used: Point[], availableBytes: number, comingBytes = 0) =>
  estimateTrend({ used, availableBytes, comingBytes, nowMs });

describe("time to full", () => {
  test("is null until the history spans an hour", () => {
    const growing = (spanMs: number) =>
      estimate(
        series(spanMs, (ago) => -ago * 1e5),
        100 * gib,
      );
    expect(growing(55 * minuteMs).fullInS).toBeNull();
    expect(growing(55 * minuteMs).growthBytesPerDay).toBeNull();
    expect(growing(60 * minuteMs).fullInS).not.toBeNull();
  });

  test("of steady growth is exact", () => {
    const perDay = 24 * gib;
    const trend = estimate(
      series(2 * dayMs, (ago) => 500 * gib - (ago / dayMs) * perDay),
      12 * gib,
    );
    expect(trend.growthBytesPerDay).toBeCloseTo(perDay, -3);
    expect(trend.fullInS).toBeCloseTo(12 * 3600, 0);
    expect(trend.fullInLowS).toBeCloseTo(12 * 3600, 0);
  });

  test("of noisy growth (seed 5) lies in its interval, and the interval is honest", () => {
    let covered = 0;
    for (let seed = 0; seed < 50; seed += 1) {
      const random = createRandom(5 + seed);
      const noise = () => (random() + random() + random() - 1.5) * gib;
      const perDay = 10 * gib;
      const used = series(dayMs, (ago) => 100 * gib - (ago / dayMs) * perDay + noise());
      const trend = estimate(used, 100 * gib);
      expect(trend.growthBytesPerDay).toBeGreaterThan(perDay * 0.5);
      expect(trend.growthBytesPerDay).toBeLessThan(perDay * 1.5);
      const truthS = 10 * 24 * 3600;
      if ((trend.fullInLowS ?? Infinity) <= truthS && truthS <= (trend.fullInHighS ?? Infinity))
        covered += 1;
    }
    // 90 % nominal; the fastest window is taken, which costs some.
    expect(covered).toBeGreaterThanOrEqual(30);
  });

  test("is null where nothing grows, or where it shrinks", () => {
    expect(
      estimate(
        series(dayMs, () => 5 * gib),
        gib,
      ),
    ).toMatchObject({
      fullInS: null,
      growthBytesPerDay: 0,
    });
    expect(
      estimate(
        series(dayMs, (ago) => ago),
        gib,
      ).fullInS,
    ).toBeNull();
  });

  test("is not bent by one burst or one clean-up", () => {
    const steady = series(dayMs, (ago) => 100 * gib - (ago / dayMs) * 2 * gib);
    const spiked = steady.map((point, at) =>
      at > 100 && at < 110 ? { ...point, value: point.value + 50 * gib } : point,
    );
    expect(estimate(spiked, 100 * gib).growthBytesPerDay).toBeCloseTo(2 * gib, -8);
  });

  test("sees a fast fill of the last hours that a long window hides", () => {
    const used = series(3 * dayMs, (ago) =>
      ago > 3 * hourMs ? 100 * gib : 100 * gib + (1 - ago / (3 * hourMs)) * 60 * gib,
    );
    const trend = estimate(used, 100 * gib);
    expect(trend.fullInS).toBeGreaterThan(4 * 3600);
    expect(trend.fullInS).toBeLessThan(6 * 3600);
  });

  test("takes bytes that are known to come off what is left, and does not extrapolate them", () => {
    const used = series(3 * dayMs, (ago) =>
      ago > 2 * hourMs ? 100 * gib : 100 * gib + (1 - ago / (2 * hourMs)) * 60 * gib,
    );
    expect(estimate(used, 100 * gib, 40 * gib).fullInS).toBeNull();
    expect(estimate(used, 100 * gib, 120 * gib).fullInS).toBe(0);
  });
});

test("a slope needs three points and a span", () => {
  expect(fitSlope([])).toBeUndefined();
  expect(
    fitSlope([
      { atMs: 0, value: 1 },
      { atMs: 1, value: 2 },
    ]),
  ).toBeUndefined();
  const same = { atMs: 5, value: 1 };
  expect(fitSlope([same, same, same])).toBeUndefined();
});

describe("the wear of a disk", () => {
  const perDay = 0.001;
  test("is extrapolated to its rated endurance", () => {
    const wear = series(14 * dayMs, (ago) => 0.9 - (ago / dayMs) * perDay);
    expect((estimateWornOut(wear) ?? 0) / 86_400).toBeCloseTo(100, 3);
  });
  test("in whole percents, as disks report it, is found too", () => {
    const wear = series(30 * dayMs, (ago) => Math.floor(90 - (ago / dayMs) * 0.5) / 100);
    const days = (estimateWornOut(wear) ?? 0) / 86_400;
    expect(days).toBeGreaterThan(15);
    expect(days).toBeLessThan(25);
  });
  test("says nothing within a week of history, or where it stands still", () => {
    expect(estimateWornOut(series(6 * dayMs, (ago) => 0.9 - ago / dayMs / 1000))).toBeNull();
    expect(estimateWornOut(series(14 * dayMs, () => 0.9))).toBeNull();
    expect(estimateWornOut([])).toBeNull();
  });
});
