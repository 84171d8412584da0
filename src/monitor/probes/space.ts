// How full the storage roots are: bytes, inodes, and the trend from the history. statfs runs in a child where it
// could hang (system/survey).

import { mountOf, parseMountinfo, readText, type HostPaths } from "../../system/index.ts";
import type { Mount } from "../../system/index.ts";
import type { Answer, Question } from "../../system/survey/index.ts";
import type { RootSpace, SpaceTrend, StorageRoot } from "../data.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";

export interface SpaceProbeOptions {
  readonly intervalS: number;
  readonly roots: readonly StorageRoot[];
  /** `survey` of system/survey: never hangs, never throws. */
  readonly survey: (
    questions: readonly Question[],
    options: { readonly signal: AbortSignal },
  ) => Promise<Answer[]>;
  readonly paths: Pick<HostPaths, "proc" | "host">;
  /** The trend of a root from the history; undefined where there is none. */
  readonly trend?: ((space: RootSpace) => SpaceTrend | null) | undefined;
  /** Bytes known to come to a root: running downloads and backups. */
  readonly comingBytes?: ((root: StorageRoot) => number) | undefined;
}

export function createSpaceProbe(options: SpaceProbeOptions): Probe<"space"> {
  const { roots, survey, paths } = options;
  return defineProbe({
    name: "space",
    intervalS: options.intervalS,
    // The survey has a deadline of 5 s of its own.
    timeoutMs: 15_000,
    async run(signal) {
      const mounts = parseMountinfo(readText(`${paths.proc ?? "/proc"}/self/mountinfo`) ?? "");
      const questions = roots.map(({ path }) => ({ kind: "usage", path }) as const);
      const answers = await survey(questions, { signal });
      const spaces = roots.map((root, at) => {
        const mount = mountOf(mounts, paths.proc === undefined ? root.path : paths.host(root.path));
        const space = toRootSpace(root, mount, answers[at], options.comingBytes?.(root) ?? 0);
        return { ...space, trend: options.trend?.(space) ?? null };
      });
      // A directory that is not there was seen: a rule says so.
      const silent = spaces.filter((space) => space.usage === null && space.exists !== false);
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
  answer: Answer | undefined,
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
  if (answer?.kind !== "usage") {
    const answering = answer !== undefined && answer.kind !== "unknown";
    const exists = answer?.kind === "absent" ? false : null;
    return { ...where, ...noNumbers, answering, exists, reason: reasonOf(answer) };
  }
  const { totalBytes, usedBytes, availableBytes, usage, inodeUsage } = answer;
  return {
    ...where,
    answering: true,
    exists: true,
    reason: null,
    totalBytes,
    usedBytes,
    availableBytes,
    reservedBytes: Math.max(0, totalBytes - usedBytes - availableBytes),
    usage,
    inodeUsage: inodeUsage ?? null,
  };
}

function reasonOf(answer: Answer | undefined): string {
  if (answer?.kind === "unknown") return answer.reason;
  if (answer?.kind === "absent") return "there is no such directory";
  return answer?.kind === "error" ? `${answer.text} (${answer.errno})` : "no answer";
}

const noNumbers = {
  totalBytes: null,
  usedBytes: null,
  availableBytes: null,
  reservedBytes: null,
  usage: null,
  inodeUsage: null,
};

function spaceValues(space: RootSpace): Value[] {
  const labels = { root: space.role, path: space.path };
  const numeric: Record<string, number | null> = {
    storage_size_bytes: space.totalBytes,
    storage_used_bytes: space.usedBytes,
    storage_available_bytes: space.availableBytes,
    storage_reserved_bytes: space.reservedBytes,
    storage_usage_ratio: space.usage,
    storage_inode_usage_ratio: space.inodeUsage,
    storage_coming_bytes: space.usage === null ? null : space.comingBytes,
    storage_full_in_seconds: space.trend?.fullInS ?? null,
    storage_growth_bytes_per_day: space.trend?.growthBytesPerDay ?? null,
  };
  return Object.entries(numeric).flatMap(([series, value]) =>
    value === null ? [] : [{ series, labels, value }],
  );
}
