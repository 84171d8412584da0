// What `backup verify` prints: the document of spec/cli.md, and the text.

import type { VerifyRun } from "../../app/backup-repository.ts";
import { jsonPath, type BytePath } from "../../backup/format/byte-path.ts";
import type { VerifyFailure, VerifyReport } from "../../backup/verify/report.ts";
import { counted, formatBytes, formatDuration } from "../../core/index.ts";
import { printable, type Style } from "../../output/index.ts";
import { adviceFor } from "./verify-advice.ts";
import { shownPath } from "./shown-path.ts";

/** A report of something that could not be checked at all: never a pass. */
export function failedReport(name: string, reason: string, run: VerifyRun): VerifyReport {
  return {
    snapshot: name,
    valid: false,
    mode: run.mode,
    cached: run.cached,
    sampleRate: run.sampleRate,
    seed: undefined,
    filesTotal: 0,
    filesChecked: 0,
    filesFailed: 1,
    bytesChecked: 0,
    bytesRead: 0,
    durationMs: 0,
    failures: [{ path: "snapshot.json" as BytePath, reason, ranges: [] }],
    isWhole: false,
    remarks: [],
  };
}

/** `data/a/b` is `a/b` of the area `data`; metadata lies beside. */
function split({ path }: VerifyFailure): { area: "data" | "packed" | "snapshot"; path: BytePath } {
  for (const area of ["data", "packed"] as const) {
    if (path.startsWith(`${area}/`)) return { area, path: path.slice(area.length + 1) as BytePath };
  }
  return { area: "snapshot", path };
}

export function toVerifyDocument(report: VerifyReport): Record<string, unknown> {
  return {
    snapshot: report.snapshot,
    valid: report.valid,
    mode: report.mode,
    cached: report.cached,
    sample_rate: report.sampleRate,
    seed: report.seed ?? null,
    files_total: report.filesTotal,
    files_checked: report.filesChecked,
    files_failed: report.filesFailed,
    bytes_checked: report.bytesChecked,
    bytes_read: report.bytesRead,
    duration_s: report.durationMs / 1000,
    whole: report.isWhole,
    failures: report.failures.map((failure) => {
      const { area, path } = split(failure);
      const { reason, ranges, errno } = failure;
      return { ...jsonPath(path), area, reason, ranges, ...(errno === undefined ? {} : { errno }) };
    }),
    remarks: report.remarks,
  };
}

const reasons: Record<string, string> = {
  content: "its bytes are not those that were backed up",
  size: "has another size",
  missing: "is missing",
  extra: "does not belong there",
  type: "is of another type",
  mode: "has other permissions",
  target: "points elsewhere",
  unreadable: "cannot be read",
  damaged: "is damaged",
  counts: "says other numbers than were found",
  partial: "was never written: the snapshot is not complete",
  unknown: "there is no such snapshot",
};

const maxShown = 50;
/** Below this a rate says more about the start of the program than about the disk. */
const minRatedBytes = 16 * 1024 * 1024;

/** What was read for it: less where files are stored packed, or were read with another snapshot of the same run. */
function formatRead({ bytesChecked, bytesRead, durationMs }: VerifyReport): string {
  const read = bytesRead === bytesChecked ? "" : `, ${formatBytes(bytesRead)} read`;
  if (bytesRead < minRatedBytes || durationMs <= 0) return read;
  return `${read} (${formatBytes((bytesRead * 1000) / durationMs)}/s)`;
}

export function formatVerify(report: VerifyReport, style: Style): string {
  const verdict = report.valid ? style.paint("ok", "valid") : style.paint("critical", "NOT VALID");
  const kinds = [report.mode, ...(report.cached ? ["from the page cache"] : [])];
  if (report.sampleRate < 1) kinds.push(`sample ${report.sampleRate}`);
  if (report.seed !== undefined) kinds.push(`seed ${report.seed}`);
  if (report.failures.some(({ reason }) => reason === "unknown")) {
    const name =
      report.snapshot === "--all" ? "there are no snapshots" : "there is no such snapshot";
    return `${printable(report.snapshot)}: ${verdict}: ${name}\n  ${adviceFor(report)}`;
  }
  const lines = [
    `${printable(report.snapshot)}: ${verdict} (${kinds.join(", ")})`,
    `  ${report.filesChecked} of ${counted(report.filesTotal, "file")}, ${formatBytes(report.bytesChecked)} in ${formatDuration(report.durationMs)}${formatRead(report)}`,
  ];
  for (const failure of report.failures.slice(0, maxShown)) {
    const { path } = split(failure);
    const ranges = failure.ranges.map(([start, end]) => `${start}-${end}`).slice(0, 8);
    const where = ranges.length === 0 ? "" : `, bytes ${ranges.join(", ")}`;
    lines.push(
      `  ${style.paint("critical", shownPath(path))} ${reasons[failure.reason] ?? printable(failure.reason)}${where}`,
    );
  }
  const more = report.filesFailed - Math.min(report.failures.length, maxShown);
  if (more > 0) lines.push(`  and ${more} more`);
  if (!report.valid) lines.push(`  ${printable(adviceFor(report))}`);
  return lines.join("\n");
}
