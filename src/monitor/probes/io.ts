// What the disks behind the storage roots do: rates over the time since the last look (a first look takes a short
// window), and how long tasks wait for I/O (PSI).

import { readText, type Clock } from "../../system/index.ts";
import type { DeviceIo, IoData, RootRole } from "../data.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";
import { diskRates, parseDiskstats, parsePressure, type DiskCounters } from "./diskstats.ts";

/** A disk and the roots that lie on it. */
export interface RootDisk {
  readonly name: string;
  readonly roots: readonly RootRole[];
}

export interface IoProbeOptions {
  readonly intervalS: number;
  readonly clock: Clock;
  /** Undefined below a root that brings no /proc. */
  readonly procPath: string | undefined;
  readonly disks: () => readonly RootDisk[];
  /** Length of the first window, when there is no earlier look. */
  readonly firstWindowMs?: number | undefined;
}

interface Look {
  readonly atMs: number;
  readonly counters: Map<string, DiskCounters>;
}

export function createIoProbe(options: IoProbeOptions): Probe<"io"> {
  const { clock, procPath } = options;
  let before: Look | undefined;
  const look = (): Look | undefined => {
    const text = readText(`${procPath}/diskstats`);
    return text === undefined
      ? undefined
      : { atMs: clock.monotonicMs(), counters: parseDiskstats(text) };
  };
  return defineProbe({
    name: "io",
    intervalS: options.intervalS,
    timeoutMs: 10_000,
    async run(signal) {
      const none = { data: null, values: [] };
      if (procPath === undefined)
        return { state: "not_applicable", note: "no /proc below this root", ...none };
      if (before === undefined) {
        before = look();
        await clock.sleep(options.firstWindowMs ?? 500, signal);
      }
      const after = look();
      if (before === undefined || after === undefined)
        return { state: "unknown", note: "/proc/diskstats cannot be read", ...none };
      const disks = options.disks();
      const windowMs = after.atMs - before.atMs;
      const devices = disks.flatMap(({ name, roots }) => {
        const [a, b] = [before?.counters.get(name), after.counters.get(name)];
        return a === undefined || b === undefined ? [] : (diskRates(a, b, windowMs, roots) ?? []);
      });
      before = after;
      const pressure = parsePressure(readText(`${procPath}/pressure/io`) ?? "") ?? null;
      const data: IoData = { windowS: windowMs / 1000, devices, pressure };
      const values = [...devices.flatMap(deviceValues), ...pressureValues(data)];
      if (disks.length === 0)
        return { state: "not_applicable", note: "no disk behind the storage roots", data, values };
      const missing = disks.length - devices.length;
      const note =
        missing === 0 ? undefined : `${missing} of ${disks.length} disks have no counters`;
      return { state: devices.length === 0 ? "unknown" : "ok", note, data, values };
    },
  });
}

function deviceValues(io: DeviceIo): Value[] {
  const labels = { device: io.device };
  const numbers: Record<string, number | null> = {
    disk_reads_per_second: io.readsPerS,
    disk_writes_per_second: io.writesPerS,
    disk_read_bytes_per_second: io.readBytesPerS,
    disk_written_bytes_per_second: io.writeBytesPerS,
    disk_await_seconds: io.awaitMs === null ? null : io.awaitMs / 1000,
    disk_utilisation_ratio: io.utilisation,
    disk_queue_length: io.queueDepth,
  };
  return Object.entries(numbers).flatMap(([series, value]) =>
    value === null ? [] : [{ series, labels, value }],
  );
}

function pressureValues({ pressure }: IoData): Value[] {
  if (pressure === null) return [];
  const some = {
    series: "io_pressure_ratio",
    labels: { kind: "some" },
    value: pressure.someAvg60Ratio,
  };
  if (pressure.fullAvg60Ratio === null) return [some];
  return [
    some,
    { series: "io_pressure_ratio", labels: { kind: "full" }, value: pressure.fullAvg60Ratio },
  ];
}
