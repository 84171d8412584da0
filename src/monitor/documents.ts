// What `status`, `health` and the push say of the samples, with the names of spec/cli.md. Pure.

import { formatTime } from "../core/index.ts";
import type { Alert, Silence } from "./alert.ts";
import type { RootLatency, RootMount, RootSpace, SmartDisk } from "./data.ts";
import type { Finding } from "./rule.ts";
import { worseState, type Sample, type Samples, type SampleState } from "./sample.ts";

export type Source = "daemon" | "now";

/** When and how a section was measured; `measured_at` is null where nothing was. */
function stamp(sample: Sample | undefined, source: Source) {
  return {
    state: sample?.state ?? "unknown",
    measured_at: sample === undefined ? null : formatTime(sample.measuredAtMs),
    source,
    note: sample?.note ?? null,
  };
}

/** `storage[]` of `status` and `storage_health[]` of `health`: one entry for each root. */
export function storageSection(samples: Samples, source: Source) {
  const { mounts, space, latency } = samples;
  const roots = space?.data?.roots ?? mounts?.data?.roots ?? [];
  return roots.map(({ role, path }) => {
    const at = <T extends { readonly role: string }>(list: readonly T[] | undefined) =>
      list?.find((entry) => entry.role === role);
    return {
      ...storageEntry(at(space?.data?.roots), at(mounts?.data?.roots), at(latency?.data?.roots)),
      role,
      path,
      state: rootState(role, [space, mounts, latency], at(space?.data?.roots)),
      measured_at: space === undefined ? null : formatTime(space.measuredAtMs),
      source,
    };
  });
}

function storageEntry(
  space: RootSpace | undefined,
  mount: RootMount | undefined,
  latency: RootLatency | undefined,
) {
  return {
    mountpoint: space?.mountpoint ?? mount?.mountpoint ?? null,
    device: mount?.device ?? space?.device ?? null,
    fstype: mount?.fstype ?? space?.fstype ?? null,
    mounted: mount?.mounted ?? null,
    read_only: mount?.readOnly ?? null,
    total_bytes: space?.totalBytes ?? null,
    used_bytes: space?.usedBytes ?? null,
    free_bytes: space?.availableBytes ?? null,
    usage: space?.usage ?? null,
    inode_usage: space?.inodeUsage ?? null,
    reason: space?.reason ?? null,
    full_in_s: space?.trend?.fullInS ?? null,
    full_in_low_s: space?.trend?.fullInLowS ?? null,
    full_in_high_s: space?.trend?.fullInHighS ?? null,
    growth_bytes_per_day: space?.trend?.growthBytesPerDay ?? null,
    latency:
      latency?.write == null || latency.read == null
        ? null
        : {
            write_p50_s: latency.write.p50Ms / 1000,
            write_p95_s: latency.write.p95Ms / 1000,
            read_p50_s: latency.read.p50Ms / 1000,
            read_p95_s: latency.read.p95Ms / 1000,
          },
  };
}

/** The worst that any probe found about this root; a root without numbers is unknown. */
function rootState(
  role: string,
  samples: readonly (Sample | undefined)[],
  space: RootSpace | undefined,
): SampleState {
  let state: SampleState = space?.usage == null ? "unknown" : "ok";
  for (const sample of samples) {
    for (const finding of sample?.findings ?? []) {
      if (finding.labels["root"] === role) state = worseState(state, finding.severity);
    }
  }
  return state;
}

/** `links` of `status`, `symlink_status` of `health`. */
export function linksSection(samples: Samples, source: Source) {
  const { links } = samples;
  return {
    total: links?.data?.total ?? null,
    healthy: links?.data?.healthy ?? null,
    issues: (links?.data?.issues ?? []).map(({ path, expected, actual, state }) => ({
      path,
      expected,
      actual,
      state,
    })),
    ...stamp(links, source),
  };
}

