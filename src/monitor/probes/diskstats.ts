// /proc/diskstats and /proc/pressure: parsed, and two looks turned into rates. Fields as in
// https://docs.kernel.org/admin-guide/iostats.html (14, 18 or 20 columns by kernel); counters may wrap.

import type { DeviceIo, Pressure, RootRole } from "../data.ts";

export interface DiskCounters {
  readonly device: string;
  readonly reads: number;
  readonly readSectors: number;
  readonly readMs: number;
  readonly writes: number;
  readonly writeSectors: number;
  readonly writeMs: number;
  readonly inFlight: number;
  readonly busyMs: number;
  readonly weightedMs: number;
}

// The unit of diskstats, whatever the disk's own sector size is.
const sectorBytes = 512;
const maxDevices = 4096;

/** Parses the whole file by device name; lines that do not parse are left out. */
export function parseDiskstats(text: string): Map<string, DiskCounters> {
  const devices = new Map<string, DiskCounters>();
  for (const line of text.split("\n")) {
    if (devices.size >= maxDevices) break;
    const fields = line.trim().split(/\s+/);
    const device = fields[2];
    const numbers = fields.slice(3, 14).map(Number);
    if (device === undefined || numbers.length < 11) continue;
    if (!numbers.every((value) => Number.isFinite(value) && value >= 0)) continue;
    const at = (index: number) => numbers[index] ?? 0;
    devices.set(device, {
      device,
      reads: at(0),
      readSectors: at(2),
      readMs: at(3),
      writes: at(4),
      writeSectors: at(6),
      writeMs: at(7),
      inFlight: at(8),
      busyMs: at(9),
      weightedMs: at(10),
    });
  }
  return devices;
}

/**
 * What a device did between two looks.
 * @returns undefined when a counter went back: the device was replaced, or the counter wrapped
 */
export function diskRates(
  before: DiskCounters,
  after: DiskCounters,
  windowMs: number,
  roots: readonly RootRole[],
): DeviceIo | undefined {
  const delta = (key: Exclude<keyof DiskCounters, "device" | "inFlight">) =>
    after[key] - before[key];
  const [reads, writes] = [delta("reads"), delta("writes")];
  const [readMs, writeMs] = [delta("readMs"), delta("writeMs")];
  const readBytes = delta("readSectors") * sectorBytes;
  const writeBytes = delta("writeSectors") * sectorBytes;
  const deltas = [reads, writes, readMs, writeMs, readBytes, writeBytes, delta("busyMs")];
  if (windowMs <= 0 || deltas.some((value) => value < 0)) return undefined;
  const perS = 1000 / windowMs;
  const mean = (total: number, count: number) => (count > 0 ? total / count : null);
  return {
    device: after.device,
    roots,
    readsPerS: reads * perS,
    writesPerS: writes * perS,
    readBytesPerS: readBytes * perS,
    writeBytesPerS: writeBytes * perS,
    readAwaitMs: mean(readMs, reads),
    writeAwaitMs: mean(writeMs, writes),
    awaitMs: mean(readMs + writeMs, reads + writes),
    utilisation: Math.min(1, delta("busyMs") / windowMs),
    queueDepth: Math.max(0, delta("weightedMs")) / windowMs,
    requestBytes: mean(readBytes + writeBytes, reads + writes),
  };
}

/** Parses /proc/pressure/io; undefined when the kernel keeps none. */
export function parsePressure(text: string): Pressure | undefined {
  const some = averages(text, "some");
  if (some === undefined) return undefined;
  const full = averages(text, "full");
  return {
    someAvg10Ratio: some[0],
    someAvg60Ratio: some[1],
    fullAvg10Ratio: full?.[0] ?? null,
    fullAvg60Ratio: full?.[1] ?? null,
  };
}

function averages(text: string, kind: string): [number, number] | undefined {
  const match = new RegExp(`^${kind} avg10=(\\d+(?:\\.\\d+)?) avg60=(\\d+(?:\\.\\d+)?) `, "m").exec(
    text,
  );
  return match === null ? undefined : [Number(match[1]) / 100, Number(match[2]) / 100];
}
