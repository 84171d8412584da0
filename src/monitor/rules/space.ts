// Rules about the storage roots: how full, what is mounted, how fast.

import { formatBytes, formatDuration } from "../../core/index.ts";
import type { RootMount, RootSpace } from "../data.ts";
import { defineRule, fingerprintOf, type Finding, type RuleContext } from "../rule.ts";
import type { Labels } from "../sample.ts";

/** Criticals that the original had fixed (spec/settings.md, section 5). */
export const inodeUsageCritical = 0.95;
/** How far a value must fall below its threshold before the alert may go. */
const usageMargin = 0.02;
const fullSoonS = 24 * 3600;
/** A day's warning ends when a day and a half are left. */
const fullSoonClearS = 36 * 3600;

/**
 * The severity of a value against its thresholds, "greater or equal", with hysteresis: an alert that is there stays
 * at its level until the value is `margin` below.
 */
export function levelOf(
  value: number,
  limits: { readonly warning: number; readonly critical: number },
  active: "warning" | "critical" | undefined,
  margin: number,
): "warning" | "critical" | undefined {
  if (value >= limits.critical - (active === "critical" ? margin : 0)) return "critical";
  if (value >= limits.warning - (active === undefined ? 0 : margin)) return "warning";
  return undefined;
}

const percent = (ratio: number) => `${(ratio * 100).toFixed(1)} %`;
const labelsOf = (root: { role: string; path: string }): Labels => ({
  root: root.role,
  path: root.path,
});
const blindRoots = (roots: readonly RootSpace[], of: (root: RootSpace) => unknown) =>
  roots.filter((root) => of(root) === null).map(labelsOf);

export const diskUsageRule = defineRule({
  names: ["DISK_USAGE"],
  probe: "space",
  description: "a storage root is nearly full",
  judge({ roots }, context) {
    const { diskUsageWarning: warning, diskUsageCritical: critical } = context.thresholds;
    const findings = roots.flatMap((root): Finding[] => {
      if (root.usage === null) return [];
      const labels = labelsOf(root);
      const active = context.activeSeverity(fingerprintOf("DISK_USAGE", labels));
      const severity = levelOf(root.usage, { warning, critical }, active, usageMargin);
      if (severity === undefined) return [];
      return [
        {
          name: "DISK_USAGE",
          severity,
          labels,
          summary: `${root.path} is ${percent(root.usage)} full, ${formatBytes(root.availableBytes ?? 0)} left`,
          advice: `free space below ${root.path}: \`citadel-agent models gc\`, \`citadel-agent backup cleanup\`, or a larger disk; used space passed ${percent(severity === "critical" ? critical : warning)}`,
          value: root.usage,
          threshold: severity === "critical" ? critical : warning,
        },
      ];
    });
    return { findings, blind: blindRoots(roots, (root) => root.usage) };
  },
});

export const inodeUsageRule = defineRule({
  names: ["INODE_USAGE"],
  probe: "space",
  description: "a storage root is running out of inodes",
  judge({ roots }, context) {
    const limits = {
      warning: context.thresholds.inodeUsageWarning,
      critical: Math.max(inodeUsageCritical, context.thresholds.inodeUsageWarning),
    };
    const findings = roots.flatMap((root): Finding[] => {
      if (root.inodeUsage === null) return [];
      const labels = labelsOf(root);
      const active = context.activeSeverity(fingerprintOf("INODE_USAGE", labels));
      const severity = levelOf(root.inodeUsage, limits, active, usageMargin);
      if (severity === undefined) return [];
      return [
        {
          name: "INODE_USAGE",
          severity,
          labels,
          summary: `${root.path} has used ${percent(root.inodeUsage)} of its inodes`,
          advice: `remove many small files below ${root.path} (\`du --inodes -d 2\`): no new file can be made when they run out`,
          value: root.inodeUsage,
          threshold: limits[severity],
        },
      ];
    });
    // A file system without inodes has a size and no inode usage: that is clean, not blind.
    return { findings, blind: blindRoots(roots, (root) => root.totalBytes) };
  },
});

export const fullSoonRule = defineRule({
  names: ["DISK_FULL_SOON"],
  probe: "space",
  description: "at the present growth a storage root is full within 24 hours",
  hold: 4,
  clearHold: 4,
  judge({ roots }, context) {
    const findings = roots.flatMap((root): Finding[] => {
      const fullInS = root.trend?.fullInS ?? null;
      if (fullInS === null) return [];
      const labels = labelsOf(root);
      const active = context.activeSeverity(fingerprintOf("DISK_FULL_SOON", labels));
      if (fullInS > (active === undefined ? fullSoonS : fullSoonClearS)) return [];
      return [
        {
          name: "DISK_FULL_SOON",
          severity: "warning",
          labels,
          summary: `${root.path} will be full in ${formatDuration(fullInS * 1000)} at its present growth of ${formatBytes(root.trend?.growthBytesPerDay ?? 0)} a day`,
          advice: `stop or move what writes below ${root.path}, or free space now: nothing can be written when it is full`,
          value: fullInS,
          threshold: fullSoonS,
        },
      ];
    });
    return { findings, blind: blindRoots(roots, (root) => root.usage) };
  },
});

