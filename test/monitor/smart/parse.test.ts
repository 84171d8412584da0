import { describe, expect, test } from "bun:test";
import type { SmartDisk } from "../../../src/monitor/data.ts";
import { needsDeviceType, parseSmartctl } from "../../../src/monitor/smart/parse.ts";
import { fixturesRoot, listFixtures, readFixture } from "../../support/fixtures.ts";
import { fuzz } from "../../support/fuzz.ts";

const parse = (stdout: string, exitCode: number | null = 0, stderr = "") =>
  parseSmartctl({ device: "/dev/sda", roots: ["models"], stdout, stderr, exitCode });
const parseFixture = (name: string) => parse(readFixture(`smartctl/${name}.json`));
const kinds = (disk: SmartDisk) => disk.problems.map((problem) => problem.attribute).sort();
const document = (members: object) =>
  JSON.stringify({
    smartctl: { exit_status: 0 },
    device: { name: "/dev/sda", type: "sat", protocol: "ATA" },
    smart_status: { passed: true },
    ...members,
  });

describe.skipIf(fixturesRoot === undefined)("recorded drives", () => {
  test.each([
    ["ata-exit4-warning-megaraid0", "ok"],
    ["ata-hdd-crc3118119-wd2003fyys", "warning"],
    ["ata-hdd-exit64-hgst-hus724020", "warning"],
    ["ata-hdd-exit64-toshiba-mg05", "warning"],
    ["ata-hdd-healthy-wd20efrx", "ok"],
    ["ata-hdd-helium-hc550", "ok"],
    ["ata-hdd-realloc304-st3500418as", "warning"],
    ["ata-hdd-seagate-exos-not-in-db", "ok"],
    ["ata-no-smart-status-sat", "unknown"],
    ["ata-ssd-exit4-kingston-a400", "ok"],
    ["ata-ssd-kc400-life74", "warning"],
    ["ata-ssd-samsung-mz7wd", "ok"],
    ["ata-ssd-x-samsung-860", "ok"],
    ["ata-type-ata-freebsd", "ok"],
    ["health-only-scsi-rhel9", "ok"],
    ["info-nvme", "unknown"],
    ["nvme-apple-exit4", "ok"],
    ["nvme-dell-r6515-micron9300", "ok"],
    ["nvme-healthy-samsung-970evoplus", "ok"],
    ["nvme-healthy-toshiba-kxg60", "ok"],
    ["nvme-intel-p3700-71", "ok"],
    ["nvme-media-errors", "warning"],
    ["nvme-optane-p1600x", "ok"],
    ["nvme-peladn-x", "ok"],
    ["nvme-telegraf-74", "ok"],
    ["nvme-toshiba-supermicro", "ok"],
    ["nvme-worn73-intel-p4510-1tb", "ok"],
    ["open-failed-windows-exit2", "unknown"],
    ["scan-megaraid", "unknown"],
    ["scan-nvme", "unknown"],
    ["scan-simple", "unknown"],
    ["scsi-grown260-seagate-st373453", "warning"],
    ["scsi-old-67", "ok"],
    ["scsi-sas-extended", "ok"],
    ["scsi-sas-healthy-hitachi", "ok"],
    ["usb-jmicron-failing-now-exit216", "failed"],
    ["usb-ssd-sat", "ok"],
  ])("%s is %s", (name, state) => expect(parseFixture(name).state).toBe(state as never));

  test("every recorded file is named above", () => {
    expect(listFixtures("smartctl", ".json")).toHaveLength(37);
  });

  test("a failing USB disk names each reason once", () => {
    const disk = parseFixture("usb-jmicron-failing-now-exit216");
    expect(kinds(disk)).toEqual([
      "Reallocated_Sector_Ct",
      "error_log",
      "health",
      "pending_sectors",
      "reallocated_sectors",
      "self_test",
    ]);
    expect(disk).toMatchObject({
      reallocatedSectors: 1975,
      pendingSectors: 8,
      temperatureC: 25,
      powerOnHours: 65592,
      exitStatus: 216,
    });
  });

  test("remaining life is read as vendors mean it", () => {
    expect(parseFixture("ata-ssd-kc400-life74").wearRatio).toBeCloseTo(0.26);
    expect(parseFixture("ata-ssd-samsung-mz7wd").wearRatio).toBeCloseTo(0.09);
    expect(parseFixture("ata-ssd-x-samsung-860").wearRatio).toBeCloseTo(0.19);
    expect(parseFixture("nvme-worn73-intel-p4510-1tb").wearRatio).toBeCloseTo(0.73);
    expect(parseFixture("ata-hdd-healthy-wd20efrx").wearRatio).toBeNull();
  });

  test("a spare threshold of 0 is no finding", () => {
    expect(parseFixture("nvme-optane-p1600x")).toMatchObject({
      spareThresholdRatio: 0,
      problems: [],
    });
  });

  test("one page that does not fit its schema never drops the disk", () => {
    const json = JSON.parse(readFixture("smartctl/ata-hdd-realloc304-st3500418as.json"));
    json.temperature = "hot";
    json.power_on_time = [];
    json.ata_smart_error_log = 7;
    json.ata_smart_attributes.table[0] = null;
    const disk = parse(JSON.stringify(json));
    expect(disk).toMatchObject({ state: "warning", reallocatedSectors: 304, temperatureC: null });
  });

  test("mutated answers (seed 20261120) never throw and never turn a wreck into ok", () => {
    const texts = listFixtures("smartctl", ".json").map((name) => readFixture(`smartctl/${name}`));
    fuzz(
      texts,
      (text) => {
        const disk = parse(text);
        if (disk.state === "ok" && disk.passed !== true) throw new Error("ok without a verdict");
      },
      { seed: 20_261_120, count: 120 },
    );
  });
});

