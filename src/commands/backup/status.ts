// `backup status`: jobs, sizes, what sharing saves, growth, verification; from any process, also after a restart.

import { unmountedWarning } from "../../app/backup-mounts.ts";
import { readKnowledge } from "../../app/backup-knowledge.ts";
import { backupPlaces } from "../../app/backup-repository.ts";
import { backupSchedule } from "../../app/backup-schedule.ts";
import { describeRunners, findScheduleRunners, isRunOnTime } from "../../app/schedule-runners.ts";
import type { JobRow } from "../../backup/catalog/schema.ts";
import type { SnapshotState } from "../../backup/repository.ts";
import { nextRun } from "../../backup/schedule.ts";
import type { Coverage } from "../../backup/verify/rolling.ts";
import { summarizeSources, type SourceStatus } from "../../backup/status.ts";
import {
  counted,
  ExitCode,
  formatBytes,
  formatDuration,
  formatRelative,
  formatTime,
} from "../../core/index.ts";
import { lstat } from "../../system/index.ts";
import { freeBytesAt } from "../../system/restore-target.ts";
import { formatWideTable, printable, type Style, type Tone } from "../../output/index.ts";
import { defineAgentCommand } from "../define.ts";
import { toRunDocument } from "./run-due.ts";

export const command = defineAgentCommand({
  description: "backup jobs, sizes, growth, and how much was verified when",
  access: "read",
  args: {
    jobs: { type: "number", min: 0, max: 10_000, default: 10, description: "how many jobs" },
  },
  examples: ["citadel-agent backup status", "citadel-agent backup status --json | jq '.jobs[0]'"],
  async run({ app, args, out }) {
    const unmounted = unmountedWarning(app);
    if (unmounted !== undefined) out.warn(unmounted);
    const places = backupPlaces(app);
    const { hostPaths } = app.system;
    const known = readKnowledge(places, args.jobs);
    for (const warning of known.warnings) out.warn(warning);
    const { snapshots, verified, jobs } = known;
    const nowMs = app.system.clock.nowMs();
    const enabled = app.settings.backup.enable_auto_backup;
    const next = enabled ? nextRun(backupSchedule(app), nowMs) : undefined;
    const runners = enabled ? findScheduleRunners(app) : undefined;
    const complete = snapshots.filter(({ state }) => state === "complete");
    // the proof of one that is gone, or was found damaged since, proves nothing any more
    const verifiedMs = Math.max(0, ...complete.map(({ id }) => verified.get(id)?.atMs ?? 0));
    const idsOf = (wanted: SnapshotState) =>
      snapshots.filter(({ state }) => state === wanted).map(({ id }) => id);
    const real = (source: string) => (source.startsWith("/") ? hostPaths.real(source) : source);
    const sources = summarizeSources(snapshots).map((one) => ({
      ...one,
      source: real(one.source),
    }));
    const skipped = new Map(snapshots.map(({ id, record }) => [id, record?.counts.skipped]));
    const skippedOf = ({ kind, snapshot }: JobRow) =>
      kind === "create" ? (skipped.get(snapshot ?? "") ?? null) : null;
    const time = (atMs: number | null | undefined) =>
      atMs === null || atMs === undefined || atMs === 0 ? null : formatTime(atMs);
    const fields = {
      root: places.backupRoot,
      free_bytes: lstat(places.backupRoot) === undefined ? null : freeBytesAt(places.backupRoot),
      snapshots: complete.length,
      partial: idsOf("partial").length,
      damaged: idsOf("damaged"),
      unknown: idsOf("unknown"),
      last_complete: time(complete.at(-1)?.startedMs),
      last_verified: time(verifiedMs),
      next_scheduled: toRunDocument(next),
      automatic: runners?.automatic ?? (enabled ? null : false),
      coverage: coverageOf(known.coverage),
      sources: sources.map(({ last_started_ms, ...source }) => ({
        ...source,
        last_started: time(last_started_ms),
      })),
      jobs: jobs.map((job) => ({ ...toJobDocument(job, time), skipped: skippedOf(job) })),
      catalogue: known.catalogue,
    };
    if (runners !== undefined && !isRunOnTime(runners)) {
      out.warn(`the schedule: ${describeRunners(runners)}`);
    }
    out.result("backup-status", fields, () =>
      format(fields, sources, jobs, skippedOf, nowMs, out.style),
    );
    return fields.damaged.length === 0 ? ExitCode.success : ExitCode.findings;
  },
});

/** The last figures of rolling verification, as it recorded them. */
function coverageOf(text: string | undefined): Coverage | null {
  return text === undefined ? null : (JSON.parse(text) as Coverage);
}

