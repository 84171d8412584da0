// The health report for a person.

import { formatBytes, formatDuration } from "../core/index.ts";
import type { HealthDocument } from "../monitor/health.ts";
import type { SampleState } from "../monitor/sample.ts";
import type { Style, Tone } from "./style.ts";

const tones: Record<SampleState | "failed", Tone> = {
  ok: "ok",
  warning: "warning",
  critical: "critical",
  failed: "critical",
  unknown: "unknown",
  not_applicable: "dim",
};
const percent = (ratio: number | null) => (ratio === null ? "-" : `${(ratio * 100).toFixed(1)} %`);
const bytes = (size: number | null) => (size === null ? "-" : formatBytes(size));

/** The report as tables: storage, disks, what is wrong with what to do, what could not be seen. */
export function formatHealth(report: HealthDocument, style: Style): string {
  const state = (text: SampleState | "failed") => style.paint(tones[text], text);
  const parts = [
    `Health: ${state(report.overall)}`,
    titled(
      "Storage",
      style.table(storageRows(report, state), { header: storageHeader, indent: 2 }),
    ),
    ...disks(report, style, state),
    ...trends(report, style),
    ...findings(report, style, state),
    ...unseen(report, style, state),
  ];
  return parts.join("\n\n");
}

const titled = (title: string, body: string) => `${title}\n${body}`;
type Painter = (text: SampleState | "failed") => string;

const storageHeader = ["root", "path", "state", "used", "free", "of", "inodes", "type", "full in"];

function storageRows(report: HealthDocument, state: Painter): string[][] {
  return report.storage_health.map((entry) => [
    entry.role,
    entry.path,
    state(entry.state),
    percent(entry.usage),
    bytes(entry.free_bytes),
    bytes(entry.total_bytes),
    percent(entry.inode_usage),
    entry.fstype ?? "-",
    entry.full_in_s === null ? "-" : formatDuration(entry.full_in_s * 1000),
  ]);
}

function disks(report: HealthDocument, style: Style, state: Painter): string[] {
  const { disks: list } = report.smart_health;
  if (list.length === 0) return [];
  const rows = list.map((disk) => [
    disk.device,
    state(disk.state),
    disk.model ?? "-",
    disk.temperature_celsius === null ? "-" : `${disk.temperature_celsius} °C`,
    percent(disk.wear),
    disk.power_on_s === null ? "-" : formatDuration(disk.power_on_s * 1000),
    disk.reason ?? "",
  ]);
  const header = ["disk", "state", "model", "heat", "wear", "powered", ""];
  return [titled("Disks", style.table(rows, { header, indent: 2 }))];
}

function trends(report: HealthDocument, style: Style): string[] {
  if (report.trend === undefined) return [];
  const rows = report.trend.map((trend) => [
    trend.path,
    trend.growth_bytes_per_day === null
      ? `not known yet: the history spans ${formatDuration(trend.history_span_s * 1000)}`
      : `${formatBytes(trend.growth_bytes_per_day)} a day`,
    trend.full_in_s === null ? "" : `full in ${formatDuration(trend.full_in_s * 1000)}`,
    trend.full_in_low_s === null || trend.full_in_high_s === null
      ? ""
      : `(${formatDuration(trend.full_in_low_s * 1000)} to ${formatDuration(trend.full_in_high_s * 1000)})`,
  ]);
  const soon = (report.predictions ?? []).map(({ summary }) => `  ${summary}`);
  return [[titled("Growth", style.table(rows, { indent: 2 })), ...soon].join("\n")];
}

function findings(report: HealthDocument, style: Style, state: Painter): string[] {
  if (report.findings.length === 0) return ["Nothing is wrong."];
  const lines = report.findings.flatMap((finding) => [
    `  ${state(finding.severity)}  ${finding.summary}`,
    `           ${style.paint("dim", finding.advice)}`,
  ]);
  return [titled("What is wrong", lines.join("\n"))];
}

function unseen(report: HealthDocument, style: Style, state: Painter): string[] {
  const rows = report.probes
    .filter((probe) => probe.state === "unknown" || probe.state === "not_applicable")
    .map((probe) => [
      probe.name,
      probe.state === "unknown" ? state("unknown") : style.paint("dim", "n/a"),
      probe.note ?? "",
    ]);
  if (rows.length === 0) return [];
  return [titled("Not seen", style.table(rows, { indent: 2 }))];
}
