// The GPUs: nvidia-smi's table, Xid events from the kernel log, and GPUs that were here and are gone. Never a second
// call while one hangs: a driver in trouble makes nvidia-smi wait in the kernel.

import type { Gpu, GpuData, XidEvent } from "../data.ts";
import { kernelLogProblem, type KernelCursor, type KernelRecord } from "../kernel-records.ts";
import { vanishedOf, type Memory } from "../memory.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Reading, Value } from "../sample.ts";
import type { ToolRunner } from "../tool.ts";
import { gpuFields, parseGpuCsv, withoutField } from "./gpu-csv.ts";

/** Finds the driver's event numbers: `NVRM: Xid (PCI:0000:3b:00): 79, pid=…, GPU has fallen off the bus.` */
export function parseXids(records: readonly KernelRecord[]): XidEvent[] {
  return records.flatMap(({ text, sequence }) => {
    const match = /NVRM: Xid \((?:PCI:)?([0-9a-f:.]+)\): (\d{1,4})/i.exec(text);
    if (match === null) return [];
    return [{ busId: match[1] ?? "", xid: Number(match[2]), text: text.slice(0, 300), sequence }];
  });
}

export interface GpuProbeOptions {
  readonly intervalS: number;
  readonly tool: ToolRunner;
  readonly memory: Memory;
  /** Undefined: the kernel log is not to be read (below `--root`). */
  readonly cursor: KernelCursor | undefined;
  /** Whether the host has a display or 3D controller of NVIDIA on its PCI bus. */
  readonly hasDevice: () => boolean;
}

const knownKey = "gpu.uuids";
const maxFieldRetries = 12;

export function createGpuProbe(options: GpuProbeOptions): Probe<"gpu"> {
  let fields: readonly string[] = gpuFields;
  return defineProbe({
    name: "gpu",
    intervalS: options.intervalS,
    timeoutMs: 30_000,
    async run(signal) {
      const xids = readXids(options.cursor);
      for (let attempt = 0; attempt < maxFieldRetries; attempt += 1) {
        const run = await options.tool.run(
          ["nvidia-smi", `--query-gpu=${fields.join(",")}`, "--format=csv"],
          signal,
        );
        if (run.state !== "ran") return notRun(run.state, run.reason, xids.events, options);
        const fewer = withoutField(fields, run.stdout + run.stderr);
        if (fewer === undefined) return toReading(run.stdout, run.stderr, xids, options);
        fields = fewer;
      }
      return unknown("nvidia-smi refuses every field", xids.events, options);
    },
  });
}

interface Xids {
  readonly events: readonly XidEvent[];
  readonly problem: string | undefined;
}

function readXids(cursor: KernelCursor | undefined): Xids {
  if (cursor === undefined) return { events: [], problem: undefined };
  try {
    return { events: parseXids(cursor.next().records), problem: undefined };
  } catch (thrown) {
    return { events: [], problem: kernelLogProblem(thrown) };
  }
}

function notRun(
  state: "missing" | "failed",
  reason: string,
  xids: readonly XidEvent[],
  options: GpuProbeOptions,
): Reading<GpuData> {
  const known = knownUuids(options.memory);
  if (state === "missing" && !options.hasDevice() && known.length === 0)
    return { state: "not_applicable", note: "no NVIDIA GPU", data: null, values: [] };
  const reading = unknown(reason, xids, options);
  return state === "failed"
    ? { ...reading, problem: { code: "TOOL_FAILED", message: reason } }
    : reading;
}

/** Nothing was read: GPUs known from before cannot be called vanished, events still count. */
function unknown(
  note: string,
  xids: readonly XidEvent[],
  options: GpuProbeOptions,
): Reading<GpuData> {
  const gone = options.hasDevice() ? [] : knownUuids(options.memory);
  return {
    state: "unknown",
    note,
    data: { gpus: [], vanished: gone, xids, driverVersion: null },
    values: [],
  };
}

function toReading(
  stdout: string,
  stderr: string,
  xids: Xids,
  options: GpuProbeOptions,
): Reading<GpuData> {
  const table = parseGpuCsv(stdout);
  if (table === undefined) {
    const said = `${stdout}\n${stderr}`.trim().split("\n")[0] ?? "";
    if (/no devices were found/i.test(said) && knownUuids(options.memory).length === 0)
      return { state: "not_applicable", note: "no NVIDIA GPU", data: null, values: [] };
    const note = `nvidia-smi: ${said.slice(0, 200) || "no answer"}`;
    const reading = unknown(note, xids.events, options);
    // It answered that there is none: those known from before are gone.
    if (!/no devices were found/i.test(said) || reading.data === null) return reading;
    return { ...reading, data: { ...reading.data, vanished: knownUuids(options.memory) } };
  }
  const present = table.gpus.map((gpu) => gpu.uuid);
  const vanished = vanishedOf(knownUuids(options.memory), present);
  if (vanished.length === 0 && present.length > 0) options.memory.write(knownKey, present);
  const problem =
    xids.problem ??
    (table.badRows > 0 ? `${table.badRows} rows of nvidia-smi unreadable` : undefined);
  return {
    state: table.badRows > 0 && table.gpus.length === 0 ? "unknown" : "ok",
    ...(problem === undefined ? {} : { note: problem }),
    data: { gpus: table.gpus, vanished, xids: xids.events, driverVersion: table.driverVersion },
    values: table.gpus.flatMap(gpuValues),
  };
}

function knownUuids(memory: Memory): string[] {
  const known = memory.read(knownKey);
  return Array.isArray(known) ? known.filter((uuid) => typeof uuid === "string") : [];
}

function gpuValues(gpu: Gpu): Value[] {
  const labels = { gpu: gpu.index === null ? gpu.uuid : String(gpu.index), uuid: gpu.uuid };
  const numbers: Record<string, number | null> = {
    gpu_memory_used_bytes: gpu.memoryUsedBytes,
    gpu_memory_total_bytes: gpu.memoryTotalBytes,
    gpu_utilisation_ratio: gpu.utilisation,
    gpu_temperature_celsius: gpu.temperatureC,
    gpu_power_watts: gpu.powerW,
    gpu_ecc_corrected_errors_total: gpu.eccCorrectedAggregate,
    gpu_ecc_uncorrected_errors_total: gpu.eccUncorrectedAggregate,
    gpu_remapped_rows: gpu.remappedRows,
    gpu_retired_pages: gpu.retiredPages,
    gpu_pcie_link_width: gpu.pcieWidth,
  };
  return Object.entries(numbers).flatMap(([series, value]) =>
    value === null ? [] : [{ series, labels, value }],
  );
}
