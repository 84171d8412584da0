// The facts each probe reports, as types. One place, because rules, `status`, `health` and the metrics read them.
// Ratios are 0..1, times in the units of their names; null is "could not be known", never zero.

import type { Finding } from "./rule.ts";

export type RootRole = "application" | "models" | "backup";

/** A storage root as the settings name it. */
export interface StorageRoot {
  readonly role: RootRole;
  /** Real path (below `--root` where there is one). */
  readonly path: string;
  /** Must be a mount of its own; the application root need not. */
  readonly requireMount: boolean;
  /** What was there when the host was set up; undefined where nobody recorded it. */
  readonly expected?:
    | {
        readonly uuid?: string | undefined;
        readonly fstype?: string | undefined;
        /** Mount options that tuning set: each must be in force. */
        readonly options?: readonly string[] | undefined;
      }
    | undefined;
}

export interface RootMount {
  readonly role: RootRole;
  readonly path: string;
  readonly requireMount: boolean;
  /** The root is a mount of its own or lies in one that is not the root file system. */
  readonly mounted: boolean;
  readonly mountpoint: string | null;
  readonly device: string | null;
  readonly fstype: string | null;
  readonly uuid: string | null;
  /** By the superblock options: the truth, whatever a sandbox shows. */
  readonly readOnly: boolean;
  readonly expectedUuid: string | null;
  readonly expectedFstype: string | null;
  /** Tuned options that are not in force. */
  readonly missingOptions: readonly string[];
}
export interface MountsData {
  readonly roots: readonly RootMount[];
}

/** Growth and what follows from it. Null members: the history does not span an hour yet, or it does not grow. */
export interface SpaceTrend {
  /** Bytes per day, robust (median of slopes). */
  readonly growthBytesPerDay: number | null;
  /** Time until nothing is available to users; null when it does not grow or is not known. */
  readonly fullInS: number | null;
  /** Bounds of the same with the 90 % interval of the slope: `fullInHighS` null means "perhaps never". */
  readonly fullInLowS: number | null;
  readonly fullInHighS: number | null;
  readonly historySpanS: number;
}
export interface RootSpace {
  readonly role: RootRole;
  readonly path: string;
  /** False when statfs did not return within its deadline; the numbers are null then. */
  readonly answering: boolean;
  /** False: there is no such directory; null: nobody could look. */
  readonly exists: boolean | null;
  /** Why there are no numbers: `not answering`, `No such file or directory`. */
  readonly reason: string | null;
  readonly mountpoint: string | null;
  readonly device: string | null;
  readonly fstype: string | null;
  readonly totalBytes: number | null;
  readonly usedBytes: number | null;
  readonly availableBytes: number | null;
  /** Free to root alone. */
  readonly reservedBytes: number | null;
  /** used / (used + available), as `df` counts. */
  readonly usage: number | null;
  /** Null where the file system has no fixed number of inodes. */
  readonly inodeUsage: number | null;
  /** Bytes known to come: running downloads and backups. What retention will free is not counted. */
  readonly comingBytes: number;
  readonly trend: SpaceTrend | null;
}
export interface SpaceData {
  readonly roots: readonly RootSpace[];
}

export interface DeviceIo {
  /** Kernel name: `nvme0n1`. */
  readonly device: string;
  readonly roots: readonly RootRole[];
  readonly readsPerS: number;
  readonly writesPerS: number;
  readonly readBytesPerS: number;
  readonly writeBytesPerS: number;
  /** Mean time of a finished request, queue included; null when none finished. */
  readonly readAwaitMs: number | null;
  readonly writeAwaitMs: number | null;
  readonly awaitMs: number | null;
  /** Share of time with a request in flight, 0..1; a device that works in parallel is not full at 1. */
  readonly utilisation: number;
  /** Mean number of requests in flight. */
  readonly queueDepth: number;
  readonly requestBytes: number | null;
}
export interface Pressure {
  readonly someAvg10Ratio: number;
  readonly someAvg60Ratio: number;
  readonly fullAvg10Ratio: number | null;
  readonly fullAvg60Ratio: number | null;
}
export interface IoData {
  readonly windowS: number;
  readonly devices: readonly DeviceIo[];
  readonly pressure: Pressure | null;
}

export interface Percentiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}
export interface RootLatency {
  readonly role: RootRole;
  readonly path: string;
  /** `asleep`: the disk is in standby and was left alone. */
  readonly state: "measured" | "asleep" | "unavailable";
  readonly reason: string | null;
  /** A 4 KiB write with fsync. */
  readonly write: Percentiles | null;
  /** A 4 KiB direct read. */
  readonly read: Percentiles | null;
}
export interface LatencyData {
  readonly roots: readonly RootLatency[];
}

