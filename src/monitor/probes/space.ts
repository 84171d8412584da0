// How full the storage roots are: bytes, inodes, and the trend from the history. statfs runs in a child (disk-survey).

import { mountOf, parseMountinfo, readText, type HostPaths } from "../../system/index.ts";
import type { FileSystemUsage, Mount } from "../../system/index.ts";
import type { RootSpace, SpaceTrend, StorageRoot } from "../data.ts";
import type { DiskAnswer, DiskSurvey } from "../disk-survey.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";

export interface SpaceProbeOptions {
  readonly intervalS: number;
  readonly roots: readonly StorageRoot[];
  readonly survey: DiskSurvey;
  readonly paths: Pick<HostPaths, "proc" | "host">;
  /** The trend of a root from the history; undefined where there is none. */
  readonly trend?: ((space: RootSpace) => SpaceTrend | null) | undefined;
  /** Bytes known to come to a root (downloads, backups), less what retention frees. */
  readonly comingBytes?: ((root: StorageRoot) => number) | undefined;
}

export function createSpaceProbe(options: SpaceProbeOptions): Probe<"space"> {
  const { roots, survey, paths } = options;
  return defineProbe({
    name: "space",
    intervalS: options.intervalS,
    // One deadline of the survey for each root that may hang, and one for the rest.
    timeoutMs: 8000 * (roots.length + 1),
    async run(signal) {
      const mounts = parseMountinfo(readText(`${paths.proc ?? "/proc"}/self/mountinfo`) ?? "");
      const requests = roots.map(({ path }) => ({ kind: "statfs", path }) as const);
      const answers = await survey.ask(requests, signal);
      const spaces = roots.map((root, at) => {
        const mount = mountOf(mounts, paths.proc === undefined ? root.path : paths.host(root.path));
        const space = toRootSpace(root, mount, answers[at], options.comingBytes?.(root) ?? 0);
        return { ...space, trend: options.trend?.(space) ?? null };
      });
      const silent = spaces.filter((space) => space.usage === null);
      const note = silent.map((space) => `${space.path}: ${space.reason}`).join("; ");
      return {
        state: silent.length > 0 ? "unknown" : "ok",
        ...(note === "" ? {} : { note }),
        data: { roots: spaces },
        values: spaces.flatMap(spaceValues),
      };
    },
  });
}

function toRootSpace(
  root: StorageRoot,
  mount: Mount | undefined,
  answer: DiskAnswer | undefined,
  comingBytes: number,
): RootSpace {
  const where = {
    role: root.role,
    path: root.path,
    mountpoint: mount?.mountpoint ?? null,
    device: mount?.source ?? null,
    fstype: mount?.fstype ?? null,
    comingBytes,
    trend: null,
  };
  const usage = answer?.ok === true ? answer.usage : undefined;
  if (usage === undefined) {
    const failed = answer?.ok === false ? answer : undefined;
    return {
      ...where,
      ...noNumbers,
      answering: failed?.code !== "NOT_ANSWERING",
      reason: failed?.message ?? "no answer",
    };
  }
  return { ...where, answering: true, reason: null, ...numbers(usage) };
}

const noNumbers = {
  totalBytes: null,
  usedBytes: null,
  availableBytes: null,
  reservedBytes: null,
  usage: null,
  inodesTotal: null,
  inodesFree: null,
  inodeUsage: null,
};

function numbers(usage: FileSystemUsage) {
  const countsInodes = usage.inodeUsage !== undefined;
  return {
    totalBytes: usage.totalBytes,
    usedBytes: usage.usedBytes,
    availableBytes: usage.availableBytes,
    reservedBytes: Math.max(0, usage.freeBytes - usage.availableBytes),
    usage: usage.usage,
    inodesTotal: countsInodes ? usage.inodesTotal : null,
    inodesFree: countsInodes ? usage.inodesFree : null,
    inodeUsage: usage.inodeUsage ?? null,
  };
}

function spaceValues(space: RootSpace): Value[] {
  const labels = { root: space.role, path: space.path };
  const numeric: Record<string, number | null> = {
    storage_size_bytes: space.totalBytes,
    storage_used_bytes: space.usedBytes,
    storage_available_bytes: space.availableBytes,
    storage_reserved_bytes: space.reservedBytes,
    storage_usage_ratio: space.usage,
    storage_inode_usage_ratio: space.inodeUsage,
    storage_full_in_seconds: space.trend?.fullInS ?? null,
    storage_growth_bytes_per_day: space.trend?.growthBytesPerDay ?? null,
  };
  return Object.entries(numeric).flatMap(([series, value]) =>
    value === null ? [] : [{ series, labels, value }],
  );
}
