// Probes that call programs, with real executables in a PATH of their own: some print recorded answers, some hang.

import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createVolatileMemory } from "../../../src/monitor/memory.ts";
import { createGpuProbe, type GpuProbeOptions } from "../../../src/monitor/probes/gpu.ts";
import {
  createSmartProbe,
  smartReading,
  type SmartProbeOptions,
} from "../../../src/monitor/probes/smart.ts";
import { createSleepCheck } from "../../../src/monitor/standby.ts";
import { createToolRunner } from "../../../src/monitor/tool.ts";
import type { BackingDisk } from "../../../src/monitor/topology.ts";
import { unknownDisk } from "../../../src/monitor/smart/parse.ts";
import { formatSmartFile, parseSmartFile } from "../../../src/monitor/smart/file.ts";
import { systemClock } from "../../../src/system/index.ts";
import { fixturesRoot } from "../../support/fixtures.ts";
import { fuzz } from "../../support/fuzz.ts";

// Processes and disks of a busy machine: the limit is for a hang, not for speed.
setDefaultTimeout(60_000);

let path: string;
let calls: string;
beforeAll(() => {
  path = mkdtempSync(`${tmpdir()}/monitor-tools-`);
  calls = `${path}/calls`;
});
beforeEach(() => writeFileSync(calls, ""));
afterAll(() => rmSync(path, { recursive: true, force: true }));

/** Puts an executable into the PATH; it notes each call. */
function install(name: string, script: string): void {
  writeFileSync(`${path}/${name}`, `#!/bin/sh\necho "$@" >> ${calls}\n${script}\n`);
  chmodSync(`${path}/${name}`, 0o755);
}
const uninstall = (name: string) => rmSync(`${path}/${name}`, { force: true });
const callsMade = async () =>
  (await Bun.file(calls).text()).split("\n").filter((line) => line !== "");
const signal = () => new AbortController().signal;
const tool = (timeoutMs = 5000) => createToolRunner({ timeoutMs, path: `${path}:/usr/bin:/bin` });

const target = (device: string, serial: string | null = null) => ({
  device,
  roots: ["models" as const],
  serial,
  model: "Model",
});
const smart = (more: Partial<SmartProbeOptions> = {}) =>
  createSmartProbe({
    intervalS: 3600,
    enabled: true,
    tool: tool(),
    memory: createVolatileMemory(),
    clock: systemClock,
    targets: () => [target("/dev/sda", "S1")],
    ...more,
  });
/** A disk that answers, as JSON. */
const answer = (more: object = {}) =>
  JSON.stringify({
    smartctl: { exit_status: 0 },
    device: { name: "/dev/sda", type: "sat", protocol: "ATA" },
    smart_status: { passed: true },
    temperature: { current: 31 },
    ...more,
  });

