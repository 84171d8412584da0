// What limits the storage and what to change: the figures against the thresholds, with what the path consists of.
// Pure. Each finding has one recommendation with its reason.

import type { PerfFigures } from "./summary.ts";

/** What lies under the path. */
export interface StorageFacts {
  readonly path: string;
  readonly mountpoint: string | null;
  readonly fstype: string | null;
  readonly options: readonly string[];
  readonly disks: readonly {
    readonly name: string;
    readonly rotational: boolean | null;
    readonly transport: string;
    readonly scheduler: string | null;
    readonly schedulers: readonly string[];
  }[];
  /** Kinds of the devices on the way to the disks: `crypt`, `lvm`, `raid`. */
  readonly layers: readonly string[];
  readonly direct: boolean;
}

export interface PerfThresholds {
  readonly ioLatencyMs: number;
  readonly throughputBytesPerS: number;
}

export type Limit =
  "device" | "file_system_option" | "scheduler" | "encryption" | "network" | "memory" | "cache";

export interface Bottleneck {
  readonly path: string;
  readonly metric: string;
  readonly value: number;
  readonly threshold: number;
  readonly unit: "bytes_per_s" | "s";
  /** False: the metric nearest to its threshold, which it keeps. */
  readonly exceeded: boolean;
  readonly limit: Limit;
  readonly reason: string;
}

export interface Recommendation {
  readonly finding: string;
  readonly recommendation: string;
  readonly reason: string;
  readonly command: string | null;
}

export interface PerfAnalysis {
  readonly bottleneck: Bottleneck | null;
  readonly recommendations: readonly Recommendation[];
}

/** A measurement with what it means. */
export interface PerfReport {
  readonly facts: StorageFacts;
  readonly sizeBytes: number;
  readonly figures: readonly PerfFigures[];
  readonly analysis: PerfAnalysis;
}

const networkTypes =
  /^(?:nfs|nfs4|cifs|smb3|ceph|glusterfs|9p|lustre|beegfs|fuse\.(?:sshfs|s3fs|glusterfs|rclone))$/;
const memoryTypes = /^(?:tmpfs|ramfs)$/;

export function analyzePerf(
  figures: readonly PerfFigures[],
  facts: StorageFacts,
  thresholds: PerfThresholds,
): PerfAnalysis {
  const worst = rankMetrics(figures, thresholds)[0];
  const { limit, reason } = whatLimits(facts, figures);
  return {
    bottleneck: worst === undefined ? null : { path: facts.path, ...worst, limit, reason },
    recommendations: recommend(facts, figures, thresholds),
  };
}

type Metric = Pick<Bottleneck, "metric" | "value" | "threshold" | "unit" | "exceeded">;

/** Every metric with a threshold, the one that misses it most first. */
export function rankMetrics(figures: readonly PerfFigures[], thresholds: PerfThresholds): Metric[] {
  const metrics = figures.flatMap((each): (Metric & { readonly share: number })[] => {
    if (each.operations === 0) return [];
    const sequential = each.name.startsWith("sequential");
    const threshold = sequential ? thresholds.throughputBytesPerS : thresholds.ioLatencyMs / 1000;
    const value = sequential ? each.bytes_per_s : each.latency.p95_s;
    if (threshold <= 0) return [];
    const share = sequential ? threshold / value : value / threshold;
    const exceeded = sequential ? value < threshold : value >= threshold;
    const metric = sequential ? `${each.name}_throughput` : `${each.name}_latency_p95`;
    return [{ metric, value, threshold, unit: sequential ? "bytes_per_s" : "s", exceeded, share }];
  });
  return metrics.sort((a, b) => b.share - a.share).map(({ share: _share, ...metric }) => metric);
}

function whatLimits(
  facts: StorageFacts,
  figures: readonly PerfFigures[],
): { limit: Limit; reason: string } {
  const { fstype, options, disks, layers } = facts;
  if (fstype !== null && networkTypes.test(fstype))
    return { limit: "network", reason: `${fstype} is served by another host over the network` };
  if (fstype !== null && memoryTypes.test(fstype))
    return { limit: "memory", reason: `${fstype} lives in memory: no disk was measured` };
  if (!facts.direct)
    return {
      limit: "cache",
      reason: `${fstype ?? "this file system"} has no direct I/O: the page cache was measured too`,
    };
  const slowOption = options.find((option) => /^(?:sync|dirsync|data=journal)$/.test(option));
  if (slowOption !== undefined)
    return {
      limit: "file_system_option",
      reason: `it is mounted with \`${slowOption}\`: each write waits for the disk${slowOption === "data=journal" ? ", twice" : ""}`,
    };
  const wrong = disks.find((disk) => schedulerAdvice(disk) !== undefined);
  if (wrong !== undefined)
    return { limit: "scheduler", reason: `${wrong.name} uses the scheduler ${wrong.scheduler}` };
  if (layers.includes("crypt") && cryptCosts(figures))
    return { limit: "encryption", reason: "every block goes through dm-crypt" };
  const names = disks.map((disk) => disk.name).join(", ");
  const kind = disks.some((disk) => disk.rotational === true) ? "a rotating disk" : "the disk";
  return {
    limit: "device",
    reason: names === "" ? "the device itself" : `${kind} itself (${names})`,
  };
}

