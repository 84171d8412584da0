// What the kernel said about the disks behind the storage roots since the last look: I/O errors, resets, complaints
// of ext4, xfs, btrfs and nvme.

import type { KernelData, KernelEvent, KernelEventKind } from "../data.ts";
import { kernelLogProblem, type KernelCursor, type KernelRecord } from "../kernel-records.ts";
import { defineProbe, type Probe } from "../probe.ts";

/** A disk with every name the kernel may call it by. */
export interface KernelDevice {
  /** `sda`, `nvme0n1`: how it is reported. */
  readonly name: string;
  /** `sda`, `sda1`, `dm-0`, `ata1`, `nvme0`: whole words of a message. */
  readonly aliases: readonly string[];
}

// The first that matches counts. Texts of Linux 4.x-6.x: block/blk-core.c, fs/ext4/super.c, fs/xfs/xfs_message.c,
// fs/btrfs/messages.c, drivers/nvme/host/{core,pci}.c, drivers/ata/libata-{core,eh}.c, drivers/scsi/scsi_lib.c.
const patterns: readonly (readonly [KernelEventKind, RegExp])[] = [
  ["read_only", /remounting filesystem read-only|forced readonly|filesystem has been shut down/i],
  [
    "io_error",
    /\bI\/O error\b|critical (?:medium|target|space allocation|nexus) error|protection error|unrecovered read error|Medium Error/i,
  ],
  [
    "offline",
    /rejecting I\/O to (?:offline|dead) device|Disabling device after reset failure|Removing after probe failure|device offlined|SATA link down|Device not ready; aborting/i,
  ],
  [
    "filesystem",
    /EXT4-fs (?:error|warning.*error)|Aborting journal|JBD2:.*(?:error|fail)|XFS \([^)]*\): .*(?:corruption|metadata|shutdown|shutting down|failed|error)|BTRFS(?: error| critical|:.*error)|journal commit I\/O error/i,
  ],
  [
    "nvme",
    /nvme\S*:? .*(?:timeout|controller is down|abort|reset|failed|error|Identify .* failed)/i,
  ],
  ["ata", /\bata\d+(?:\.\d+)?: .*(?:exception Emask|failed command|error:|status: \{)/i],
  [
    "reset",
    /hard resetting link|soft resetting link|resetting (?:controller|link|device)|reset (?:high|super)-speed usb device|device reset/i,
  ],
];
// What matches a pattern and is no trouble.
const harmless =
  /errors=remount-ro|mounted filesystem|nvme\S* (?:\d+\/\d+\/\d+ default|pci function)|Shutdown timeout set|missing or invalid SUBNQN|error correction capability|re-mounted/i;

const maxEvents = 200;
const textLimit = 300;

/** Groups the records that are about one of `devices` by disk and kind; the last text stands for its group. */
export function parseKernelEvents(
  records: readonly KernelRecord[],
  devices: readonly KernelDevice[],
): KernelEvent[] {
  const matchers = devices.map((device) => ({ name: device.name, match: wordsOf(device.aliases) }));
  const events = new Map<string, KernelEvent>();
  for (const record of records) {
    if (harmless.test(record.text)) continue;
    const kind = patterns.find(([, pattern]) => pattern.test(record.text))?.[0];
    if (kind === undefined) continue;
    const device = matchers.find(({ match }) => match.test(record.text))?.name;
    if (device === undefined) continue;
    const key = `${device} ${kind}`;
    const before = events.get(key);
    if (before === undefined && events.size >= maxEvents) continue;
    events.set(key, {
      device,
      kind,
      count: (before?.count ?? 0) + 1,
      text: record.text.slice(0, textLimit),
      sequence: record.sequence,
    });
  }
  return [...events.values()];
}

function wordsOf(aliases: readonly string[]): RegExp {
  const escaped = aliases.map((alias) => alias.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`(?<![\\w-])(?:${escaped.join("|") || "(?!)"})(?!\\w)`);
}

/**
 * The names of a disk in messages.
 * @param chain kernel names of the devices above it: partitions, mapped devices
 * @param sysPath its directory in /sys/devices, which names the ATA port and the SCSI address
 */
export function kernelAliases(name: string, chain: readonly string[], sysPath: string): string[] {
  const aliases = new Set([name, ...chain]);
  const port = /\/(ata\d+)\//.exec(sysPath)?.[1];
  if (port !== undefined) aliases.add(port);
  const address = /\/(\d+:\d+:\d+:\d+)\//.exec(sysPath)?.[1];
  if (address !== undefined) aliases.add(address);
  const controller = /^(nvme\d+)n\d+$/.exec(name)?.[1];
  if (controller !== undefined) aliases.add(controller);
  return [...aliases];
}

export interface KernelProbeOptions {
  readonly intervalS: number;
  readonly cursor: KernelCursor;
  readonly devices: () => readonly KernelDevice[];
}

export function createKernelProbe(options: KernelProbeOptions): Probe<"kernel"> {
  return defineProbe({
    name: "kernel",
    intervalS: options.intervalS,
    timeoutMs: 10_000,
    async run() {
      let look;
      try {
        look = options.cursor.next();
      } catch (thrown) {
        return { state: "unknown", note: kernelLogProblem(thrown), data: null, values: [] };
      }
      const devices = options.devices();
      const events = parseKernelEvents(look.records, devices);
      const data: KernelData = {
        events,
        lostRecords: look.lostRecords,
        records: look.records.length,
      };
      if (devices.length === 0) {
        return {
          state: "not_applicable",
          note: "no disk behind the storage roots is known",
          data,
          values: [],
        };
      }
      return { state: "ok", data, values: kernelValues(devices, events) };
    },
  });
}

function kernelValues(devices: readonly KernelDevice[], events: readonly KernelEvent[]) {
  return devices.map(({ name }) => ({
    series: "disk_kernel_errors",
    labels: { device: name },
    value: events.filter((e) => e.device === name).reduce((sum, e) => sum + e.count, 0),
  }));
}