export const notAnsweringRule = defineRule({
  names: ["STORAGE_NOT_ANSWERING"],
  probe: "space",
  description: "a storage root does not answer",
  judge: ({ roots }) => ({
    findings: roots
      .filter((root) => !root.answering)
      .map((root) => ({
        name: "STORAGE_NOT_ANSWERING",
        severity: "critical" as const,
        labels: labelsOf(root),
        summary: `${root.path} does not answer: a call to it hangs in the kernel`,
        advice:
          "look at the disk or the network mount behind it (`dmesg`); whatever opens it will hang too",
      })),
  }),
});

export const missingRule = defineRule({
  names: ["STORAGE_MISSING"],
  probe: "space",
  description: "there is no such directory as a storage root",
  judge: ({ roots }) => ({
    findings: roots
      .filter((root) => root.exists === false)
      .map((root) => ({
        name: "STORAGE_MISSING",
        severity: "critical" as const,
        labels: labelsOf(root),
        summary: `there is no ${root.path}, the ${root.role} root`,
        advice: "`citadel-agent setup` makes it, once its disk is mounted",
      })),
    blind: blindRoots(roots, (root) => root.exists),
  }),
});

export const mountRule = defineRule({
  names: ["MOUNT_MISSING", "WRONG_DISK", "STORAGE_READ_ONLY", "MOUNT_OPTIONS"],
  probe: "mounts",
  description: "a storage root is not mounted, or not as it should be",
  judge: ({ roots }) => ({ findings: roots.flatMap(judgeMount) }),
});

function judgeMount(root: RootMount): Finding[] {
  const labels = labelsOf(root);
  const findings: Finding[] = [];
  const add = (name: string, severity: "warning" | "critical", summary: string, advice: string) =>
    findings.push({ name, severity, labels, summary, advice });
  if (root.requireMount && !root.mounted) {
    add(
      "MOUNT_MISSING",
      "critical",
      `${root.path} is not mounted: it is an empty directory of the system disk`,
      `look for the disk (\`lsblk\`, \`dmesg\`), then \`mount ${root.path}\`; systemd does not mount it again by itself`,
    );
    return findings;
  }
  const wrongUuid =
    root.expectedUuid !== null && root.uuid !== null && root.uuid !== root.expectedUuid;
  // An automount says its own type until somebody goes in.
  const wrongType =
    root.expectedFstype !== null && root.fstype !== root.expectedFstype && root.fstype !== "autofs";
  if (wrongUuid || wrongType)
    add(
      "WRONG_DISK",
      "critical",
      wrongUuid
        ? `${root.path} holds the file system ${root.uuid}, set up with ${root.expectedUuid}`
        : `${root.path} is ${root.fstype}, set up with ${root.expectedFstype}`,
      `nothing is repaired there; mount the right disk, or run \`citadel-agent setup --accept-disk\` if the new one is meant`,
    );
  if (root.readOnly)
    add(
      "STORAGE_READ_ONLY",
      "critical",
      `${root.path} is read-only: nothing can be written`,
      "the kernel does this after an error: see `dmesg`, check the file system, then `mount -o remount,rw`",
    );
  if (root.missingOptions.length > 0)
    add(
      "MOUNT_OPTIONS",
      "warning",
      `${root.path} lacks the mount options ${root.missingOptions.join(", ")}`,
      "`citadel-agent tune status` shows what was set; remount, or run `citadel-agent tune apply`",
    );
  return findings;
}

export const latencyRule = defineRule({
  names: ["IO_LATENCY"],
  probe: "latency",
  description: "a small durable write or a direct read takes too long",
  judge({ roots }, context) {
    const findings = roots.flatMap((root) =>
      (["write", "read"] as const).flatMap((operation) =>
        judgeLatency(root, operation, root[operation]?.p95Ms ?? null, context),
      ),
    );
    return {
      findings,
      blind: roots.filter((root) => root.state !== "measured").map(labelsOf),
    };
  },
});

function judgeLatency(
  root: { role: string; path: string },
  operation: "read" | "write",
  p95Ms: number | null,
  context: RuleContext,
): Finding[] {
  const limitMs = context.thresholds.ioLatencyMs;
  const labels = { ...labelsOf(root), operation };
  const active = context.activeSeverity(fingerprintOf("IO_LATENCY", labels));
  if (p95Ms === null || p95Ms < limitMs * (active === undefined ? 1 : 0.8)) return [];
  return [
    {
      name: "IO_LATENCY",
      severity: "warning",
      labels,
      summary: `a 4 KiB ${operation} on ${root.path} takes ${p95Ms.toFixed(1)} ms (p95), the limit is ${limitMs} ms`,
      advice: `\`citadel-agent perf ${root.path} --analyze\` names what limits it`,
      value: p95Ms,
      threshold: limitMs,
    },
  ];
}
