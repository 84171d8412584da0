// The health of the disks behind the storage roots, by smartctl: never wakes a disk, never drops one for a bad page,
// never starts a second smartctl for a disk on which one hangs. In the sandboxed daemon the values come from the file
// that citadel-agent-smart.service writes.

import { formatTime } from "../../core/index.ts";
import type { Clock } from "../../system/index.ts";
import type { RootRole, SmartData, SmartDisk } from "../data.ts";
import { vanishedOf, type Memory } from "../memory.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Reading, Value } from "../sample.ts";
import { parseSmartFile, smartFileName } from "../smart/file.ts";
import { needsDeviceType, parseSmartctl, unknownDisk } from "../smart/parse.ts";
import type { ToolRunner } from "../tool.ts";

/** A disk to ask about. */
export interface SmartTarget {
  /** `/dev/nvme0n1`. */
  readonly device: string;
  readonly roots: readonly RootRole[];
  /** How the disk is known beyond its name, for "vanished": serial number, wwid. */
  readonly serial: string | null;
  readonly model: string | null;
}

export interface SmartProbeOptions {
  readonly intervalS: number;
  readonly enabled: boolean;
  readonly tool: ToolRunner;
  readonly memory: Memory;
  readonly targets: () => readonly SmartTarget[];
  /** The smart service's file, in the daemon; undefined text: there is none, and smartctl is asked. */
  readonly file?: (() => string | undefined) | undefined;
  readonly clock: Pick<Clock, "nowMs">;
}

const knownKey = "smart.disks";
const parallel = 2;
const maxDisks = 64;

export function createSmartProbe(options: SmartProbeOptions): Probe<"smart"> {
  return defineProbe({
    name: "smart",
    intervalS: options.intervalS,
    timeoutMs: 120_000,
    async run(signal) {
      const none = { data: null, values: [] };
      if (!options.enabled)
        return { state: "not_applicable", note: "switched off in the settings", ...none };
      const fromFile = options.file?.();
      if (fromFile !== undefined) return readFile(fromFile, options);
      const targets = options.targets().slice(0, maxDisks);
      const vanished = findVanished(targets, options.memory);
      if (targets.length === 0 && vanished.length === 0)
        return { state: "not_applicable", note: "no disk behind the storage roots", ...none };
      const disks = await askAll(targets, options, signal);
      if (disks === undefined)
        return { state: "unknown", note: "smartctl is not installed", ...none };
      return smartReading({ disks, vanished, source: "smartctl" });
    },
  });
}

/** What the smart service wrote; after two of its intervals it is stale, and nothing is known. */
function readFile(text: string, options: SmartProbeOptions): Reading<SmartData> {
  const file = parseSmartFile(text);
  const none = { data: null, values: [] };
  if (file === undefined)
    return { state: "unknown", note: `${smartFileName} cannot be read`, ...none };
  const ageS = (options.clock.nowMs() - file.measuredAtMs) / 1000;
  if (ageS > 2 * options.intervalS)
    return {
      state: "unknown",
      note: `${smartFileName} is from ${formatTime(file.measuredAtMs)}: citadel-agent-smart.timer does not run`,
      ...none,
    };
  if (file.data !== null) return smartReading(file.data);
  return { state: file.state, ...(file.note === null ? {} : { note: file.note }), ...none };
}

/** The reading that follows from the disks; also for values that come from the smart service's file. */
export function smartReading(data: SmartData): Reading<SmartData> {
  const unknown = data.disks.filter((disk) => disk.state === "unknown");
  const hanging = unknown.find((disk) => /did not return|still hangs/.test(disk.reason ?? ""));
  const without =
    data.disks.length > 0 && data.disks.every((disk) => disk.state === "not_applicable");
  const silent = without ? data.disks : unknown;
  const note = silent.map((disk) => `${disk.device}: ${disk.reason}`).join("; ");
  return {
    state: without ? "not_applicable" : unknown.length > 0 ? "unknown" : "ok",
    ...(note === "" ? {} : { note }),
    data,
    values: data.disks.flatMap(smartValues),
    ...(hanging === undefined
      ? {}
      : { problem: { code: "TOOL_FAILED", message: `${hanging.device}: ${hanging.reason}` } }),
  };
}