function toJobDocument(job: JobRow, time: (atMs: number | null) => string | null) {
  return {
    id: job.id,
    kind: job.kind,
    source: job.source,
    destination: job.destination,
    type: job.type,
    tags: job.tags === "" ? [] : job.tags.split(","),
    state: job.state,
    queued: time(job.queued_ms),
    started: time(job.started_ms),
    finished: time(job.finished_ms),
    snapshot: job.snapshot,
    files: job.files,
    bytes: job.bytes,
    new_bytes: job.new_bytes,
    checksum: job.checksum,
    error: job.error_code === null ? null : { code: job.error_code, message: job.error },
  };
}

const skippedText = (skipped: number | null) =>
  skipped === null || skipped === 0 ? "" : `, ${counted(skipped, "path")} skipped`;

const tones: Record<JobRow["state"], Tone> = {
  completed: "ok",
  running: "accent",
  pending: "dim",
  failed: "critical",
};

/** How far rolling verification is, as of its last slice. */
function formatCoverage(coverage: Coverage, nowMs: number): string {
  const { ratio, bytes_total, every_days, lag_s, measured_at } = coverage;
  const late = lag_s > 0 ? `, the oldest is ${formatDuration(lag_s * 1000)} late` : "";
  const share = Math.floor(ratio * 1000) / 10; // not 100 before it is all of it
  if (nowMs - Date.parse(measured_at) > every_days * 86_400_000) {
    return `rolling verification: no slice since ${formatRelative(Date.parse(measured_at), nowMs)}; ${share.toFixed(1)} % of ${formatBytes(bytes_total)} was proved then`;
  }
  return `rolling verification: ${share.toFixed(1)} % of ${formatBytes(bytes_total)} proved within ${every_days} days${late} (as of ${formatRelative(Date.parse(measured_at), nowMs)})`;
}

function format(
  fields: {
    root: string;
    free_bytes: number | null;
    snapshots: number;
    partial: number;
    damaged: readonly string[];
    unknown: readonly string[];
    catalogue: string;
    last_verified: string | null;
    coverage: Coverage | null;
    next_scheduled: { due: string } | null;
  },
  sources: readonly SourceStatus[],
  jobs: readonly JobRow[],
  skippedOf: (job: JobRow) => number | null,
  nowMs: number,
  style: Style,
): string {
  const ago = (atMs: number | null) => (atMs === null ? "never" : formatRelative(atMs, nowMs));
  const parse = (text: string | null) => (text === null ? null : Date.parse(text));
  const { damaged, unknown } = fields;
  const others = Object.entries({
    partial: fields.partial,
    damaged: damaged.length,
    "that cannot be read": unknown.length,
  }).flatMap(([what, count]) => (count > 0 ? [`, ${count} ${what}`] : []));
  const isUnproved = fields.last_verified === null && fields.catalogue !== "ok";
  const proved = isUnproved ? "unknown" : ago(parse(fields.last_verified));
  const lines = [
    `${printable(fields.root)}: ${counted(fields.snapshots, "complete snapshot")}${others.join("")}, ${fields.free_bytes === null ? "not there" : `${formatBytes(fields.free_bytes)} free`}`,
    `last verified whole ${proved}; next run ${fields.next_scheduled === null ? "none" : ago(parse(fields.next_scheduled.due))}`,
    ...(fields.coverage === null ? [] : [formatCoverage(fields.coverage, nowMs)]),
    ...damaged.map((id) => `${style.paint("critical", "damaged")} ${id}`),
  ];
  if (sources.length > 0) {
    const rows = sources.map((one) => [
      printable(one.source),
      String(one.snapshots),
      ago(one.last_started_ms),
      formatBytes(one.bytes),
      formatBytes(one.stored_bytes),
      one.dedupe_ratio === null ? "-" : `${one.dedupe_ratio.toFixed(1)}x`,
      one.growth_bytes_per_day === null ? "-" : `${formatBytes(one.growth_bytes_per_day)}/d`,
    ]);
    const header = ["SOURCE", "SNAPSHOTS", "LAST", "SIZE", "STORED", "SHARED", "GROWTH"];
    lines.push(
      "",
      formatWideTable(
        rows,
        { header, align: ["left", "right", "right", "right", "right", "right", "right"], main: 0 },
        style,
      ),
    );
  }
  if (jobs.length > 0) {
    const rows = jobs.map((job) => [
      job.kind.replace("_", " "),
      style.paint(tones[job.state], job.state),
      ago(job.started_ms ?? job.queued_ms),
      printable(job.error ?? job.snapshot ?? job.destination ?? "") + skippedText(skippedOf(job)),
    ]);
    lines.push("", formatWideTable(rows, { header: ["JOB", "STATE", "WHEN", ""], main: 3 }, style));
  }
  return lines.join("\n");
}