describe("smart", () => {
  test("asks without waking, reads each disk, and remembers which there are", async () => {
    install("smartctl", `echo '${answer()}'`);
    const memory = createVolatileMemory();
    const targets = () => [target("/dev/sda", "S1"), target("/dev/sdb", "S2")];
    const reading = await smart({ memory, targets }).run(signal());
    expect(reading.state).toBe("ok");
    expect(reading.data?.disks.map((disk) => [disk.device, disk.state, disk.temperatureC])).toEqual(
      [
        ["/dev/sda", "ok", 31],
        ["/dev/sdb", "ok", 31],
      ],
    );
    expect(await callsMade()).toEqual(
      expect.arrayContaining(["--json -n standby -a -l devstat /dev/sda"]),
    );
    // One of two is gone: it vanished. Another in its place: it was replaced.
    const gone = await smart({ memory, targets: () => [target("/dev/sda", "S1")] }).run(signal());
    expect(gone.data?.vanished).toMatchObject([{ device: "/dev/sdb", serial: "S2" }]);
    const replaced = () => [target("/dev/sda", "S1"), target("/dev/sdb", "S3")];
    expect((await smart({ memory, targets: replaced }).run(signal())).data?.vanished).toEqual([]);
    expect(memory.read("smart.disks")).toMatchObject([{ serial: "S1" }, { serial: "S3" }]);
  });

  test("one disk that hangs costs its own values, not those of the others", async () => {
    install("smartctl", `case "$*" in */dev/sdb) exec sleep 60;; esac; echo '${answer()}'`);
    const targets = () => [target("/dev/sda"), target("/dev/sdb"), target("/dev/sdc")];
    const reading = await smart({ tool: tool(300), targets }).run(signal());
    expect(reading.data?.disks.map((disk) => disk.state)).toEqual(["ok", "unknown", "ok"]);
    expect(reading.data?.disks[1]?.reason).toBe("smartctl did not return within 0.3 s");
    expect(reading.state).toBe("unknown");
    expect(reading.problem?.code).toBe("TOOL_FAILED");
  });

  test("a USB bridge that smartctl does not know is asked again as SAT", async () => {
    const refused = JSON.stringify({
      smartctl: {
        exit_status: 1,
        messages: [{ string: "/dev/sda: Unknown USB bridge [0x0bda:0x9210]", severity: "error" }],
      },
    });
    install(
      "smartctl",
      `case "$*" in *"-d sat"*) echo '${answer()}';; *) echo '${refused}'; exit 1;; esac`,
    );
    const reading = await smart().run(signal());
    expect(reading.data?.disks[0]?.state).toBe("ok");
    expect(await callsMade()).toHaveLength(2);
  });

  test.each([
    [
      "no rights",
      "echo 'Smartctl open device: /dev/sda failed: Permission denied' >&2; exit 2",
      "permission denied: SMART needs root",
    ],
    ["nonsense", "echo hello", "smartctl printed something that is not JSON, or it was cut off"],
    ["nothing", "exit 1", "smartctl printed nothing"],
  ])("%s: unknown with the reason, never ok", async (_name, script, reason) => {
    install("smartctl", script);
    const reading = await smart().run(signal());
    expect(reading).toMatchObject({
      state: "unknown",
      data: { disks: [{ state: "unknown", reason }] },
    });
  });

  test("virtual disks have no SMART: it does not apply", async () => {
    const none = JSON.stringify({
      smartctl: {
        exit_status: 1,
        messages: [{ string: "/dev/vda: Unable to detect device type", severity: "error" }],
      },
    });
    install("smartctl", `echo '${none}'; exit 1`);
    expect(await smart().run(signal())).toMatchObject({
      state: "not_applicable",
      data: { disks: [{ state: "not_applicable", reason: "the device has no SMART" }] },
    });
    // Beside a disk that has, it hides nothing and spoils nothing.
    const disk = (state: "ok" | "unknown" | "not_applicable") => ({
      ...unknownDisk(`/dev/${state}`, ["models"], state),
      state,
    });
    const reading = (...states: Parameters<typeof disk>[0][]) =>
      smartReading({ disks: states.map(disk), vanished: [], source: "smartctl" });
    expect(reading("ok", "not_applicable").state).toBe("ok");
    expect(reading("unknown", "not_applicable")).toMatchObject({
      state: "unknown",
      note: "/dev/unknown: unknown",
    });
    const healthy = reading("ok", "not_applicable").values;
    expect(healthy).toEqual([{ series: "smart_healthy", labels: { device: "/dev/ok" }, value: 1 }]);
  });

  test("without smartctl it is unknown; switched off it does not apply and asks nobody", async () => {
    uninstall("smartctl");
    const runner = createToolRunner({ timeoutMs: 1000, path });
    expect(await smart({ tool: runner }).run(signal())).toMatchObject({
      state: "unknown",
      note: "smartctl is not installed",
    });
    install("smartctl", `echo '${answer()}'`);
    expect((await smart({ enabled: false }).run(signal())).state).toBe("not_applicable");
    expect(await callsMade()).toEqual([]);
  });

  test("values of the smart service's file are used while they are fresh", async () => {
    install("smartctl", `echo '${answer()}'`);
    const asked = await smart().run(signal());
    const nowMs = systemClock.nowMs();
    const at = (ageS: number) => () => formatSmartFile(asked, nowMs - ageS * 1000);
    const fresh = await smart({ file: at(3600) }).run(signal());
    expect(fresh).toMatchObject({
      state: "ok",
      data: { source: "file", disks: [{ state: "ok" }] },
    });
    expect(await smart({ file: at(7300) }).run(signal())).toMatchObject({
      state: "unknown",
      data: null,
    });
    expect((await smart({ file: () => "{}" }).run(signal())).state).toBe("unknown");
    expect((await smart({ file: () => undefined }).run(signal())).data?.source).toBe("smartctl");
    fuzz([formatSmartFile(asked, nowMs)], parseSmartFile, { seed: 11, count: 500 });
  });

  test("a disk in standby is found without waking it; a flash disk is not asked", async () => {
    const standby = JSON.stringify({
      smartctl: { exit_status: 2, messages: [{ string: "Device is in STANDBY mode, exit(2)" }] },
    });
    install("smartctl", `echo '${standby}'; exit 2`);
    const root = { role: "models", path: "/x", requireMount: false } as const;
    const check = (rotational: boolean) =>
      createSleepCheck(tool(), () => [
        { name: "sda", disk: { name: "sda", rotational, transport: "sata" } } as BackingDisk,
      ])(root, signal());
    expect(await check(true)).toBe(true);
    expect(await callsMade()).toEqual(["--json -n standby -i /dev/sda"]);
    expect(await check(false)).toBe(false);
    expect(await callsMade()).toHaveLength(1);
  });
});