async function askAll(
  targets: readonly SmartTarget[],
  options: SmartProbeOptions,
  signal: AbortSignal,
): Promise<SmartDisk[] | undefined> {
  const disks: (SmartDisk | undefined)[] = [];
  let next = 0;
  let missing = false;
  const worker = async () => {
    for (let at = next++; at < targets.length; at = next++) {
      const target = targets[at];
      if (target === undefined) return;
      disks[at] = await askDisk(target, options.tool, signal);
      if (disks[at] === undefined) missing = true;
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return missing ? undefined : disks.filter((disk) => disk !== undefined);
}

/** Undefined: there is no smartctl. */
async function askDisk(
  target: SmartTarget,
  tool: ToolRunner,
  signal: AbortSignal,
): Promise<SmartDisk | undefined> {
  const ask = async (...type: string[]) => {
    const run = await tool.run(
      ["smartctl", "--json", "-n", "standby", "-a", "-l", "devstat", ...type, target.device],
      signal,
    );
    if (run.state === "missing") return undefined;
    if (run.state !== "ran") return unknownDisk(target.device, target.roots, run.reason);
    return parseSmartctl({ device: target.device, roots: target.roots, ...run });
  };
  const disk = await ask();
  if (disk === undefined || !needsDeviceType(disk)) return withIdentity(disk, target);
  const bridged = await ask("-d", "sat");
  return withIdentity(
    bridged === undefined || bridged.state === "unknown" ? disk : bridged,
    target,
  );
}

function withIdentity(disk: SmartDisk | undefined, target: SmartTarget): SmartDisk | undefined {
  if (disk === undefined) return undefined;
  return { ...disk, serial: disk.serial ?? target.serial, model: disk.model ?? target.model };
}

interface KnownDisk {
  readonly device: string;
  readonly serial: string | null;
  readonly model: string | null;
}

/** Disks known from before that are gone; remembers the present ones when none is. */
function findVanished(targets: readonly SmartTarget[], memory: Memory): KnownDisk[] {
  const known = readKnown(memory);
  const identity = (disk: KnownDisk) => disk.serial ?? disk.device;
  const gone = new Set(vanishedOf(known.map(identity), targets.map(identity)));
  if (gone.size > 0) return known.filter((disk) => gone.has(identity(disk)));
  if (targets.length > 0)
    memory.write(
      knownKey,
      targets.map(({ device, serial, model }) => ({ device, serial, model })),
    );
  return [];
}

function readKnown(memory: Memory): KnownDisk[] {
  const known = memory.read(knownKey);
  if (!Array.isArray(known)) return [];
  return known.slice(0, maxDisks).flatMap((entry: unknown) => {
    const disk = entry as Partial<KnownDisk> | null;
    if (typeof disk?.device !== "string") return [];
    const text = (value: unknown) => (typeof value === "string" ? value : null);
    return [{ device: disk.device, serial: text(disk.serial), model: text(disk.model) }];
  });
}

/** Forgets disks that are known to be gone for good (`alerts ack` on DISK_VANISHED). */
export function forgetDisk(memory: Memory, device: string): void {
  memory.write(
    knownKey,
    readKnown(memory).filter((disk) => disk.device !== device),
  );
}

const isJudged = ({ state }: SmartDisk) => state !== "unknown" && state !== "not_applicable";

function smartValues(disk: SmartDisk): Value[] {
  const labels = { device: disk.device };
  const numbers: Record<string, number | null> = {
    smart_temperature_celsius: disk.temperatureC,
    smart_wear_ratio: disk.wearRatio,
    smart_spare_ratio: disk.spareRatio,
    smart_media_errors: disk.mediaErrors,
    smart_reallocated_sectors: disk.reallocatedSectors,
    smart_pending_sectors: disk.pendingSectors,
    smart_power_on_hours: disk.powerOnHours,
    smart_healthy: isJudged(disk) ? (disk.state === "failed" ? 0 : 1) : null,
  };
  return Object.entries(numbers).flatMap(([series, value]) =>
    value === null ? [] : [{ series, labels, value }],
  );
}
