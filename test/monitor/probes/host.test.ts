import { describe, expect, test } from "bun:test";
import {
  diskRates,
  parseDiskstats,
  parsePressure,
  type DiskCounters,
} from "../../../src/monitor/probes/diskstats.ts";
import {
  cpuUsage,
  createHostProbe,
  parseCpuStat,
  parseLoadavg,
  parseMeminfo,
} from "../../../src/monitor/probes/host.ts";
import { parseProcessStatus, parseProcessTicks } from "../../../src/monitor/probes/agent.ts";
import { systemClock } from "../../../src/system/index.ts";
import { fixturesRoot, readFixture } from "../../support/fixtures.ts";
import { fuzz } from "../../support/fuzz.ts";

describe.skipIf(fixturesRoot === undefined)("recorded machines", () => {
  test.each([
    ["proc-sys/procfs-fixture/proc/diskstats", "sda", 25354637],
    ["proc-sys/procfs-fixture/proc/diskstats", "nvme0n1", 47114],
    ["proc-sys/procfs-fixture/proc/diskstats", "sdc2", 13126],
    ["proc-sys/ubuntu-snap/proc/diskstats", "sda", 0],
  ])("%s: %s", (path, device, reads) => {
    const counters = parseDiskstats(readFixture(path)).get(device);
    if (reads > 0) expect(counters?.reads).toBe(reads);
    else expect(counters).toBeDefined();
  });

  test.each([
    ["procfs-fixture", 15666184 * 1024],
    ["ryzen-1600", 0],
    ["vm-virtio", 0],
    ["xeon-l5640", 0],
    ["ubuntu-snap", 0],
    ["gopsutil-i5", 0],
    ["telegraf-meminfo-missing", 0],
  ])("memory of %s", (machine, total) => {
    const memory = parseMeminfo(readFixture(`proc-sys/${machine}/proc/meminfo`));
    expect(memory).toBeDefined();
    if (total > 0) expect(memory?.totalBytes).toBe(total);
    expect(memory?.availableBytes).toBeGreaterThan(0);
    expect(memory?.availableBytes).toBeLessThanOrEqual(memory?.totalBytes ?? 0);
  });

  test.each(["procfs-fixture", "ubuntu-snap", "gopsutil-stat", "fedora30-stat"])(
    "processors of %s",
    (machine) => {
      const cpu = parseCpuStat(readFixture(`proc-sys/${machine}/proc/stat`));
      expect(cpu?.count).toBeGreaterThan(0);
      expect(cpu?.idle).toBeLessThanOrEqual(cpu?.total ?? 0);
    },
  );

  test("load averages", () => {
    expect(parseLoadavg(readFixture("proc-sys/procfs-fixture/proc/loadavg"))?.[0]).toBe(0.02);
    expect(parseLoadavg(readFixture("proc-sys/ubuntu-snap/proc/loadavg"))).toBeDefined();
  });

  test("pressure", () => {
    expect(parsePressure(readFixture("proc-sys/telegraf-pressure/proc/pressure/io"))).toEqual({
      someAvg10Ratio: 0.1,
      someAvg60Ratio: 0.6,
      fullAvg10Ratio: 0.01,
      fullAvg60Ratio: 0.06,
    });
  });

  test("mutated files (seed 3) never throw and give no impossible share", () => {
    fuzz(
      [readFixture("proc-sys/procfs-fixture/proc/diskstats")],
      (text) => {
        for (const counters of parseDiskstats(text).values())
          if (!Number.isFinite(counters.busyMs)) throw new Error("not finite");
      },
      { seed: 3, count: 300 },
    );
    const stat = readFixture("proc-sys/procfs-fixture/proc/stat");
    const before = parseCpuStat(stat);
    fuzz(
      [stat],
      (text) => {
        const after = parseCpuStat(text);
        if (before === undefined || after === undefined) return;
        const usage = cpuUsage(before, after);
        if (usage !== null && !(usage >= 0 && usage <= 1)) throw new Error(`usage ${usage}`);
      },
      { seed: 4, count: 300 },
    );
    fuzz([readFixture("proc-sys/procfs-fixture/proc/meminfo")], parseMeminfo, {
      seed: 5,
      count: 300,
    });
  });
});

const counters = (more: Partial<DiskCounters>): DiskCounters => ({
  device: "sda",
  reads: 0,
  readSectors: 0,
  readMs: 0,
  writes: 0,
  writeSectors: 0,
  writeMs: 0,
  inFlight: 0,
  busyMs: 0,
  weightedMs: 0,
  ...more,
});

describe("rates", () => {
  test("are the differences over the window", () => {
    const rates = diskRates(
      counters({ reads: 100, readSectors: 800 }),
      counters({
        reads: 300,
        readSectors: 800 + 2048,
        readMs: 1000,
        writes: 50,
        writeSectors: 100,
        writeMs: 500,
        busyMs: 900,
        weightedMs: 1500,
      }),
      1000,
      ["models"],
    );
    expect(rates).toMatchObject({
      readsPerS: 200,
      writesPerS: 50,
      readBytesPerS: 1024 * 1024,
      readAwaitMs: 5,
      writeAwaitMs: 10,
      awaitMs: 6,
      utilisation: 0.9,
      queueDepth: 1.5,
    });
  });

  test("of an idle disk have no await", () => {
    expect(diskRates(counters({}), counters({}), 1000, [])).toMatchObject({
      awaitMs: null,
      requestBytes: null,
      utilisation: 0,
    });
  });

  test("are left out when a counter went back", () => {
    expect(diskRates(counters({ reads: 5 }), counters({ reads: 4 }), 1000, [])).toBeUndefined();
    expect(diskRates(counters({}), counters({}), 0, [])).toBeUndefined();
  });
});

describe("this machine", () => {
  test("the host probe reads the real /proc", async () => {
    const probe = createHostProbe({
      intervalS: 60,
      clock: systemClock,
      procPath: "/proc",
      firstWindowMs: 20,
    });
    const reading = await probe.run(new AbortController().signal);
    expect(reading.state).toBe("ok");
    expect(reading.data?.memoryUsage).toBeGreaterThan(0);
    expect(reading.data?.memoryUsage).toBeLessThan(1);
    expect(reading.data?.cpuCount).toBeGreaterThan(0);
  });

  test("below a root without /proc it does not apply", async () => {
    const probe = createHostProbe({ intervalS: 60, clock: systemClock, procPath: undefined });
    expect((await probe.run(new AbortController().signal)).state).toBe("not_applicable");
  });

  test("a process's name cannot shift its fields", () => {
    const stat = (name: string) => `42 (${name}) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0`;
    expect(parseProcessTicks(stat("bun"))).toBe(200);
    expect(parseProcessTicks(stat("a) R 1 2 (b"))).toBe(200);
    expect(parseProcessTicks("")).toBeUndefined();
    expect(parseProcessStatus("VmRSS:\t  1024 kB\nRssAnon:\t 512 kB\n")).toEqual({
      rssBytes: 1024 * 1024,
      anonymousBytes: 512 * 1024,
    });
  });
});
