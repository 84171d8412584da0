import { describe, expect, test } from "bun:test";
import { gpuFields, parseGpuCsv, withoutField } from "../../../src/monitor/probes/gpu-csv.ts";
import { parseXids } from "../../../src/monitor/probes/gpu.ts";
import { parseKernelRecords } from "../../../src/monitor/kernel-records.ts";
import { fixturesRoot, listFixtures, readFixture } from "../../support/fixtures.ts";
import { fuzz } from "../../support/fuzz.ts";

const folders = listFixtures("nvidia-smi").filter((name) => /^(?:linux|windows)-/.test(name));
const captures = folders.flatMap((folder) =>
  ["query-gpu-idle.csv", "query-gpu-load.csv"].map((file) => `nvidia-smi/${folder}/${file}`),
);

describe.skipIf(fixturesRoot === undefined)("recorded GPUs", () => {
  test.each(captures)("%s has one GPU with memory and temperature", (path) => {
    const table = parseGpuCsv(readFixture(path));
    expect(table?.badRows).toBe(0);
    expect(table?.gpus).toHaveLength(1);
    const gpu = table?.gpus[0];
    expect(gpu?.memoryTotalBytes).toBeGreaterThan(7 * 1024 ** 3);
    expect(gpu?.memoryUsage).toBeGreaterThanOrEqual(0);
    expect(gpu?.memoryUsage).toBeLessThanOrEqual(1);
    expect(gpu?.temperatureC).toBeGreaterThan(10);
    expect(gpu?.temperatureC).toBeLessThan(100);
    expect(gpu?.powerW).toBeGreaterThan(0);
  });

  test("a data-centre card reports ECC and remapped rows, a consumer card reports null", () => {
    const h200 = parseGpuCsv(readFixture("nvidia-smi/linux-h200-590/query-gpu-idle.csv"));
    expect(h200?.gpus[0]).toMatchObject({
      eccEnabled: true,
      eccUncorrectedVolatile: 0,
      remapFailure: false,
      remapPending: false,
      persistenceMode: true,
    });
    const rtx = parseGpuCsv(readFixture("nvidia-smi/linux-rtx2080super-595/query-gpu-idle.csv"));
    expect(rtx?.gpus[0]).toMatchObject({
      eccEnabled: null,
      eccUncorrectedVolatile: null,
      remapPending: null,
      utilisation: 0,
      pcieWidth: 16,
      throttleReasons: ["sw_power_cap"],
    });
  });

  test("with MIG the utilisation is null, not zero", () => {
    const mig = parseGpuCsv(readFixture("nvidia-smi/linux-h100-mig-590/query-gpu-load.csv"));
    expect(mig?.gpus[0]).toMatchObject({ utilisation: null, migMode: true });
  });

  test("several GPUs in one answer, with few fields", () => {
    const table = parseGpuCsv(readFixture("nvidia-smi/two-gpus-466.csv"));
    expect(table?.gpus.map((gpu) => [gpu.index, gpu.memoryUsedBytes])).toEqual([
      [0, 575 * 1024 ** 2],
      [1, 1234 * 1024 ** 2],
    ]);
    expect(table?.driverVersion).toBe("466.63");
  });

  test("every field that we ask is one that a recent driver answers", () => {
    const known = new Set(readFixture("nvidia-smi/linux-h200-590/query-fields.txt").split("\n"));
    expect(gpuFields.filter((field) => !known.has(field))).toEqual([]);
  });

  test("mutated answers (seed 41) never throw, never invent a negative or infinite number", () => {
    fuzz(
      [...captures, "nvidia-smi/two-gpus-466.csv"].map(readFixture),
      (text) => {
        for (const gpu of parseGpuCsv(text)?.gpus ?? []) {
          if (gpu.memoryUsage !== null && !(gpu.memoryUsage >= 0 || gpu.memoryUsage < 0))
            throw new Error("not a number");
        }
      },
      { seed: 41, count: 150 },
    );
  });
});

describe("answers that are no table", () => {
  test.each([
    "",
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    "No devices were found",
    "Unable to determine the device handle for GPU0000:3B:00.0: Unknown Error",
  ])("%j is no table", (text) => expect(parseGpuCsv(text)).toBeUndefined());

  test("a row that was cut off is counted, not guessed", () => {
    const text = "index, uuid, memory.total [MiB]\n0, GPU-00000000-0000-0000-0000-000000000000\n";
    expect(parseGpuCsv(text)).toEqual({ gpus: [], driverVersion: null, badRows: 1 });
  });

  test("a field that the driver does not know is asked by its old name, then not at all", () => {
    const complaint = (field: string) => `Field "${field}" is not a valid field to query.`;
    const named = "clocks_event_reasons.hw_slowdown";
    const older = withoutField(["uuid", named], complaint(named));
    expect(older).toEqual(["uuid", "clocks_throttle_reasons.hw_slowdown"]);
    expect(withoutField(older ?? [], complaint("clocks_throttle_reasons.hw_slowdown"))).toEqual([
      "uuid",
    ]);
    expect(withoutField(["uuid"], "something else")).toBeUndefined();
  });
});

test("Xid events are read from the driver's lines", () => {
  const records = parseKernelRecords(
    [
      "4,911,1000000,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python, GPU has fallen off the bus.",
      " SUBSYSTEM=pci",
      "4,912,1000001,-;NVRM: GPU at PCI:0000:3b:00: GPU-1234",
      "3,913,1000002,-;NVRM: Xid (PCI:0000:5e:00): 48, An uncorrectable double bit error (DBE)",
    ].join("\n"),
  );
  expect(parseXids(records).map(({ xid, busId }) => [xid, busId])).toEqual([
    [79, "0000:3b:00"],
    [48, "0000:5e:00"],
  ]);
});
