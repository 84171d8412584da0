import { describe, expect, test } from "bun:test";
import { loadExplanations } from "../../src/explain/index.ts";
import type { Alert } from "../../src/monitor/alert.ts";
import type { BackupsData, ProbeData } from "../../src/monitor/data.ts";
import { evaluateRules, withFindings } from "../../src/monitor/evaluate.ts";
import { fingerprintOf, type Finding } from "../../src/monitor/rule.ts";
import { levelOf, shippedRules } from "../../src/monitor/rules/index.ts";
import type { ProbeName, Sample } from "../../src/monitor/sample.ts";
import { diskOf, gpuOf, mountOf, spaceOf, testContext } from "../support/monitor-samples.ts";

const sampleOf = <Name extends ProbeName>(
  probe: Name,
  data: ProbeData[Name] | null,
  more: Partial<Sample<Name>> = {},
): Sample<Name> => ({
  probe,
  state: data === null ? "unknown" : "ok",
  note: undefined,
  measuredAtMs: 0,
  durationMs: 1,
  values: [],
  data,
  findings: [],
  error: undefined,
  ...more,
});
const judge = (sample: Sample, context = testContext()) =>
  evaluateRules([sample], shippedRules, context);
const names = (sample: Sample, context = testContext()) =>
  judge(sample, context).findings.map(({ name, severity }) => `${name} ${severity}`);
const active = (finding: Pick<Finding, "name" | "labels" | "severity">): Alert =>
  ({
    ...finding,
    fingerprint: fingerprintOf(finding.name, finding.labels),
    state: "firing",
  }) as Alert;

test("every name that a rule can use is explained, and no two rules share one", async () => {
  const explained = await loadExplanations();
  const all = [...shippedRules.flatMap((rule) => rule.names), "PROBE_FAILING"];
  expect(all.filter((name) => !explained.has(name))).toEqual([]);
  expect(new Set(all).size).toBe(all.length);
});

describe("thresholds mean greater or equal", () => {
  const space = (usage: number) => sampleOf("space", { roots: [spaceOf({ usage })] });
  test.each([
    [0.79, []],
    [0.8, ["DISK_USAGE warning"]],
    [0.8999, ["DISK_USAGE warning"]],
    [0.9, ["DISK_USAGE critical"]],
    [1, ["DISK_USAGE critical"]],
  ])("%d of a disk used", (usage, found) => expect(names(space(usage))).toEqual(found));

  test.each([
    [0.79, []],
    [0.8, ["INODE_USAGE warning"]],
    [0.95, ["INODE_USAGE critical"]],
    [null, []],
  ])("%p of the inodes used", (inodeUsage, found) =>
    expect(names(sampleOf("space", { roots: [spaceOf({ inodeUsage })] }))).toEqual(found),
  );

  test("hysteresis: what fires goes only when it is clearly below, level by level", () => {
    const limits = { warning: 0.8, critical: 0.9 };
    expect(levelOf(0.79, limits, undefined, 0.02)).toBeUndefined();
    expect(levelOf(0.79, limits, "warning", 0.02)).toBe("warning");
    expect(levelOf(0.77, limits, "warning", 0.02)).toBeUndefined();
    expect(levelOf(0.89, limits, "critical", 0.02)).toBe("critical");
    expect(levelOf(0.87, limits, "critical", 0.02)).toBe("warning");
    expect(levelOf(0.89, limits, "warning", 0.02)).toBe("warning");
  });

  test("the rule takes the level from the active alert", () => {
    const labels = { root: "models", path: "/mnt/citadel-models" };
    const context = testContext([active({ name: "DISK_USAGE", labels, severity: "warning" })]);
    expect(names(space(0.79), context)).toEqual(["DISK_USAGE warning"]);
    expect(names(space(0.77), context)).toEqual([]);
  });
});

