// The health report from one look at everything. Pure.

import { formatTime } from "../core/index.ts";
import {
  backupsSection,
  findingEntry,
  linksSection,
  modelsSection,
  smartSection,
  storageSection,
} from "./documents.ts";
import type { Finding } from "./rule.ts";
import { sampleStates, type Sample, type Samples, type SampleState } from "./sample.ts";

export interface HealthTrend {
  readonly role: string;
  readonly path: string;
  readonly growth_bytes_per_day: number | null;
  readonly full_in_s: number | null;
  readonly full_in_low_s: number | null;
  readonly full_in_high_s: number | null;
  readonly days_to_full: number | null;
  readonly history_span_s: number;
}

/** What `health` prints; `overall_healthy`: nothing critical. Exit 3 from the first warning. */
export function healthDocument(
  samples: Samples,
  overall: SampleState,
  /** Undefined: no trends; else when disks will be worn out, by device. */
  wornOutInS?: ReadonlyMap<string, number>,
) {
  const all = Object.values(samples).filter((sample) => sample !== undefined) as Sample[];
  const findings = all.flatMap((sample) => sample.findings);
  const texts = (severity: Finding["severity"]) =>
    findings.filter((finding) => finding.severity === severity).map(({ summary }) => summary);
  const errors = texts("critical");
  return {
    overall,
    storage_health: storageSection(samples, "now").map((entry) => ({
      ...entry,
      healthy: entry.state !== "critical" && entry.state !== "unknown",
    })),
    symlink_status: linksSection(samples, "now"),
    smart_health: smartSection(samples, "now"),
    io: ioSection(samples),
    kernel_errors: kernelSection(samples),
    models: modelsSection(samples, "now"),
    backups: backupsSection(samples, "now"),
    services: (samples.services?.data?.services ?? []).map(
      ({ name, port, up, expected, latencyMs }) => ({
        name,
        port,
        up,
        expected,
        latency_s: latencyMs === null ? null : latencyMs / 1000,
      }),
    ),
    host_load: hostSection(samples),
    gpus: gpuSection(samples),
    probes: all.map((sample) => ({
      name: sample.probe,
      state: sample.state,
      note: sample.note ?? null,
      measured_at: formatTime(sample.measuredAtMs),
      duration_s: sample.durationMs / 1000,
    })),
    findings: findings.map(findingEntry),
    ...(wornOutInS === undefined
      ? {}
      : { trend: trendSection(samples), predictions: predictions(samples, wornOutInS) }),
    summary: {
      overall_healthy: errors.length === 0,
      warnings: texts("warning"),
      errors,
      counts: Object.fromEntries(
        sampleStates.map((state) => [state, all.filter((s) => s.state === state).length]),
      ),
    },
  };
}

export type HealthDocument = ReturnType<typeof healthDocument>;

function ioSection({ io }: Samples) {
  return (io?.data?.devices ?? []).map((device) => ({
    device: device.device,
    roots: device.roots,
    reads_per_s: device.readsPerS,
    writes_per_s: device.writesPerS,
    read_bytes_per_s: device.readBytesPerS,
    written_bytes_per_s: device.writeBytesPerS,
    await_s: device.awaitMs === null ? null : device.awaitMs / 1000,
    utilisation: device.utilisation,
    queue_length: device.queueDepth,
    window_s: io?.data?.windowS ?? null,
  }));
}

function kernelSection({ kernel }: Samples) {
  return (kernel?.data?.events ?? []).map(({ device, kind, count, text }) => ({
    device,
    kind,
    count,
    last: text,
  }));
}

function hostSection({ host }: Samples) {
  const data = host?.data;
  if (data == null) return null;
  return {
    cpu_usage: data.cpuUsage,
    load1: data.load1,
    cpu_count: data.cpuCount,
    memory_usage: data.memoryUsage,
    memory_total_bytes: data.memoryTotalBytes,
    memory_available_bytes: data.memoryAvailableBytes,
    uptime_s: data.uptimeS,
  };
}

function gpuSection({ gpu }: Samples) {
  return (gpu?.data?.gpus ?? []).map((each) => ({
    index: each.index,
    uuid: each.uuid,
    name: each.name,
    memory_used_bytes: each.memoryUsedBytes,
    memory_total_bytes: each.memoryTotalBytes,
    temperature_celsius: each.temperatureC,
    power_watts: each.powerW,
    utilisation: each.utilisation,
    throttle_reasons: each.throttleReasons,
    ecc_uncorrected: each.eccUncorrectedAggregate,
    remapped_rows: each.remappedRows,
  }));
}

const dayS = 86_400;

function trendSection({ space }: Samples): HealthTrend[] {
  return (space?.data?.roots ?? []).map(({ role, path, trend }) => ({
    role,
    path,
    growth_bytes_per_day: trend?.growthBytesPerDay ?? null,
    full_in_s: trend?.fullInS ?? null,
    full_in_low_s: trend?.fullInLowS ?? null,
    full_in_high_s: trend?.fullInHighS ?? null,
    days_to_full: trend?.fullInS == null ? null : trend.fullInS / dayS,
    history_span_s: trend?.historySpanS ?? 0,
  }));
}

/** How far ahead a limit is worth a word, long before it is an alert. */
const horizonS = 30 * dayS;
/** A disk takes longer to get. */
const wearHorizonS = 365 * dayS;

export interface Prediction {
  readonly what: "storage_full" | "disk_worn_out";
  /** The root's path, or the device. */
  readonly path: string;
  readonly in_s: number;
  readonly summary: string;
}

/** What the trends say will be reached: remarks, not findings. */
function predictions({ space }: Samples, wornOutInS: ReadonlyMap<string, number>): Prediction[] {
  const full = (space?.data?.roots ?? []).flatMap(({ path, trend }): Prediction[] => {
    const fullInS = trend?.fullInS;
    if (fullInS == null || fullInS > horizonS) return [];
    const summary = `${path} will be full in ${(fullInS / dayS).toFixed(1)} days at its present growth`;
    return [{ what: "storage_full", path, in_s: fullInS, summary }];
  });
  const worn = [...wornOutInS].flatMap(([path, inS]): Prediction[] => {
    if (inS > wearHorizonS) return [];
    const summary = `the rated endurance of ${path} will be used up in ${Math.round(inS / dayS)} days`;
    return [{ what: "disk_worn_out", path, in_s: inS, summary }];
  });
  return [...full, ...worn];
}