const gpu = (more: Partial<GpuProbeOptions> = {}) =>
  createGpuProbe({
    intervalS: 60,
    tool: tool(),
    memory: createVolatileMemory(),
    cursor: undefined,
    hasDevice: () => true,
    ...more,
  });
const uuid = (digit: string) => `GPU-${digit.repeat(8)}-0000-0000-0000-000000000000`;
const table = (...uuids: string[]) =>
  [
    "index, uuid, name, memory.total [MiB], memory.used [MiB]",
    ...uuids.map((id, at) => `${at}, ${id}, NVIDIA H200, 1000 MiB, 10 MiB`),
  ].join("\n");

describe("gpu", () => {
  test("without nvidia-smi and without a card it does not apply; with a card it is unknown", async () => {
    uninstall("nvidia-smi");
    const runner = createToolRunner({ timeoutMs: 1000, path });
    const absent = gpu({ tool: runner, hasDevice: () => false });
    expect((await absent.run(signal())).state).toBe("not_applicable");
    expect(await gpu({ tool: runner }).run(signal())).toMatchObject({
      state: "unknown",
      note: "nvidia-smi is not installed",
    });
  });

  test("a GPU that does not answer any more vanished; one in its place replaced it", async () => {
    const memory = createVolatileMemory();
    install("nvidia-smi", `cat <<'E'\n${table(uuid("1"), uuid("2"))}\nE`);
    expect((await gpu({ memory }).run(signal())).data).toMatchObject({ vanished: [] });
    install("nvidia-smi", `cat <<'E'\n${table(uuid("1"))}\nE`);
    expect((await gpu({ memory }).run(signal())).data?.vanished).toEqual([uuid("2")]);
    // It stays gone until it is back or replaced.
    expect((await gpu({ memory }).run(signal())).data?.vanished).toEqual([uuid("2")]);
    install("nvidia-smi", `cat <<'E'\n${table(uuid("1"), uuid("3"))}\nE`);
    expect((await gpu({ memory }).run(signal())).data?.vanished).toEqual([]);
    install("nvidia-smi", "echo 'No devices were found'; exit 6");
    expect((await gpu({ memory }).run(signal())).data?.vanished).toEqual([uuid("1"), uuid("3")]);
  });

  test("a driver in trouble is unknown, and no GPU is called vanished for it", async () => {
    const memory = createVolatileMemory({ "gpu.uuids": [uuid("1")] });
    install(
      "nvidia-smi",
      'echo "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."; exit 9',
    );
    const reading = await gpu({ memory }).run(signal());
    expect(reading).toMatchObject({ state: "unknown", data: { gpus: [], vanished: [] } });
    expect(reading.note).toContain("couldn't communicate");
  });

  test("fields that the driver does not know are left out, once", async () => {
    const refuse = `case "$*" in *mig.mode.current*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;; *clocks_event_reasons.hw_slowdown*) echo 'Field "clocks_event_reasons.hw_slowdown" is not a valid field to query.'; exit 2;; esac`;
    install("nvidia-smi", `${refuse}\ncat <<'E'\n${table(uuid("1"))}\nE`);
    const probe = gpu();
    expect((await probe.run(signal())).data?.gpus).toHaveLength(1);
    expect(await callsMade()).toHaveLength(3);
    await probe.run(signal());
    expect(await callsMade()).toHaveLength(4);
  });

  test("a call that hangs is cut off", async () => {
    install("nvidia-smi", "exec sleep 60");
    const reading = await gpu({ tool: tool(300) }).run(signal());
    expect(reading).toMatchObject({ state: "unknown", problem: { code: "TOOL_FAILED" } });
  });

  test.skipIf(fixturesRoot === undefined)(
    "a recorded H200 is read through a real process",
    async () => {
      copyFileSync(
        `${fixturesRoot}/nvidia-smi/linux-h200-590/query-gpu-load.csv`,
        `${path}/h200.csv`,
      );
      install("nvidia-smi", `cat ${path}/h200.csv`);
      const reading = await gpu().run(signal());
      expect(reading.state).toBe("ok");
      expect(reading.data?.gpus[0]).toMatchObject({ name: "NVIDIA H200", persistenceMode: true });
      expect(reading.values.map(({ series }) => series)).toContain("gpu_temperature_celsius");
    },
  );
});
