import { expect, test } from "bun:test";
import { judgeDaemonFile } from "../../src/status/index.ts";

const nowMs = Date.parse("2026-03-01T12:00:00.000Z");
const alive = () => true;

function written(fields: { time?: string; pid?: number | null; interval_s?: number } = {}): string {
  const { time = "2026-03-01T11:59:00.000Z", pid = 42, interval_s = 60 } = fields;
  return JSON.stringify({
    schema: "citadel.status/1",
    host: "h",
    time,
    storage: [],
    agent: { version: "1", pid, uptime_s: 1, interval_s },
  });
}

test("judgeDaemonFile takes a status that is fresh and whose daemon lives", () => {
  expect(judgeDaemonFile({ text: written(), nowMs, isAlive: alive }).state).toBe("fresh");
});

test("judgeDaemonFile takes nothing that is older than two intervals, or from the future", () => {
  for (const time of ["2026-03-01T11:57:59.000Z", "2026-03-01T12:02:01.000Z", "not a time"]) {
    expect(judgeDaemonFile({ text: written({ time }), nowMs, isAlive: alive }).state).toBe("stale");
  }
});

test("judgeDaemonFile takes nothing from a daemon that is gone", () => {
  expect(judgeDaemonFile({ text: written(), nowMs, isAlive: () => false }).state).toBe("stale");
  expect(judgeDaemonFile({ text: written({ pid: null }), nowMs, isAlive: alive }).state).toBe(
    "stale",
  );
});

test.each(["", "{", "null", "[]", '{"schema":"other/1"}', '{"schema":"citadel.status/1"}'])(
  "judgeDaemonFile calls %j stale, never fresh",
  (text) => {
    expect(judgeDaemonFile({ text, nowMs, isAlive: alive }).state).toBe("stale");
  },
);

test("judgeDaemonFile says absent where there is no file", () => {
  expect(judgeDaemonFile({ text: undefined, nowMs, isAlive: alive })).toEqual({ state: "absent" });
});
