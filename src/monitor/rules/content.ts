// Rules about what lies on the disks: links, models, backups.

import { formatBytes, formatDuration } from "../../core/index.ts";
import type { BackupsData, LinkIssueData } from "../data.ts";
import { defineRule, type Finding } from "../rule.ts";

/** States of a link that are trouble; the others are leftovers and remarks. */
const brokenStates = new Set([
  "missing",
  "broken",
  "wrong_target",
  "not_a_link",
  "loop",
  "wrong_owner",
]);

export const linkRule = defineRule({
  names: ["LINK_BROKEN", "LINK_FOREIGN"],
  probe: "links",
  description: "a link is missing, broken, or leads where it should not",
  judge: ({ issues }) => ({
    findings: issues.flatMap(judgeLink),
    blind: issues.filter(({ state }) => state === "blocked").map(({ path }) => ({ path })),
  }),
});

function judgeLink(issue: LinkIssueData): Finding[] {
  const labels = { path: issue.path };
  if (issue.state === "foreign")
    return [
      {
        name: "LINK_FOREIGN",
        severity: "warning",
        labels,
        summary: `${issue.path} is a link of someone else, to ${issue.actual ?? "nothing"}`,
        advice:
          "the agent leaves it alone; remove it or take it over with `citadel-agent links create --force`",
      },
    ];
  if (!brokenStates.has(issue.state)) return [];
  return [
    {
      name: "LINK_BROKEN",
      severity: issue.state === "wrong_owner" ? "warning" : "critical",
      labels,
      summary: `${issue.path}: ${issue.state.replaceAll("_", " ")}${issue.expected === null ? "" : `, should lead to ${issue.expected}`}`,
      advice: "`citadel-agent repair` mends it",
    },
  ];
}

export const modelRule = defineRule({
  names: ["MODEL_DAMAGED"],
  probe: "models",
  description: "a model directory is not whole",
  judge: ({ models }) => ({
    findings: models
      .filter(({ state }) => state === "damaged")
      .map((model) => ({
        name: "MODEL_DAMAGED",
        severity: "critical",
        labels: { model: model.key, path: model.path },
        summary: `the model ${model.key} is damaged: ${model.problems[0] ?? "files are missing"}`,
        advice: `\`citadel-agent models verify ${model.key} --repair\`, or restore it from a backup`,
      })),
    blind: models.filter(({ state }) => state === "unknown").map(({ key }) => ({ model: key })),
  }),
});

/** A backup may take this much longer than its period before it is late. */
const latePeriods = 1.5;
const lateCriticalPeriods = 3;
/** Proofs are kept by the hour. */
const lagToleranceS = 3600;

export const backupRule = defineRule({
  names: [
    "BACKUP_TOO_OLD",
    "BACKUP_DAMAGED",
    "BACKUP_SHRUNK",
    "BACKUP_VERIFY_OVERDUE",
    "BACKUP_VERIFY_BUDGET",
    "BACKUP_JOB_FAILED",
    "BACKUP_UNCOVERED",
  ],
  probe: "backups",
  description: "backups are late, damaged, smaller than before, or not verified",
  judge: (data, { nowMs }) => ({
    findings: [
      ...tooOld(data, nowMs),
      ...verifyOverdue(data, nowMs),
      ...verifyLag(data, nowMs),
      ...data.damaged.map(({ id, reason }) => ({
        name: "BACKUP_DAMAGED",
        severity: "critical" as const,
        labels: { snapshot: id },
        summary: `the snapshot ${id} is damaged: ${reason}`,
        advice: `\`citadel-agent backup verify ${id}\`, \`citadel-agent backup repair ${id}\`, then make a new backup`,
      })),
      ...shrunk(data),
      ...data.failedJobs.map(({ name, error }) => ({
        name: "BACKUP_JOB_FAILED",
        severity: "warning" as const,
        labels: { job: name },
        summary: `the backup job ${name} failed: ${error}`,
        advice: "`citadel-agent backup status` shows why; it is tried again at its next time",
      })),
      ...data.uncovered.map((source) => ({
        name: "BACKUP_UNCOVERED",
        severity: "warning" as const,
        labels: { source },
        summary: `${source} is in no snapshot`,
        advice: "add it to the sources of a schedule, or exclude it on purpose",
      })),
    ],
  }),
});

