// Rules about disks: what the kernel, SMART and the counters say.

import type { DeviceIo, KernelEventKind, SmartDisk, SmartProblemKind } from "../data.ts";
import { defineRule, fingerprintOf, type Finding } from "../rule.ts";

/** A kernel message is an event: its alert stays this long after the last one. */
const kernelKeepMs = 3600_000;

const kernelSeverity: Record<KernelEventKind, "warning" | "critical"> = {
  io_error: "critical",
  filesystem: "critical",
  read_only: "critical",
  offline: "critical",
  nvme: "warning",
  ata: "warning",
  reset: "warning",
  other: "warning",
};

export const kernelRule = defineRule({
  names: ["DISK_IO_ERRORS"],
  probe: "kernel",
  description: "the kernel reports errors of a disk behind a storage root",
  hold: 0,
  judge: ({ events }) => ({
    findings: events.map((event) => ({
      name: "DISK_IO_ERRORS",
      severity: kernelSeverity[event.kind],
      labels: { device: event.device ?? "unknown", kind: event.kind },
      summary: `${event.device}: ${event.count} kernel messages (${event.kind}), the last: ${event.text}`,
      advice: `\`smartctl -a /dev/${event.device}\`; back up what lies on it before you go on`,
      value: event.count,
      keepMs: kernelKeepMs,
    })),
  }),
});

const smartAlertName: Record<SmartProblemKind, string> = {
  failing: "SMART_FAILING",
  spare: "SMART_FAILING",
  wear: "SMART_WEAR",
  temperature: "SMART_TEMPERATURE",
  media_errors: "SMART_MEDIA_ERRORS",
  self_test: "SMART_MEDIA_ERRORS",
  log: "SMART_MEDIA_ERRORS",
  cable: "SMART_CABLE",
};

const smartAdvice: Record<SmartProblemKind, string> = {
  failing: "replace the disk: back up what lies on it now",
  spare: "replace the disk soon: it runs out of spare blocks",
  wear: "plan to replace the disk: it is near the end of its rated endurance",
  temperature: "look at fans and air flow; heat shortens the life of the disk and slows it down",
  media_errors:
    "watch whether it grows; `citadel-agent alerts ack` accepts the present value, then it alerts only when it grows",
  self_test: "run `smartctl -t long` and look at the log; replace the disk if it fails again",
  log: "look at `smartctl -l error`; `citadel-agent alerts ack` accepts the present count",
  cable:
    "reseat or replace the cable; the count never falls, so accept it with `citadel-agent alerts ack`",
};

export const smartRule = defineRule({
  names: ["SMART_FAILING", "SMART_WEAR", "SMART_TEMPERATURE", "SMART_MEDIA_ERRORS", "SMART_CABLE"],
  probe: "smart",
  description: "a disk reports wear, heat, errors, or that it fails",
  // SMART is read once an hour: what it says holds at once.
  hold: 0,
  clearHold: 0,
  judge: ({ disks, vanished }) => ({
    findings: disks.flatMap(judgeDisk),
    // Standby, a timeout, no permission, gone: what was known of the disk stays.
    blind: [...disks.filter((disk) => disk.state === "unknown"), ...vanished].map(({ device }) => ({
      device,
    })),
  }),
});

function judgeDisk(disk: SmartDisk): Finding[] {
  return disk.problems.map((problem) => ({
    name: smartAlertName[problem.kind],
    severity: problem.severity,
    labels: {
      device: disk.device,
      ...(disk.serial === null ? {} : { serial: disk.serial }),
      attribute: problem.attribute,
    },
    summary: `${disk.device}${disk.model === null ? "" : ` (${disk.model})`}: ${problem.text}`,
    advice: smartAdvice[problem.kind],
    ...(problem.value === null ? {} : { value: problem.value, acceptable: true }),
  }));
}

export const vanishedRule = defineRule({
  names: ["DISK_VANISHED"],
  probe: "smart",
  description: "a disk that was behind a storage root is gone",
  hold: 0,
  judge: ({ vanished }) => ({
    findings: vanished.map(({ device, serial, model }) => ({
      name: "DISK_VANISHED",
      severity: "critical",
      labels: { device, ...(serial === null ? {} : { serial }) },
      summary: `the disk ${device}${model === null ? "" : ` (${model})`} is gone`,
      advice:
        "look at `dmesg` and the slot; after it was taken out on purpose, `citadel-agent alerts ack` forgets it",
    })),
  }),
});

const saturated = 0.9;
const largeRequestBytes = 64 * 1024;

export const awaitRule = defineRule({
  names: ["DEVICE_LATENCY", "THROUGHPUT_LOW"],
  probe: "io",
  description: "requests of a disk take too long, or it moves too little while it is busy",
  // A burst is no fault: five minutes at the default interval.
  hold: 5,
  clearHold: 2,
  judge: ({ devices }, context) => ({
    findings: devices.flatMap((io) => [
      ...judgeAwait(io, context.thresholds.ioLatencyMs, (labels) =>
        context.activeSeverity(fingerprintOf("DEVICE_LATENCY", labels)),
      ),
      ...judgeThroughput(io, context.thresholds.throughputBytesPerS),
    ]),
  }),
});

function judgeAwait(
  io: DeviceIo,
  limitMs: number,
  active: (labels: Record<string, string>) => unknown,
): Finding[] {
  const labels = { device: io.device };
  const factor = active(labels) === undefined ? 1 : 0.8;
  if (io.awaitMs === null || io.awaitMs < limitMs * factor) return [];
  return [
    {
      name: "DEVICE_LATENCY",
      severity: "warning",
      labels,
      summary: `requests to ${io.device} take ${io.awaitMs.toFixed(1)} ms on average, the limit is ${limitMs} ms`,
      advice: `queue ${io.queueDepth.toFixed(1)}, busy ${Math.round(io.utilisation * 100)} %: find who writes with \`iotop\`, and see \`citadel-agent perf --analyze\``,
      value: io.awaitMs,
      threshold: limitMs,
    },
  ];
}

/** Only a disk that is busy with large requests shows what it can move; little asked is little moved. */
function judgeThroughput(io: DeviceIo, limitBytesPerS: number): Finding[] {
  const movedBytesPerS = io.readBytesPerS + io.writeBytesPerS;
  const large = (io.requestBytes ?? 0) >= largeRequestBytes;
  if (io.utilisation < saturated || !large || movedBytesPerS >= limitBytesPerS) return [];
  return [
    {
      name: "THROUGHPUT_LOW",
      severity: "warning",
      labels: { device: io.device },
      summary: `${io.device} is busy ${Math.round(io.utilisation * 100)} % of the time and moves ${(movedBytesPerS / 1e6).toFixed(1)} MB/s, expected are ${limitBytesPerS / 1e6} MB/s`,
      advice: `\`citadel-agent perf\` on its root measures it alone; see \`smartctl -a /dev/${io.device}\``,
      value: movedBytesPerS,
      threshold: limitBytesPerS,
    },
  ];
}