/** `smart[]` of `status`. */
export function smartDisks(samples: Samples, source: Source) {
  const { smart } = samples;
  return (smart?.data?.disks ?? []).map((disk) => ({
    ...smartDisk(disk),
    measured_at: smart === undefined ? null : formatTime(smart.measuredAtMs),
    source,
  }));
}

function smartDisk(disk: SmartDisk) {
  return {
    device: disk.device,
    roots: disk.roots,
    model: disk.model,
    serial: disk.serial,
    protocol: disk.protocol,
    state: disk.state,
    reason: disk.reason,
    standby: disk.standby,
    temperature_celsius: disk.temperatureC,
    temperature_limit_celsius: disk.temperatureLimitC,
    wear: disk.wearRatio,
    spare: disk.spareRatio,
    media_errors: disk.mediaErrors,
    reallocated_sectors: disk.reallocatedSectors,
    pending_sectors: disk.pendingSectors,
    uncorrectable_sectors: disk.uncorrectableSectors,
    crc_errors: disk.crcErrors,
    power_on_s: disk.powerOnHours === null ? null : disk.powerOnHours * 3600,
    critical_warnings: disk.criticalWarnings,
    problems: disk.problems.map(({ severity, attribute, text, value }) => ({
      severity,
      attribute,
      text,
      value,
    })),
  };
}

/** `smart_health` of `health`: present whatever is known. */
export function smartSection(samples: Samples, source: Source) {
  return {
    ...stamp(samples.smart, source),
    disks: smartDisks(samples, source),
    vanished: samples.smart?.data?.vanished ?? [],
  };
}

/** `models[]` of `status`. */
export function modelsSection(samples: Samples, source: Source) {
  const { models } = samples;
  return (models?.data?.models ?? []).map(({ key, path, state, sizeBytes, problems }) => ({
    key,
    path,
    state,
    size_bytes: sizeBytes,
    problems,
    measured_at: models === undefined ? null : formatTime(models.measuredAtMs),
    source,
  }));
}

const time = (atMs: number | null | undefined) => (atMs == null ? null : formatTime(atMs));

/** `backups` of `status`. */
export function backupsSection(samples: Samples, source: Source) {
  const data = samples.backups?.data;
  return {
    last_complete: time(data?.lastCompleteMs),
    last_verified: time(data?.lastVerifiedMs),
    next_scheduled: time(data?.nextScheduledMs),
    automatic: samples.backups?.state === "not_applicable" ? false : (data?.automatic ?? null),
    snapshots: data?.snapshots ?? null,
    damaged: data?.damaged.map(({ id }) => id) ?? [],
    ...stamp(samples.backups, source),
  };
}

/** `alerts[]` of `status` and `alerts list`. */
export function alertEntry(alert: Alert) {
  return {
    name: alert.name,
    severity: alert.severity,
    since: formatTime(alert.sinceMs),
    summary: alert.summary,
    labels: alert.labels,
    id: alert.fingerprint,
    state: alert.state,
    advice: alert.advice,
    value: alert.value,
    threshold: alert.threshold,
    fired_at: time(alert.firedAtMs),
    resolved_at: time(alert.resolvedAtMs),
    acknowledged:
      alert.acknowledged === null
        ? null
        : {
            by: alert.acknowledged.by,
            at: formatTime(alert.acknowledged.atMs),
            comment: alert.acknowledged.comment,
          },
  };
}

/** A silence, as `alerts` prints it. */
export function silenceEntry(silence: Silence) {
  return {
    id: silence.id,
    matchers: silence.matchers,
    until: formatTime(silence.untilMs),
    by: silence.by,
    at: formatTime(silence.atMs),
    comment: silence.comment,
  };
}

/** A finding of a command that looked once. */
export function findingEntry(finding: Finding) {
  return {
    name: finding.name,
    severity: finding.severity,
    summary: finding.summary,
    advice: finding.advice,
    labels: finding.labels,
    value: finding.value ?? null,
    threshold: finding.threshold ?? null,
  };
}
