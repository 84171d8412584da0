import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { AbsolutePath } from "../../src/core/index.ts";
import { advanceAlerts } from "../../src/monitor/alert.ts";
import { openHistory, openHistoryForReading, type History } from "../../src/monitor/history.ts";
import { ManualClock } from "../support/manual-clock.ts";

// Processes and disks of a busy machine: the limit is for a hang, not for speed.
setDefaultTimeout(60_000);

let directory: string;
let clock: ManualClock;
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/monitor-history-`);
  clock = new ManualClock(Date.UTC(2026, 0, 10));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (more = {}): History =>
  openHistory({
    path: `${directory}/state/history.db` as AbsolutePath,
    clock,
    metricsRetentionDays: 30,
    alertsRetentionDays: 7,
    ...more,
  });
const labels = { root: "models", path: "/mnt/citadel-models" };
const used = (value: number) => [{ series: "storage_used_bytes", labels, value }];
/** One sample a minute for `minutes`. */
function fill(history: History, minutes: number, value = (at: number) => at): void {
  for (let at = 0; at < minutes; at += 1) {
    history.record(used(value(at)), clock.nowMs());
    clock.jumpWall(60_000);
  }
}
const points = (history: History, sinceMs = 0) =>
  history.points("storage_used_bytes", labels, sinceMs);

describe("samples", () => {
  test("are read back in order, roll-ups first, with nothing twice and nothing missing", () => {
    using history = open();
    fill(history, 63);
    const all = points(history);
    expect(all.at(-1)?.value).toBe(62);
    const times = all.map((point) => point.atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(new Set(times).size).toBe(times.length);
    // The first bucket is one value, its last.
    expect(all[0]).toEqual({ atMs: Date.UTC(2026, 0, 10) + 299_000, value: 4 });
    expect(all.length).toBeLessThan(20);
  });

  test("raw values go after a day, roll-ups after the retention", () => {
    using history = open({ metricsRetentionDays: 3 });
    fill(history, 5 * 24 * 60);
    const all = points(history);
    const spanMs = clock.nowMs() - (all[0]?.atMs ?? 0);
    expect(spanMs).toBeLessThanOrEqual(3 * 24 * 3600_000 + 3600_000 + 600_000);
    expect(spanMs).toBeGreaterThan(2.9 * 24 * 3600_000);
    const raw = history.transaction("count", ({ handle }) =>
      handle.query<{ n: number }, []>("SELECT count(*) AS n FROM samples").get(),
    );
    expect(raw?.n).toBeLessThanOrEqual(25 * 60 + 10);
  });

  test("of series that nobody keeps are not stored", () => {
    using history = open();
    history.record([{ series: "load1", labels: {}, value: 1 }], clock.nowMs());
    history.record([{ series: "unknown_series", labels: {}, value: 1 }], clock.nowMs());
    history.record([{ series: "storage_used_bytes", labels, value: Number.NaN }], clock.nowMs());
    expect(history.points("load1", {}, 0)).toEqual([]);
    expect(points(history)).toEqual([]);
    expect(history.problem).toBeNull();
  });

  test("the size stays bounded: the oldest roll-ups go first", () => {
    const limitBytes = 256 * 1024;
    using history = open({ limitBytes, metricsRetentionDays: 3650 });
    const many = Array.from({ length: 15 }, (_, at) => ({
      series: "disk_await_seconds",
      labels: { device: `sd${at}` },
      value: at,
    }));
    for (let at = 0; at < 4 * 24 * 12; at += 1) {
      history.record([...many, ...used(at)], clock.nowMs());
      clock.jumpWall(300_000);
    }
    expect(history.problem).toBeNull();
    const size = history.transaction("size", ({ handle }) =>
      handle
        .query<{ bytes: number }, []>(
          "SELECT (page_count - freelist_count) * page_size AS bytes FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )
        .get(),
    );
    // A day of raw values stays whatever the limit says: 16 series at 288 a day.
    expect(size?.bytes).toBeLessThan(limitBytes * 3);
    expect(points(history).at(-1)?.value).toBe(4 * 24 * 12 - 1);
  });

  test("after the clock was set back, values of the future do not stay for ever", () => {
    using history = open();
    history.record(used(1), clock.nowMs());
    clock.jumpWall(-10 * 24 * 3600_000);
    history.record(used(2), clock.nowMs());
    clock.jumpWall(300_000);
    history.record(used(3), clock.nowMs());
    expect(points(history).map((point) => point.value)).toEqual([2, 3]);
  });
});

describe("a history in trouble", () => {
  test("a damaged file is set aside, said, and begun anew", () => {
    {
      using history = open();
      fill(history, 10);
      expect(history.problem).toBeNull();
    }
    for (const name of readdirSync(`${directory}/state`))
      writeFileSync(`${directory}/state/${name}`, Buffer.alloc(16_384, 0x55));
    using history = open();
    expect(history.problem).toContain("damaged");
    history.record(used(7), clock.nowMs());
    expect(points(history)).toMatchObject([{ value: 7 }]);
    clock.jumpWall(2 * 3600_000);
    expect(history.problem).toBeNull();
  });

  test("a place that cannot be written is said, and memory and monitoring go on", () => {
    writeFileSync(`${directory}/state`, "a file where the directory should be");
    using history = open();
    expect(history.problem).toBeString();
    history.record(used(1), clock.nowMs());
    history.memory.write("gpu.uuids", ["GPU-1"]);
    expect(history.memory.read("gpu.uuids")).toEqual(["GPU-1"]);
    expect(points(history)).toEqual([]);
    expect(history.alerts((store) => store.list())).toBeUndefined();
    // As soon as it can be written, it is.
    rmSync(`${directory}/state`);
    clock.jumpWall(120_000);
    history.record(used(2), clock.nowMs());
    expect(history.problem).toBeNull();
    expect(points(history)).toMatchObject([{ value: 2 }]);
  });
});

describe("what is remembered", () => {
  test("survives a restart; a command that looks changes nothing", () => {
    {
      using history = open();
      history.memory.write("smart.disks", [{ device: "/dev/sda" }]);
    }
    using view = openHistoryForReading(`${directory}/state/history.db` as AbsolutePath);
    view?.memory.write("smart.disks", []);
    expect(view?.memory.read("smart.disks")).toEqual([]);
    using again = open();
    expect(again.memory.read("smart.disks")).toEqual([{ device: "/dev/sda" }]);
  });

  test("where no daemon ever ran there is nothing to look at", () => {
    expect(openHistoryForReading(`${directory}/none/history.db` as AbsolutePath)).toBeUndefined();
  });

  test("the file is private", () => {
    using history = open();
    history.record(used(1), clock.nowMs());
    expect(statSync(`${directory}/state/history.db`).mode & 0o777).toBe(0o600);
  });
});

describe("alerts", () => {
  const finding = {
    name: "DISK_USAGE",
    severity: "warning" as const,
    labels,
    summary: "full",
    advice: "free",
  };
  const evaluate = (found: boolean) => ({
    findings: found ? [finding] : [],
    judged: new Set(["DISK_USAGE"]),
    blind: new Map(),
    holds: new Map([["DISK_USAGE", { hold: 0, clearHold: 0 }]]),
  });

  test("survive a restart, resolve once, and stay listed for their retention", () => {
    {
      using history = open();
      const fired = advanceAlerts([], evaluate(true), clock.nowMs());
      history.transaction("save", (_database, store) => store.save(fired));
    }
    using history = open();
    const active = history.alerts((store) => store.active()) ?? [];
    expect(active).toMatchObject([{ name: "DISK_USAGE", state: "firing" }]);
    clock.jumpWall(60_000);
    const resolved = advanceAlerts(active, evaluate(false), clock.nowMs());
    history.transaction("save", (_database, store) => store.save(resolved));
    expect(history.alerts((store) => store.active())).toEqual([]);
    expect(history.alerts((store) => store.list())).toMatchObject([{ state: "resolved" }]);
    clock.jumpWall(6 * 24 * 3600_000);
    history.record(used(1), clock.nowMs());
    expect(history.alerts((store) => store.list())).toHaveLength(1);
    clock.jumpWall(2 * 24 * 3600_000);
    history.record(used(1), clock.nowMs());
    expect(history.alerts((store) => store.list())).toEqual([]);
  });

  test("a failed transaction stores neither the alert nor what went with it", () => {
    using history = open();
    const fired = advanceAlerts([], evaluate(true), clock.nowMs());
    history.transaction("save", (_database, store) => {
      store.save(fired);
      throw new Error("the outbox is full");
    });
    expect(history.problem).toContain("outbox");
    clock.jumpWall(120_000);
    expect(history.alerts((store) => store.active())).toEqual([]);
  });
});

test("a key that another process wrote is read anew", () => {
  using daemon = open();
  daemon.memory.write("smart.disks", [{ device: "/dev/sda" }]);
  {
    using other = open();
    other.memory.write("smart.disks", []);
  }
  expect(daemon.memory.read("smart.disks")).toEqual([]);
});

test.skipIf(process.geteuid?.() !== 0)(
  "on a full disk nothing is lost but samples: alerts stay in the process, and all is written when there is room",
  () => {
    mkdirSync(`${directory}/state`);
    const mounted = Bun.spawnSync([
      ..."mount -t tmpfs -o size=6m,mode=0700 tmpfs".split(" "),
      `${directory}/state`,
    ]);
    expect(mounted.exitCode).toBe(0);
    try {
      using history = open();
      fill(history, 3);
      expect(history.problem).toBeNull();
      let filled = 0;
      try {
        for (; filled < 100; filled += 1)
          writeFileSync(`${directory}/state/fill${filled}`, Buffer.alloc(256 * 1024));
      } catch {
        // full
      }
      const many = Array.from({ length: 2000 }, (_, at) => ({
        series: "disk_await_seconds",
        labels: { device: `sd${at}` },
        value: at,
      }));
      for (let at = 0; at < 60 && history.problem === null; at += 1) {
        history.record(many, clock.nowMs());
        clock.jumpWall(60_000);
      }
      expect(history.problem).toContain("space");
      history.memory.write("gpu.uuids", ["GPU-1"]);
      expect(history.memory.read("gpu.uuids")).toEqual(["GPU-1"]);
      for (const name of readdirSync(`${directory}/state`))
        if (name.startsWith("fill")) rmSync(`${directory}/state/${name}`);
      clock.jumpWall(120_000);
      history.record(used(99), clock.nowMs());
      expect(history.problem).toBeNull();
      expect(points(history).at(-1)?.value).toBe(99);
    } finally {
      Bun.spawnSync(["umount", "-l", `${directory}/state`]);
    }
  },
);
