// The answer of `nvidia-smi --query-gpu=… --format=csv`, read by the names in its header: fields come and go with the
// driver. `[N/A]`, `N/A`, `[Not Supported]`, `[Requested functionality has been deprecated]` and the like are null.

import type { Gpu } from "../data.ts";

/** Asked of nvidia-smi; those it does not know are left out and asked no more (`withoutField`). */
export const gpuFields: readonly string[] = [
  "index",
  "uuid",
  "name",
  "pci.bus_id",
  "driver_version",
  "memory.total",
  "memory.used",
  "utilization.gpu",
  "temperature.gpu",
  "power.draw",
  "power.limit",
  "clocks_event_reasons.hw_slowdown",
  "clocks_event_reasons.hw_thermal_slowdown",
  "clocks_event_reasons.hw_power_brake_slowdown",
  "clocks_event_reasons.sw_thermal_slowdown",
  "clocks_event_reasons.sw_power_cap",
  "clocks_event_reasons.sync_boost",
  "ecc.mode.current",
  "ecc.errors.corrected.volatile.total",
  "ecc.errors.uncorrected.volatile.total",
  "ecc.errors.corrected.aggregate.total",
  "ecc.errors.uncorrected.aggregate.total",
  "remapped_rows.correctable",
  "remapped_rows.uncorrectable",
  "remapped_rows.pending",
  "remapped_rows.failure",
  "retired_pages.single_bit_ecc.count",
  "retired_pages.double_bit.count",
  "retired_pages.pending",
  "pcie.link.width.current",
  "pcie.link.width.max",
  "persistence_mode",
  "mig.mode.current",
];

/** The list to ask next after nvidia-smi refused a field; undefined when its complaint names none of ours. */
export function withoutField(fields: readonly string[], complaint: string): string[] | undefined {
  const named = /Field "([^"]+)" is not a valid field/i.exec(complaint)?.[1];
  if (named === undefined || !fields.includes(named)) return undefined;
  // Drivers before 535 call them throttle reasons.
  const older = named.replace("clocks_event_reasons.", "clocks_throttle_reasons.");
  return fields.flatMap((field) => (field !== named ? [field] : older === named ? [] : [older]));
}

export interface GpuTable {
  readonly gpus: readonly Gpu[];
  readonly driverVersion: string | null;
  /** Rows that did not fit the header: cut off, or an error text. */
  readonly badRows: number;
}

const maxGpus = 256;
const unitFactor: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, "%": 0.01 };

/** Parses the table; undefined when the first line is no header of ours (an error text, nothing). */
export function parseGpuCsv(text: string): GpuTable | undefined {
  const [header = "", ...lines] = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const columns = header.split(", ").map(parseColumn);
  if (!columns.some((column) => column.name === "uuid")) return undefined;
  const gpus: Gpu[] = [];
  let badRows = 0;
  let driverVersion: string | null = null;
  for (const line of lines.slice(0, maxGpus)) {
    const cells = line.split(", ");
    const row = cells.length === columns.length ? createRow(columns, cells) : undefined;
    const gpu = row === undefined ? undefined : toGpu(row);
    if (row === undefined || gpu === undefined) badRows += 1;
    else {
      gpus.push(gpu);
      driverVersion ??= row.text("driver_version");
    }
  }
  return { gpus, driverVersion, badRows };
}

interface Column {
  readonly name: string;
  readonly unit: string;
}

function parseColumn(header: string): Column {
  const match = /^(.*?)(?: \[(.+)\])?$/.exec(header.trim());
  const name = (match?.[1] ?? "").replace(/^clocks_throttle_reasons\./, "clocks_event_reasons.");
  return { name, unit: match?.[2] ?? "" };
}

interface Row {
  text(name: string): string | null;
  number(name: string): number | null;
  flag(name: string): boolean | null;
}

function createRow(columns: readonly Column[], cells: readonly string[]): Row {
  const at = new Map(columns.map((column, index) => [column.name, index]));
  const text = (name: string) => {
    const index = at.get(name);
    const cell = index === undefined ? "" : (cells[index] ?? "").trim();
    return cell === "" || /^\[.*\]$|^n\/a$|^unknown error$|err!$/i.test(cell) ? null : cell;
  };
  return {
    text,
    number(name) {
      const match = /^(-?\d+(?:\.\d+)?)(?: (\S+))?$/.exec(text(name) ?? "");
      if (match === null) return null;
      const unit = match[2] ?? columns[at.get(name) ?? -1]?.unit ?? "";
      return Number(match[1]) * (unitFactor[unit] ?? 1);
    },
    flag(name) {
      const value = text(name)?.toLowerCase();
      if (value === undefined) return null;
      if (/^(?:yes|enabled|active|1)$/.test(value)) return true;
      return /^(?:no|disabled|not active|0)$/.test(value) ? false : null;
    },
  };
}

const slowdowns = [
  "hw_slowdown",
  "hw_thermal_slowdown",
  "hw_power_brake_slowdown",
  "sw_thermal_slowdown",
  "sw_power_cap",
  "sync_boost",
];

function toGpu(row: Row): Gpu | undefined {
  const uuid = row.text("uuid");
  if (uuid === null || !/^(?:GPU|MIG)-[0-9a-f-]{8,}$/i.test(uuid)) return undefined;
  const total = row.number("memory.total");
  const used = row.number("memory.used");
  return {
    uuid,
    index: row.number("index"),
    name: row.text("name") ?? row.text("gpu_name") ?? "unknown",
    busId: row.text("pci.bus_id"),
    memoryTotalBytes: total,
    memoryUsedBytes: used,
    memoryUsage: total === null || used === null || total <= 0 ? null : used / total,
    utilisation: row.number("utilization.gpu"),
    temperatureC: row.number("temperature.gpu"),
    powerW: row.number("power.draw"),
    powerLimitW: row.number("power.limit"),
    throttleReasons: slowdowns.filter((name) => row.flag(`clocks_event_reasons.${name}`) === true),
    eccEnabled: row.flag("ecc.mode.current"),
    eccCorrectedVolatile: row.number("ecc.errors.corrected.volatile.total"),
    eccUncorrectedVolatile: row.number("ecc.errors.uncorrected.volatile.total"),
    eccCorrectedAggregate: row.number("ecc.errors.corrected.aggregate.total"),
    eccUncorrectedAggregate: row.number("ecc.errors.uncorrected.aggregate.total"),
    remappedRows: sum(
      row.number("remapped_rows.correctable"),
      row.number("remapped_rows.uncorrectable"),
    ),
    remapPending: row.flag("remapped_rows.pending"),
    remapFailure: row.flag("remapped_rows.failure"),
    retiredPages: sum(
      row.number("retired_pages.single_bit_ecc.count"),
      row.number("retired_pages.double_bit.count"),
    ),
    retiredPagesPending: row.flag("retired_pages.pending"),
    pcieWidth: row.number("pcie.link.width.current"),
    pcieWidthMax: row.number("pcie.link.width.max"),
    persistenceMode: row.flag("persistence_mode"),
    migMode: row.flag("mig.mode.current"),
  };
}

const sum = (a: number | null, b: number | null) =>
  a === null && b === null ? null : (a ?? 0) + (b ?? 0);