/** With AES in hardware dm-crypt gives a few GB/s: below one, and reads no faster than writes, it shows. */
function cryptCosts(figures: readonly PerfFigures[]): boolean {
  const read = figures.find((each) => each.name === "sequential_read")?.bytes_per_s ?? Infinity;
  return read < 1e9;
}

function schedulerAdvice(disk: StorageFacts["disks"][number]): string | undefined {
  const { scheduler, schedulers, rotational, transport } = disk;
  if (scheduler === null || rotational === null || transport === "virtio") return undefined;
  const wanted = rotational ? ["mq-deadline", "deadline", "bfq"] : ["none", "mq-deadline", "noop"];
  if (wanted.includes(scheduler)) return undefined;
  return wanted.find((name) => schedulers.includes(name));
}

function recommend(
  facts: StorageFacts,
  figures: readonly PerfFigures[],
  thresholds: PerfThresholds,
): Recommendation[] {
  const found: Recommendation[] = [];
  const { mountpoint, options, disks, layers, fstype } = facts;
  const add = (
    finding: string,
    recommendation: string,
    reason: string,
    command: string | null = null,
  ) => found.push({ finding, recommendation, reason, command });
  for (const disk of disks) {
    const wanted = schedulerAdvice(disk);
    if (wanted !== undefined)
      add(
        `${disk.name} uses the scheduler ${disk.scheduler}`,
        `use ${wanted}`,
        disk.rotational === true
          ? "it keeps a rotating disk from starving readers"
          : "a flash disk needs no reordering, and each request saves the time",
        "citadel-agent tune apply",
      );
  }
  if (options.includes("sync"))
    add(
      "mounted with sync",
      "mount without it",
      "each write waits for the disk; programs that must be sure call fsync",
      `mount -o remount,async ${mountpoint}`,
    );
  if (options.includes("data=journal"))
    add(
      "mounted with data=journal",
      "use data=ordered",
      "file content is written twice, to the journal and to its place",
      "citadel-agent tune apply",
    );
  if (!options.includes("noatime") && /^(?:ext4|xfs|btrfs)$/.test(fstype ?? ""))
    add(
      "mounted without noatime",
      "mount with noatime",
      "reading a file need not write its access time",
      "citadel-agent tune apply",
    );
  const exceeded = rankMetrics(figures, thresholds).filter((metric) => metric.exceeded);
  for (const metric of exceeded) found.push(forMetric(metric, facts));
  if (layers.includes("crypt") && exceeded.length > 0)
    add(
      "the file system lies on dm-crypt",
      "compare with `cryptsetup benchmark`",
      "when the cipher is not much faster than the disk, encryption limits",
      "cryptsetup benchmark",
    );
  return found;
}

function forMetric(metric: Metric, facts: StorageFacts): Recommendation {
  const value =
    metric.unit === "s"
      ? `${(metric.value * 1000).toFixed(1)} ms, the limit is ${(metric.threshold * 1000).toFixed(0)} ms`
      : `${(metric.value / 1e6).toFixed(1)} MB/s, expected are ${(metric.threshold / 1e6).toFixed(0)} MB/s`;
  const network = facts.fstype !== null && networkTypes.test(facts.fstype);
  const rotating = facts.disks.some((disk) => disk.rotational === true);
  return {
    finding: `${metric.metric}: ${value}`,
    recommendation: network
      ? "keep what is served often on a local disk"
      : rotating
        ? "put the active models on a flash disk and keep archives here"
        : "look for other load (`iotop`), for heat and wear (`citadel-agent health`), and at the bus of the disk",
    reason: network
      ? "the network and the other host limit"
      : rotating
        ? "a rotating disk has to move its heads for every request"
        : "a healthy flash disk is faster than this",
    command: null,
  };
}