function tooOld(data: BackupsData, nowMs: number): Finding[] {
  // Without a snapshot the age counts from set-up: a fresh host is not late.
  const fromMs = data.lastCompleteMs ?? data.sinceMs;
  if (fromMs === null || data.periodS === null) return [];
  const ageS = (nowMs - fromMs) / 1000;
  const limitS = data.periodS * latePeriods;
  if (ageS < limitS) return [];
  const what =
    data.lastCompleteMs === null ? "there is no complete backup" : "the newest backup is old";
  return [
    {
      name: "BACKUP_TOO_OLD",
      severity: ageS >= data.periodS * lateCriticalPeriods ? "critical" : "warning",
      labels: {},
      summary: `${what}: ${formatDuration(ageS * 1000)} since ${data.lastCompleteMs === null ? "set-up" : "it was made"}`,
      advice:
        "`citadel-agent backup status` shows the schedule; `citadel-agent backup create` makes one now",
      value: ageS,
      threshold: limitS,
    },
  ];
}

function verifyOverdue(data: BackupsData, nowMs: number): Finding[] {
  if (data.coverage !== null) return []; // slices judge by every byte: verifyLag
  const { verifyEveryS } = data;
  // What does not exist cannot be verified: that is BACKUP_TOO_OLD's part.
  const fromMs = data.lastVerifiedMs ?? data.sinceMs;
  if (verifyEveryS === null || fromMs === null || data.lastCompleteMs === null) return [];
  const ageS = (nowMs - fromMs) / 1000;
  const limitS = verifyEveryS * latePeriods;
  if (ageS < limitS) return [];
  return [
    {
      name: "BACKUP_VERIFY_OVERDUE",
      severity: "warning",
      labels: {},
      summary: `no backup was verified for ${formatDuration(ageS * 1000)}`,
      advice: "`citadel-agent backup verify` proves that the newest one can be restored",
      value: ageS,
      threshold: limitS,
    },
  ];
}

/** Stored bytes that were not read for longer than BACKUP_VERIFY_EVERY_DAYS, and a budget that can never read them. */
function verifyLag(
  { coverage, budgetProblem, verifyEveryS }: BackupsData,
  nowMs: number,
): Finding[] {
  const found: Finding[] = [];
  // When no slice ran for the whole window, all of it is late, whatever the last one said.
  const silentS = coverage === null ? 0 : (nowMs - coverage.measuredAtMs) / 1000;
  const silentLagS = silentS - (verifyEveryS ?? Infinity);
  const lagS = Math.max(coverage?.lagS ?? 0, silentLagS);
  if (coverage !== null && lagS > lagToleranceS)
    found.push({
      name: "BACKUP_VERIFY_OVERDUE",
      severity: "warning",
      labels: { scope: "coverage" },
      summary:
        silentLagS > 0
          ? `no slice of the stored backups was verified for ${formatDuration(silentS * 1000)}: what was proved then is out of date`
          : `${((1 - coverage.ratio) * 100).toFixed(1)} % of the stored backups was not verified in time, the oldest ${formatDuration(lagS * 1000)} late`,
      advice:
        "see that the daily slice runs (`citadel-agent backup status`); raise BACKUP_IO_LIMIT or BACKUP_VERIFY_EVERY_DAYS if it cannot keep up",
      value: lagS,
      threshold: lagToleranceS,
    });
  if (budgetProblem !== null)
    found.push({
      name: "BACKUP_VERIFY_BUDGET",
      severity: "warning",
      labels: {},
      summary: `the budget of verification is too small: ${budgetProblem}`,
      advice: "raise BACKUP_IO_LIMIT (bytes/s, 0: no limit) or BACKUP_VERIFY_EVERY_DAYS",
    });
  return found;
}

function shrunk({ shrunk: found }: BackupsData): Finding[] {
  if (found === null) return [];
  return [
    {
      name: "BACKUP_SHRUNK",
      severity: "warning",
      labels: { snapshot: found.id },
      summary: `the snapshot ${found.id} holds ${formatBytes(found.bytes)}, the one before ${formatBytes(found.beforeBytes)}`,
      advice:
        "`citadel-agent backup diff` shows what is gone; keep the older one until you know why",
      value: found.bytes,
      threshold: found.beforeBytes,
    },
  ];
}
