import { describe, expect, test } from "bun:test";
import { analyzePerf, type StorageFacts } from "../../../src/monitor/perf/analyze.ts";
import { choosePerfSize } from "../../../src/monitor/perf/plan.ts";
import { summarize, type PerfFigures } from "../../../src/monitor/perf/summary.ts";

const mib = 1024 ** 2;
const figures = (
  name: PerfFigures["name"],
  more: { bytesPerS?: number; p95Ms?: number } = {},
): PerfFigures => ({
  name,
  block_bytes: 4096,
  depth: 1,
  operations: 100,
  bytes: 409_600,
  duration_s: 1,
  iops: 100,
  bytes_per_s: more.bytesPerS ?? 500e6,
  latency: { p50_s: 0.001, p95_s: (more.p95Ms ?? 1) / 1000, p99_s: 0.01, max_s: 0.1 },
});
const facts = (more: Partial<StorageFacts> = {}): StorageFacts => ({
  path: "/mnt/citadel-models",
  mountpoint: "/mnt/citadel-models",
  fstype: "ext4",
  options: ["rw", "noatime"],
  disks: [
    {
      name: "nvme0n1",
      rotational: false,
      transport: "nvme",
      scheduler: "none",
      schedulers: ["none", "mq-deadline"],
    },
  ],
  layers: ["partition", "disk"],
  direct: true,
  ...more,
});
const thresholds = { ioLatencyMs: 100, throughputBytesPerS: 100e6 };
const fast = [figures("sequential_read"), figures("sequential_write"), figures("fsync")];

describe("the bottleneck", () => {
  test.each<[string, Partial<StorageFacts>, string]>([
    ["nothing special", {}, "device"],
    ["nfs", { fstype: "nfs4", disks: [] }, "network"],
    ["memory", { fstype: "tmpfs", disks: [] }, "memory"],
    ["mounted sync", { options: ["rw", "sync"] }, "file_system_option"],
    ["journalled data", { options: ["rw", "data=journal"] }, "file_system_option"],
    ["no direct I/O", { direct: false }, "cache"],
    ["encryption", { layers: ["crypt", "partition", "disk"] }, "encryption"],
    [
      "an old scheduler",
      {
        disks: [
          {
            name: "nvme0n1",
            rotational: false,
            transport: "nvme",
            scheduler: "bfq",
            schedulers: ["none", "bfq"],
          },
        ],
      },
      "scheduler",
    ],
  ])("%s", (_name, more, limit) =>
    expect(analyzePerf(fast, facts(more), thresholds).bottleneck?.limit).toBe(limit as never),
  );

  test("names the metric that misses its threshold most", () => {
    const slow = [
      figures("sequential_read", { bytesPerS: 50e6 }),
      figures("sequential_write", { bytesPerS: 80e6 }),
      figures("fsync", { p95Ms: 150 }),
    ];
    expect(analyzePerf(slow, facts(), thresholds).bottleneck).toMatchObject({
      metric: "sequential_read_throughput",
      exceeded: true,
      value: 50e6,
      threshold: 100e6,
    });
  });

  test("exactly at a latency threshold is too slow, exactly at a throughput threshold is enough", () => {
    const at = (each: PerfFigures) => analyzePerf([each], facts(), thresholds).bottleneck?.exceeded;
    expect(at(figures("fsync", { p95Ms: 100 }))).toBe(true);
    expect(at(figures("sequential_read", { bytesPerS: 100e6 }))).toBe(false);
  });

  test("a workload that did nothing is no measurement", () => {
    const idle = { ...figures("fsync"), operations: 0 };
    expect(analyzePerf([idle], facts(), thresholds).bottleneck).toBeNull();
  });
});

test("each finding has one recommendation with its reason", () => {
  const { recommendations } = analyzePerf(
    [figures("fsync", { p95Ms: 150 }), figures("sequential_read", { bytesPerS: 10e6 })],
    facts({ options: ["rw", "sync"] }),
    thresholds,
  );
  const found = recommendations.map(({ finding }) => finding.split(":")[0]);
  expect(found).toEqual([
    "mounted with sync",
    "mounted without noatime",
    "sequential_read_throughput",
    "fsync_latency_p95",
  ]);
  for (const each of recommendations) expect(each.reason).not.toBe("");
});

test("percentiles are of the nearest rank", () => {
  const latenciesMs = Array.from({ length: 100 }, (_, at) => at + 1);
  const result = summarize({
    name: "fsync",
    blockBytes: 4096,
    depth: 1,
    operations: 100,
    bytes: 409_600,
    durationMs: 2000,
    latenciesMs,
  });
  expect(result.latency).toEqual({ p50_s: 0.05, p95_s: 0.095, p99_s: 0.099, max_s: 0.1 });
  expect(result.iops).toBe(50);
});

describe("the size", () => {
  test("is at most an eighth of what is free", () => {
    expect(choosePerfSize("/x", 1024 * 1024 * mib)).toBe(256 * mib);
    expect(choosePerfSize("/x", 800 * mib)).toBe(100 * mib);
    expect(choosePerfSize("/x", 128 * mib)).toBe(16 * mib);
  });
  test.each([
    [127 * mib, undefined],
    [0, undefined],
    [100 * mib, 64 * mib],
    [1024 * mib, mib],
  ])("with %d free and %d asked for it refuses", (available, wanted) =>
    expect(() => choosePerfSize("/x", available, wanted)).toThrow("too little is free"),
  );
});
