// What the values of a disk mean: problems with a severity, and the disk's state. The limits here are ours and are
// listed in docs/guides/monitoring.md; the meaning of bits is smartctl(8) "EXIT STATUS" and the NVMe specification.

import type { SmartDisk, SmartProblem, SmartState } from "../data.ts";

/** smartctl(8), EXIT STATUS. */
export const exitBit = {
  commandLine: 1,
  openFailed: 2,
  commandFailed: 4,
  failing: 8,
  prefail: 16,
  prefailPast: 32,
  errorLog: 64,
  selfTestLog: 128,
} as const;

// NVMe base specification, SMART / Health Information log, byte 0.
const nvmeWarnings: readonly (readonly [number, string, SmartProblem["kind"]])[] = [
  [1, "spare capacity below its threshold", "failing"],
  [2, "temperature beyond its limits", "temperature"],
  [4, "reliability degraded by media errors", "failing"],
  [8, "media turned read-only", "failing"],
  [16, "volatile memory backup failed", "failing"],
  [32, "persistent memory region unreliable", "failing"],
];

const wearWarning = 0.8;
const wearCritical = 0.95;
// A few CRC errors come from plugging a cable; many mean that it is bad.
const crcErrorsWarning = 100;
// Where the drive names no limit of its own.
const defaultLimitC = { ATA: 60, NVMe: 75, SCSI: 60, other: 60 } as const;
const criticalAboveLimitC = 10;

/** Names of the NVMe warnings in the bit mask. */
export function nvmeWarningTexts(bits: number): string[] {
  return nvmeWarnings.filter(([bit]) => (bits & bit) !== 0).map(([, text]) => text);
}

export interface JudgeInput extends Omit<SmartDisk, "state" | "problems"> {
  readonly criticalWarningBits: number;
  readonly temperatureCriticalC: number | null;
  /** Attributes at or below their threshold: now, or in the past. */
  readonly failingAttributes: readonly { readonly name: string; readonly when: "now" | "past" }[];
  readonly errorLogCount: number | null;
  readonly failedSelfTests: number | null;
}

/** All that is wrong with the disk, worst first. */
export function findProblems(disk: JudgeInput): SmartProblem[] {
  const problems = [
    ...failing(disk),
    ...wear(disk),
    ...temperature(disk),
    ...counters(disk),
    ...logs(disk),
  ];
  return problems.sort((a, b) => a.severity.localeCompare(b.severity)); // "critical" < "warning"
}

/**
 * The state of the disk. Without a health status from the drive, and without a problem, it is unknown: values alone
 * are no verdict.
 */
export function judgeState(disk: JudgeInput, problems: readonly SmartProblem[]): SmartState {
  if (problems.some((problem) => problem.kind === "failing" && problem.severity === "critical"))
    return "failed";
  if (problems.length > 0) return "warning";
  return disk.passed === true ? "ok" : "unknown";
}

function problem(
  kind: SmartProblem["kind"],
  severity: SmartProblem["severity"],
  attribute: string,
  text: string,
  value: number | null = null,
): SmartProblem {
  return { kind, severity, attribute, text, value };
}

function failing(disk: JudgeInput): SmartProblem[] {
  const found: SmartProblem[] = [];
  const exit = disk.exitStatus ?? 0;
  for (const [bit, text, kind] of nvmeWarnings) {
    if ((disk.criticalWarningBits & bit) === 0) continue;
    found.push(problem(kind, "critical", `critical_warning_${bit}`, text));
  }
  // smartctl derives `passed` of NVMe from the same bits: count it only where they do not explain it.
  const failed = disk.passed === false || (exit & exitBit.failing) !== 0;
  if (failed && disk.criticalWarningBits === 0)
    found.push(problem("failing", "critical", "health", "the drive says it is failing"));
  for (const { name, when } of disk.failingAttributes) {
    found.push(
      when === "now"
        ? problem("failing", "critical", name, `${name} is below its failure threshold`)
        : problem("failing", "warning", name, `${name} was below its failure threshold once`),
    );
  }
  const named = new Set(disk.failingAttributes.map(({ when }) => when));
  if ((exit & exitBit.prefail) !== 0 && !named.has("now"))
    found.push(
      problem("failing", "critical", "prefail", "a prefail attribute is below its threshold"),
    );
  if ((exit & exitBit.prefailPast) !== 0 && named.size === 0)
    found.push(
      problem("failing", "warning", "prefail", "an attribute was below its threshold once"),
    );
  return found;
}

function wear(disk: JudgeInput): SmartProblem[] {
  const found: SmartProblem[] = [];
  const { wearRatio, spareRatio, spareThresholdRatio } = disk;
  if (wearRatio !== null && wearRatio >= wearWarning) {
    const percent = Math.round(wearRatio * 100);
    found.push(
      problem(
        "wear",
        wearRatio >= wearCritical ? "critical" : "warning",
        "wear",
        `${percent} % of the rated endurance is used`,
        percent,
      ),
    );
  }
  // A threshold of 0 means that the drive sets none (Optane).
  if (
    spareRatio !== null &&
    spareThresholdRatio !== null &&
    spareThresholdRatio > 0 &&
    spareRatio <= spareThresholdRatio
  )
    found.push(
      problem(
        "spare",
        "critical",
        "spare",
        `spare capacity ${Math.round(spareRatio * 100)} % is at its threshold`,
      ),
    );
  return found;
}

function temperature(disk: JudgeInput): SmartProblem[] {
  const { temperatureC, temperatureCriticalC } = disk;
  if (temperatureC === null) return [];
  const limitC = disk.temperatureLimitC ?? defaultLimitC[disk.protocol ?? "other"];
  if (temperatureC < limitC) return [];
  const criticalC = temperatureCriticalC ?? limitC + criticalAboveLimitC;
  const severity = temperatureC >= criticalC ? "critical" : "warning";
  return [
    problem(
      "temperature",
      severity,
      "temperature",
      `${temperatureC} °C, the limit is ${limitC} °C`,
    ),
  ];
}

function counters(disk: JudgeInput): SmartProblem[] {
  const found: SmartProblem[] = [];
  const add = (attribute: string, value: number | null, text: string, least = 1) => {
    if (value === null || value < least) return;
    const kind = attribute === "crc_errors" ? "cable" : "media_errors";
    found.push(problem(kind, "warning", attribute, `${value} ${text}`, value));
  };
  add("media_errors", disk.mediaErrors, "media errors that could not be corrected");
  add("reallocated_sectors", disk.reallocatedSectors, "reallocated sectors");
  add("pending_sectors", disk.pendingSectors, "sectors wait to be reallocated");
  add("uncorrectable_sectors", disk.uncorrectableSectors, "uncorrectable sectors");
  add("crc_errors", disk.crcErrors, "transfer errors on the cable (CRC)", crcErrorsWarning);
  return found;
}

function logs(disk: JudgeInput): SmartProblem[] {
  const found: SmartProblem[] = [];
  const exit = disk.exitStatus ?? 0;
  const { errorLogCount, failedSelfTests } = disk;
  if ((exit & exitBit.errorLog) !== 0)
    found.push(
      problem(
        "log",
        "warning",
        "error_log",
        `the drive's error log has ${errorLogCount ?? "some"} entries`,
        errorLogCount ?? 1,
      ),
    );
  if ((exit & exitBit.selfTestLog) !== 0)
    found.push(
      problem(
        "self_test",
        "warning",
        "self_test",
        `${failedSelfTests ?? "some"} self-tests failed`,
        failedSelfTests ?? 1,
      ),
    );
  return found;
}