/** `not_applicable`: the device has no SMART to speak of (virtual, loop). */
export type SmartState = "ok" | "warning" | "failed" | "unknown" | "not_applicable";
export type SmartProblemKind =
  "failing" | "wear" | "temperature" | "media_errors" | "spare" | "self_test" | "log" | "cable";
export interface SmartProblem {
  readonly kind: SmartProblemKind;
  readonly severity: "warning" | "critical";
  /** Which value: `reallocated_sectors`, `media_errors`; part of the alert's labels. */
  readonly attribute: string;
  readonly text: string;
  /** A count that can be accepted: it alerts again only when it grows. */
  readonly value: number | null;
}
export interface SmartDisk {
  /** `/dev/nvme0n1`. */
  readonly device: string;
  readonly roots: readonly RootRole[];
  readonly model: string | null;
  readonly serial: string | null;
  readonly protocol: "ATA" | "NVMe" | "SCSI" | "other" | null;
  readonly state: SmartState;
  /** Why it is unknown: `standby`, `permission`, `not supported`, `timeout`, … */
  readonly reason: string | null;
  /** In standby: asked nothing, woke nothing. */
  readonly standby: boolean;
  readonly exitStatus: number | null;
  readonly passed: boolean | null;
  readonly temperatureC: number | null;
  /** Limit of the drive itself where it names one. */
  readonly temperatureLimitC: number | null;
  /** Share of the rated endurance used; may exceed 1. */
  readonly wearRatio: number | null;
  readonly spareRatio: number | null;
  readonly spareThresholdRatio: number | null;
  readonly mediaErrors: number | null;
  readonly reallocatedSectors: number | null;
  readonly pendingSectors: number | null;
  readonly uncorrectableSectors: number | null;
  readonly crcErrors: number | null;
  readonly powerOnHours: number | null;
  readonly criticalWarnings: readonly string[];
  readonly problems: readonly SmartProblem[];
  /** What smartctl said beside the values. */
  readonly messages: readonly string[];
}
export interface SmartData {
  readonly disks: readonly SmartDisk[];
  /** Disks seen before that are gone now, by serial or device. */
  readonly vanished: readonly {
    readonly device: string;
    readonly serial: string | null;
    readonly model: string | null;
  }[];
  /** Where the values come from: asked now, or the file of the smart service. */
  readonly source: "smartctl" | "file";
}

export type KernelEventKind =
  "io_error" | "reset" | "filesystem" | "nvme" | "ata" | "offline" | "read_only" | "other";
export interface KernelEvent {
  /** Kernel name of the disk or partition; null where the line names none. */
  readonly device: string | null;
  readonly kind: KernelEventKind;
  readonly count: number;
  /** The last such line. */
  readonly text: string;
  readonly sequence: number;
}
export interface KernelData {
  /** New since the last run, of the disks behind the roots. */
  readonly events: readonly KernelEvent[];
  /** Records that were overwritten before they could be read. */
  readonly lostRecords: number;
  readonly records: number;
}

export interface LinkIssueData {
  readonly path: string;
  readonly expected: string | null;
  readonly actual: string | null;
  /** As `links verify` names it: `missing`, `broken`, `wrong_target`, `foreign`, … */
  readonly state: string;
}
export interface LinksData {
  readonly total: number;
  readonly healthy: number;
  readonly issues: readonly LinkIssueData[];
}

export interface ModelStateData {
  readonly key: string;
  readonly path: string;
  readonly state: "whole" | "empty" | "damaged" | "missing" | "unknown";
  readonly sizeBytes: number | null;
  readonly problems: readonly string[];
}
export interface ModelsData {
  readonly models: readonly ModelStateData[];
}

export interface BackupsData {
  /** When backups were set up: ages count from there while there is no snapshot. Null: backups are off. */
  readonly sinceMs: number | null;
  readonly lastCompleteMs: number | null;
  readonly lastVerifiedMs: number | null;
  readonly nextScheduledMs: number | null;
  /** Whether anything runs the schedule: a daemon, a timer, a crontab. Null: not known to this user. */
  readonly automatic: boolean | null;
  /** Expected distance of snapshots, from the schedule. */
  readonly periodS: number | null;
  readonly verifyEveryS: number | null;
  readonly snapshots: number;
  readonly damaged: readonly { readonly id: string; readonly reason: string }[];
  readonly failedJobs: readonly {
    readonly name: string;
    readonly atMs: number;
    readonly error: string;
  }[];
  /** Newest snapshot holds far less than the one before it. */
  readonly shrunk: {
    readonly id: string;
    readonly bytes: number;
    readonly beforeBytes: number;
  } | null;
  /** Sources that should be in a snapshot and are in none. */
  readonly uncovered: readonly string[];
  /** How much of what is stored was proved within the window; null before the first slice. */
  readonly coverage: {
    /** 0..1. */
    readonly ratio: number;
    /** How long beyond the window the oldest content waits. */
    readonly lagS: number;
    readonly bytesTotal: number;
    readonly measuredAtMs: number;
  } | null;
  /** Why the budget of verification cannot reach every byte in its window; null: it can. */
  readonly budgetProblem: string | null;
}