describe("storage", () => {
  const mounts = (more: Parameters<typeof mountOf>[0]) =>
    sampleOf("mounts", { roots: [mountOf(more)] });
  test.each<[string, Parameters<typeof mountOf>[0], string[]]>([
    ["as it should be", {}, []],
    ["not mounted", { mounted: false, mountpoint: "/", uuid: "other" }, ["MOUNT_MISSING critical"]],
    ["not mounted and not needed", { mounted: false, requireMount: false }, []],
    ["another disk", { uuid: "other" }, ["WRONG_DISK critical"]],
    ["another type", { fstype: "xfs" }, ["WRONG_DISK critical"]],
    ["an automount that nobody entered", { fstype: "autofs", uuid: null }, []],
    ["a disk whose UUID nobody knows", { uuid: null }, []],
    ["read-only", { readOnly: true }, ["STORAGE_READ_ONLY critical"]],
    ["without a tuned option", { missingOptions: ["noatime"] }, ["MOUNT_OPTIONS warning"]],
  ])("%s", (_name, more, found) => expect(names(mounts(more))).toEqual(found));

  test("a root that hangs is critical, and what is known of it stays", () => {
    const hung = spaceOf({
      answering: false,
      exists: null,
      usage: null,
      totalBytes: null,
      inodeUsage: null,
    });
    const evaluation = judge(
      sampleOf("space", { roots: [hung, spaceOf({ role: "backup", path: "/b" })] }),
    );
    expect(evaluation.findings.map(({ name }) => name)).toEqual(["STORAGE_NOT_ANSWERING"]);
    expect(evaluation.blind.get("DISK_USAGE")).toEqual([
      { root: "models", path: "/mnt/citadel-models" },
    ]);
    expect(evaluation.blind.get("INODE_USAGE")).toHaveLength(1);
  });

  test("full within a day, by the trend; the warning ends above a day and a half", () => {
    const trend = (fullInS: number | null) =>
      sampleOf("space", {
        roots: [
          spaceOf({
            trend: {
              fullInS,
              fullInLowS: fullInS,
              fullInHighS: fullInS,
              growthBytesPerDay: 1e9,
              historySpanS: 7200,
            },
          }),
        ],
      });
    expect(names(trend(null))).toEqual([]);
    expect(names(trend(25 * 3600))).toEqual([]);
    expect(names(trend(24 * 3600))).toEqual(["DISK_FULL_SOON warning"]);
    const labels = { root: "models", path: "/mnt/citadel-models" };
    const context = testContext([active({ name: "DISK_FULL_SOON", labels, severity: "warning" })]);
    expect(names(trend(30 * 3600), context)).toEqual(["DISK_FULL_SOON warning"]);
    expect(names(trend(37 * 3600), context)).toEqual([]);
  });
});

describe("disks", () => {
  const smart = (
    more: Parameters<typeof diskOf>[0],
    vanished: ProbeData["smart"]["vanished"] = [],
  ) => sampleOf("smart", { disks: [diskOf(more)], vanished, source: "smartctl" });

  test("a count can be accepted, a failing disk cannot", () => {
    const problems = [
      { kind: "media_errors", severity: "warning", attribute: "media_errors", text: "7", value: 7 },
      { kind: "failing", severity: "critical", attribute: "health", text: "fails", value: null },
    ] as const;
    const { findings } = judge(smart({ state: "failed", problems }));
    expect(findings.map(({ name, acceptable }) => [name, acceptable])).toEqual([
      ["SMART_MEDIA_ERRORS", true],
      ["SMART_FAILING", undefined],
    ]);
    const [first] = findings as [Finding];
    const fingerprint = fingerprintOf(first.name, first.labels);
    const accepted = new Map([
      [fingerprint, { fingerprint, value: 7, by: "", atMs: 0, comment: "" }],
    ]);
    expect(withFindings(smart({}), [first], accepted).state).toBe("ok");
    expect(withFindings(smart({}), [{ ...first, value: 8 }], accepted).state).toBe("warning");
  });

  test("a disk that says nothing or is gone keeps the alerts it has", () => {
    const gone = { device: "/dev/sdb", serial: "S2", model: null };
    const { findings, blind } = judge(smart({ state: "unknown" }, [gone]));
    expect(findings.map(({ name }) => name)).toEqual(["DISK_VANISHED"]);
    expect(blind.get("SMART_FAILING")).toEqual([
      { device: "/dev/nvme0n1" },
      { device: "/dev/sdb" },
    ]);
  });

  test("low throughput needs a busy disk and large requests", () => {
    const io = (more: object) =>
      sampleOf("io", {
        windowS: 60,
        pressure: null,
        devices: [
          {
            device: "sda",
            roots: ["models"],
            readsPerS: 10,
            writesPerS: 0,
            readBytesPerS: 20e6,
            writeBytesPerS: 0,
            readAwaitMs: 5,
            writeAwaitMs: null,
            awaitMs: 5,
            utilisation: 1,
            queueDepth: 1,
            requestBytes: 1e6,
            ...more,
          },
        ],
      });
    expect(names(io({}))).toEqual(["THROUGHPUT_LOW warning"]);
    expect(names(io({ utilisation: 0.5 }))).toEqual([]);
    expect(names(io({ requestBytes: 4096 }))).toEqual([]);
    expect(names(io({ readBytesPerS: 100e6 }))).toEqual([]);
    expect(names(io({ utilisation: 0.2, awaitMs: 100 }))).toEqual(["DEVICE_LATENCY warning"]);
    expect(names(io({ utilisation: 0.2, awaitMs: null }))).toEqual([]);
  });
});

