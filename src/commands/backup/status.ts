// `backup status`: jobs, sizes, what sharing saves, growth, verification; from any process, also after a restart.

import { unmountedWarning } from "../../app/backup-create.ts";
import { backupPlaces, lookIntoCatalog } from "../../app/backup-repository.ts";
import { backupSchedule } from "../../app/backup-schedule.ts";
import { describeRunners, findScheduleRunners } from "../../app/schedule-runners.ts";
import type { JobRow } from "../../backup/catalog-schema.ts";
import { listSnapshots } from "../../backup/repository.ts";
import { nextRun } from "../../backup/schedule.ts";
import { summarizeSources, type SourceStatus } from "../../backup/status.ts";
import { ExitCode, formatBytes, formatRelative, formatTime, counted } from "../../core/index.ts";
import { lstat } from "../../system/index.ts";
import { freeBytesAt } from "../../system/restore-target.ts";
import { printable, type Style, type Tone } from "../../output/index.ts";
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
    const { catalog, why } = lookIntoCatalog(places);
    using opened = catalog;
    const snapshots = listSnapshots(places.backupRoot);
    const verified =
      opened?.verifiedSnapshots() ?? new Map<string, { atMs: number; mode: string }>();
    const verifiedMs = Math.max(0, ...[...verified.values()].map(({ atMs }) => atMs));
    const nowMs = app.system.clock.nowMs();
    const enabled = app.settings.backup.enable_auto_backup;
    const next = enabled ? nextRun(backupSchedule(app), nowMs) : undefined;
    const runners = enabled ? findScheduleRunners(app) : undefined;
    const complete = snapshots.filter(({ state }) => state === "complete");
    const damaged = [...(opened?.lastVerifications() ?? [])].filter(([, { valid }]) => valid === 0);
    const sources = summarizeSources(snapshots);
    const jobs = opened?.jobs(args.jobs) ?? [];
    const time = (atMs: number | null | undefined) =>
      atMs === null || atMs === undefined || atMs === 0 ? null : formatTime(atMs);
    const fields = {
      root: places.backupRoot,
      free_bytes: lstat(places.backupRoot) === undefined ? null : freeBytesAt(places.backupRoot),
      snapshots: complete.length,
      partial: snapshots.filter(({ state }) => state === "partial").length,
      damaged: [
        ...new Set([
          ...snapshots.filter(({ state }) => state === "damaged").map(({ id }) => id),
          ...damaged.map(([id]) => id),
        ]),
      ],
      last_complete: time(complete.at(-1)?.startedMs),
      last_verified: time(verifiedMs),
      next_scheduled: toRunDocument(next),
      automatic: runners?.automatic ?? (enabled ? null : false),
      coverage: coverageOf(opened?.fact("coverage")),
      sources: sources.map(({ last_started_ms, ...source }) => ({
        ...source,
        last_started: time(last_started_ms),
      })),
      jobs: jobs.map((job) => toJobDocument(job, time)),
      catalogue: why ?? "ok",
    };
    if (runners !== undefined && runners.automatic !== true) {
      out.warn(`the schedule: ${describeRunners(runners)}`);
    }
    out.result("backup-status", fields, () => format(fields, sources, jobs, nowMs, out.style));
    return fields.damaged.length === 0 ? ExitCode.success : ExitCode.findings;
  },
});

/** The last figures of rolling verification, as it recorded them. */
function coverageOf(text: string | undefined): unknown {
  return text === undefined ? null : (JSON.parse(text) as unknown);
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

const tones: Record<JobRow["state"], Tone> = {
  completed: "ok",
  running: "accent",
  pending: "dim",
  failed: "critical",
};

function format(
  fields: {
    root: string;
    free_bytes: number | null;
    snapshots: number;
    partial: number;
    damaged: readonly string[];
    last_verified: string | null;
    next_scheduled: { due: string } | null;
  },
  sources: readonly SourceStatus[],
  jobs: readonly JobRow[],
  nowMs: number,
  style: Style,
): string {
  const ago = (atMs: number | null) => (atMs === null ? "never" : formatRelative(atMs, nowMs));
  const parse = (text: string | null) => (text === null ? null : Date.parse(text));
  const lines = [
    `${printable(fields.root)}: ${counted(fields.snapshots, "snapshot")}${fields.partial > 0 ? `, ${fields.partial} partial` : ""}, ${fields.free_bytes === null ? "not there" : `${formatBytes(fields.free_bytes)} free`}`,
    `last verified whole ${ago(parse(fields.last_verified))}; next run ${fields.next_scheduled === null ? "none" : ago(parse(fields.next_scheduled.due))}`,
    ...fields.damaged.map((id) => `${style.paint("critical", "damaged")} ${id}`),
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
      style.table(rows, {
        header,
        align: ["left", "right", "right", "right", "right", "right", "right"],
      }),
    );
  }
  if (jobs.length > 0) {
    const rows = jobs.map((job) => [
      job.kind.replace("_", " "),
      style.paint(tones[job.state], job.state),
      ago(job.started_ms ?? job.queued_ms),
      printable(job.error ?? job.snapshot ?? job.destination ?? ""),
    ]);
    lines.push("", style.table(rows, { header: ["JOB", "STATE", "WHEN", ""] }));
  }
  return lines.join("\n");
}