export interface ServiceState {
  readonly name: string;
  readonly port: number;
  readonly up: boolean;
  /** `/health` answered 2xx; null where it has none. */
  readonly healthy: boolean | null;
  readonly latencyMs: number | null;
  readonly error: string | null;
  /** It answered at least once since the agent keeps its history. */
  readonly everAnswered: boolean;
  /** Its silence is worth an alert. */
  readonly expected: boolean;
}
export interface ServicesData {
  readonly services: readonly ServiceState[];
}

export interface HostData {
  /** Share of all cores busy over the window; null for a first look without a window. */
  readonly cpuUsage: number | null;
  readonly ioWaitRatio: number | null;
  readonly cpuCount: number;
  readonly load1: number;
  readonly load5: number;
  readonly load15: number;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  /** (total - available) / total. */
  readonly memoryUsage: number;
  readonly swapTotalBytes: number;
  readonly swapFreeBytes: number;
  readonly uptimeS: number | null;
}

export interface Gpu {
  readonly index: number | null;
  readonly uuid: string;
  readonly name: string;
  readonly busId: string | null;
  readonly memoryTotalBytes: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryUsage: number | null;
  readonly utilisation: number | null;
  readonly temperatureC: number | null;
  readonly powerW: number | null;
  readonly powerLimitW: number | null;
  /** Reasons that slow it down now; idle and the application's own clocks are none. */
  readonly throttleReasons: readonly string[];
  readonly eccEnabled: boolean | null;
  readonly eccCorrectedVolatile: number | null;
  readonly eccUncorrectedVolatile: number | null;
  readonly eccCorrectedAggregate: number | null;
  readonly eccUncorrectedAggregate: number | null;
  readonly remappedRows: number | null;
  readonly remapPending: boolean | null;
  readonly remapFailure: boolean | null;
  readonly retiredPages: number | null;
  readonly retiredPagesPending: boolean | null;
  readonly pcieWidth: number | null;
  readonly pcieWidthMax: number | null;
  readonly persistenceMode: boolean | null;
  readonly migMode: boolean | null;
}
export interface XidEvent {
  readonly xid: number;
  readonly busId: string;
  readonly text: string;
  readonly sequence: number;
}
export interface GpuData {
  readonly gpus: readonly Gpu[];
  /** UUIDs seen before that do not answer now. */
  readonly vanished: readonly string[];
  /** Kernel messages of the driver since the last run. */
  readonly xids: readonly XidEvent[];
  readonly driverVersion: string | null;
}

export interface AgentData {
  readonly pid: number;
  readonly uptimeS: number;
  /** Share of one core since the last run. */
  readonly cpuUsage: number | null;
  readonly rssBytes: number | null;
  readonly anonymousBytes: number | null;
  readonly openFiles: number | null;
  /** Queue lengths by name: `outbox_webhook`, … */
  readonly queues: Readonly<Record<string, number>>;
  readonly probeErrors: readonly {
    readonly probe: string;
    readonly code: string;
    readonly message: string;
    readonly atMs: number;
    readonly consecutive: number;
  }[];
  /** The agent did not end cleanly before this start. */
  readonly restartedUncleanly: boolean;
  /** Why the history cannot be kept, or null. */
  readonly historyProblem: string | null;
  /** What the daemon itself ran into: a port in use, a sink that fails, a link it gave up on. */
  readonly notices: readonly Finding[];
}

/** Every probe and what it reports. */
export interface ProbeData {
  readonly mounts: MountsData;
  readonly space: SpaceData;
  readonly io: IoData;
  readonly latency: LatencyData;
  readonly smart: SmartData;
  readonly kernel: KernelData;
  readonly links: LinksData;
  readonly models: ModelsData;
  readonly backups: BackupsData;
  readonly services: ServicesData;
  readonly host: HostData;
  readonly gpu: GpuData;
  readonly agent: AgentData;
}