describe("backups", () => {
  const hourS = 3600;
  const nowMs = Date.UTC(2026, 0, 10);
  const backups = (more: Partial<BackupsData>) =>
    names(
      sampleOf("backups", {
        sinceMs: nowMs - 1000 * hourS,
        lastCompleteMs: nowMs,
        lastVerifiedMs: nowMs,
        nextScheduledMs: null,
        automatic: true,
        periodS: 24 * hourS,
        verifyEveryS: 7 * 24 * hourS,
        snapshots: 1,
        damaged: [],
        failedJobs: [],
        shrunk: null,
        uncovered: [],
        coverage: null,
        budgetProblem: null,
        ...more,
      }),
      testContext([], nowMs),
    );
  const ago = (hours: number) => nowMs - hours * hourS * 1000;
  const proved = (lagS: number, measuredAtMs: number) => ({
    ratio: lagS > 0 ? 0.9 : 1,
    lagS,
    bytesTotal: 1e12,
    measuredAtMs,
  });
  test.each<[string, Partial<BackupsData>, string[]]>([
    ["fresh", {}, []],
    [
      "a host set up an hour ago, without a snapshot",
      { sinceMs: ago(1), lastCompleteMs: null, lastVerifiedMs: null },
      [],
    ],
    [
      "a host set up two days ago, without a snapshot",
      { sinceMs: ago(48), lastCompleteMs: null, lastVerifiedMs: null },
      ["BACKUP_TOO_OLD warning"],
    ],
    ["one missed run", { lastCompleteMs: ago(36) }, ["BACKUP_TOO_OLD warning"]],
    ["three missed runs", { lastCompleteMs: ago(72) }, ["BACKUP_TOO_OLD critical"]],
    [
      "never verified",
      { lastVerifiedMs: null, sinceMs: ago(11 * 24) },
      ["BACKUP_VERIFY_OVERDUE warning"],
    ],
    ["damaged", { damaged: [{ id: "a", reason: "b" }] }, ["BACKUP_DAMAGED critical"]],
    ["shrunk", { shrunk: { id: "a", bytes: 1, beforeBytes: 9 } }, ["BACKUP_SHRUNK warning"]],
    [
      "a failed job",
      { failedJobs: [{ name: "create", atMs: 0, error: "x" }] },
      ["BACKUP_JOB_FAILED warning"],
    ],
    ["a model in no snapshot", { uncovered: ["/m/a"] }, ["BACKUP_UNCOVERED warning"]],
    ["all proved in time", { coverage: proved(0, nowMs) }, []],
    [
      "slices prove everything and no snapshot was verified whole",
      { lastVerifiedMs: null, sinceMs: ago(1000), coverage: proved(0, ago(1)) },
      [],
    ],
    ["late proofs", { coverage: proved(2 * hourS, nowMs) }, ["BACKUP_VERIFY_OVERDUE warning"]],
    [
      "no slice for longer than the window",
      { coverage: proved(0, ago(8 * 24)) },
      ["BACKUP_VERIFY_OVERDUE warning"],
    ],
    ["a budget too small", { budgetProblem: "needs more" }, ["BACKUP_VERIFY_BUDGET warning"]],
  ])("%s", (_name, more, found) => expect(backups(more)).toEqual(found));
});