describe("exit bits", () => {
  test.each([
    [8, "failed"],
    [16, "failed"],
    [32, "warning"],
    [64, "warning"],
    [128, "warning"],
    [4, "ok"],
    [0, "ok"],
  ])("PASSED with exit %d is %s", (exit, state) =>
    expect(parse(document({ smartctl: { exit_status: exit } })).state).toBe(state as never),
  );

  test("the process's exit code counts when the document has none", () => {
    expect(parse(document({ smartctl: {} }), 8).state).toBe("failed");
  });
});

describe("NVMe critical warnings", () => {
  const nvme = (bits: number) =>
    parse(
      document({
        device: { name: "/dev/nvme0", type: "nvme", protocol: "NVMe" },
        smart_status: { passed: bits === 0 },
        nvme_smart_health_information_log: { critical_warning: bits, temperature: 40 },
      }),
    );
  test.each([
    [1, "failed"],
    [2, "warning"],
    [4, "failed"],
    [8, "failed"],
    [16, "failed"],
    [0, "ok"],
  ])("bit mask %d is %s", (bits, state) => expect(nvme(bits).state).toBe(state as never));
});

describe("disks that say nothing", () => {
  test("standby is not woken and not ok", () => {
    const disk = parse(
      JSON.stringify({
        smartctl: {
          exit_status: 2,
          messages: [{ string: "Device is in STANDBY mode, exit(2)", severity: "information" }],
        },
        device: { name: "/dev/sda", type: "sat", protocol: "ATA" },
      }),
      2,
    );
    expect(disk).toMatchObject({
      state: "unknown",
      standby: true,
      reason: "in standby: not woken",
    });
  });

  test("an unknown USB bridge asks for a device type", () => {
    const disk = parse(
      JSON.stringify({
        smartctl: {
          exit_status: 1,
          messages: [
            { string: "/dev/sda: Unknown USB bridge [0x0bda:0x9210 (0xf200)]", severity: "error" },
          ],
        },
      }),
      1,
    );
    expect(disk.state).toBe("unknown");
    expect(needsDeviceType(disk)).toBe(true);
  });

  test.each([
    ["", "Permission denied", "permission denied: SMART needs root"],
    ["not json", "", "smartctl printed something that is not JSON, or it was cut off"],
    ["", "", "smartctl printed nothing"],
    ['{"smartctl":{"exit', "", "smartctl printed something that is not JSON, or it was cut off"],
  ])("%j with stderr %j is unknown", (stdout, stderr, reason) =>
    expect(parse(stdout, 1, stderr)).toMatchObject({ state: "unknown", reason }),
  );

  test("a health status of false without any bit is a failure", () => {
    expect(parse(document({ smart_status: { passed: false } })).state).toBe("failed");
  });
});

describe("temperature", () => {
  const at = (current: number, more = {}) =>
    parse(document({ temperature: { current, ...more } })).problems.map((p) => p.severity);
  test("the drive's own limit counts before ours", () => {
    expect(at(61)).toEqual(["warning"]);
    expect(at(61, { op_limit_max: 70 })).toEqual([]);
    expect(at(70, { op_limit_max: 70 })).toEqual(["warning"]);
    expect(at(80, { op_limit_max: 70 })).toEqual(["critical"]);
    expect(at(60)).toEqual(["warning"]);
    expect(at(59)).toEqual([]);
  });
});