describe("GPUs", () => {
  const gpu = (more: Parameters<typeof gpuOf>[0]) =>
    names(sampleOf("gpu", { gpus: [gpuOf(more)], vanished: [], xids: [], driverVersion: "590" }));
  test.each<[string, Parameters<typeof gpuOf>[0], string[]]>([
    ["healthy", {}, []],
    ["full", { memoryUsage: 0.9 }, ["GPU_MEMORY warning"]],
    ["fuller", { memoryUsage: 0.95 }, ["GPU_MEMORY critical"]],
    ["warm", { temperatureC: 75 }, ["GPU_TEMPERATURE warning"]],
    ["hot", { temperatureC: 80 }, ["GPU_TEMPERATURE critical"]],
    [
      "nothing known",
      {
        memoryUsage: null,
        temperatureC: null,
        eccUncorrectedVolatile: null,
        remapPending: null,
        persistenceMode: null,
      },
      [],
    ],
    ["ECC", { eccUncorrectedVolatile: 1 }, ["GPU_ECC critical"]],
    ["remap pending", { remapPending: true }, ["GPU_ROW_REMAP warning"]],
    ["remap failed", { remapPending: true, remapFailure: true }, ["GPU_ROW_REMAP critical"]],
    ["persistence off", { persistenceMode: false }, ["GPU_PERSISTENCE_OFF warning"]],
    ["an idle card with a narrow link", { pcieWidth: 8 }, []],
    [
      "a busy card with a narrow link",
      { pcieWidth: 8, utilisation: 0.9 },
      ["GPU_PCIE_LINK warning"],
    ],
    ["power capped, as is usual under load", { throttleReasons: ["sw_power_cap"] }, []],
    [
      "slowed down by heat",
      { throttleReasons: ["hw_thermal_slowdown"] },
      ["GPU_THROTTLED warning"],
    ],
  ])("%s", (_name, more, found) => expect(gpu(more)).toEqual(found));

  test.each([
    [79, "critical"],
    [48, "critical"],
    [64, "critical"],
    [94, "critical"],
    [95, "critical"],
    [63, "warning"],
    [31, "warning"],
  ])("Xid %d is %s", (xid, severity) => {
    const xids = [{ xid, busId: "0000:3b:00", text: "", sequence: 1 }];
    const sample = sampleOf("gpu", { gpus: [gpuOf()], vanished: [], xids, driverVersion: null });
    expect(names(sample)).toEqual([`GPU_XID ${severity}`]);
  });

  test("a driver that does not answer resolves nothing", () => {
    const { blind } = judge(
      sampleOf("gpu", { gpus: [], vanished: [], xids: [], driverVersion: null }),
    );
    expect(blind.get("GPU_TEMPERATURE")).toEqual([{}]);
    expect(blind.get("GPU_VANISHED")).toEqual([{}]);
  });
});

describe("services", () => {
  const service = (up: boolean, expected: boolean) =>
    names(
      sampleOf("services", {
        services: [
          {
            name: "phi3",
            port: 11403,
            up,
            expected,
            healthy: null,
            latencyMs: null,
            error: "connection refused",
            everAnswered: expected,
          },
        ],
      }),
    );
  test("only one that answered before, or is expected, can be down", () => {
    expect(service(false, false)).toEqual([]);
    expect(service(false, true)).toEqual(["MODEL_SERVICE_DOWN critical"]);
    expect(service(true, true)).toEqual([]);
  });
});

describe("a probe that could not look", () => {
  const failed = sampleOf("smart", null, {
    error: { code: "PROBE_TIMEOUT", message: "no answer" },
  });
  test("is a finding of its own, leaves its rules alone, and stays unknown", () => {
    const { findings, judged, blind } = judge(failed);
    expect(findings.map(({ name, labels }) => [name, labels])).toEqual([
      ["PROBE_FAILING", { probe: "smart" }],
    ]);
    expect(judged.has("SMART_FAILING")).toBe(false);
    expect(blind.get("PROBE_FAILING")).toContainEqual({ probe: "space" });
    expect(blind.get("PROBE_FAILING")).not.toContainEqual({ probe: "smart" });
    expect(withFindings(failed, findings).state).toBe("unknown");
  });

  test("what does not apply any more lets its alerts go", () => {
    const { judged } = judge(sampleOf("gpu", null, { state: "not_applicable" }));
    expect(judged.has("GPU_TEMPERATURE")).toBe(true);
  });
});
