// The child that looks at the backup repository for the monitor: the backup disk may hang, the agent may not.
// Started as `citadel-agent __child monitor-backups STATE_DIR BACKUP_ROOT QUESTION`; prints one JSON line.

import { readCatalog } from "../backup/catalog/catalog.ts";
import { listSnapshots, readable, type FoundSnapshot } from "../backup/repository.ts";
import { absentModels, remainingBytes } from "../backup/outlook.ts";
import type { Coverage } from "../backup/verify/rolling.ts";
import { absolutePath } from "../core/index.ts";
import type { BackupsData } from "../monitor/data.ts";
import { systemClock } from "../system/clock.ts";
import { writeOut } from "../system/write-out.ts";

/** What the repository and its catalogue say; the settings' part is added by the parent. */
export type BackupFacts = Pick<
  BackupsData,
  | "lastCompleteMs"
  | "lastVerifiedMs"
  | "snapshots"
  | "damaged"
  | "failedJobs"
  | "shrunk"
  | "coverage"
> & {
  /** Of the models asked about, those of which no snapshot holds a file. */
  readonly absent: readonly string[];
  /** What running backups will still store. */
  readonly comingBytes: number;
};

/** What the parent knows and the repository does not. */
export interface BackupQuestion {
  /** Names of the models that are there. */
  readonly models: readonly string[];
  /** What they hold together: the content of a backup of them. */
  readonly activeBytes: number | null;
  /** Where they lie, as jobs name it. */
  readonly activePath: string;
}

const recentJobs = 200;
/** A snapshot with less than half the bytes of the one before it has shrunk (as `backup create` judges). */
const shrunkShare = 0.5;

/** @returns 0; 1 where the repository cannot be read */
export function run([
  stateDir = "/",
  backupRoot = "/",
  question,
]: readonly string[]): Promise<number> {
  const asked = JSON.parse(question ?? "") as BackupQuestion;
  writeOut(`${JSON.stringify(collect(stateDir, backupRoot, asked))}\n`);
  return Promise.resolve(0);
}

function collect(stateDir: string, backupRoot: string, asked: BackupQuestion): BackupFacts {
  const snapshots = listSnapshots(backupRoot);
  const { catalog } = readCatalog({
    stateDir: absolutePath(stateDir),
    backupRoot: absolutePath(backupRoot),
    clock: systemClock,
    user: "",
    pid: 0,
  });
  using opened = catalog;
  const coverage = coverageOf(opened?.fact("coverage"));
  // Where slices have proved every stored byte, that is the newest proof of the newest snapshot too.
  const isProved = coverage !== null && coverage.ratio >= 1 && coverage.bytesTotal > 0;
  const damage = opened?.knownDamage() ?? new Map<string, unknown>();
  const verified = [
    // the proof of one that is gone, or was found damaged since, proves nothing any more
    ...[...(opened?.verifiedSnapshots() ?? [])].flatMap(([id, { atMs }]) =>
      snapshots.some((one) => one.id === id && !damage.has(id)) ? [atMs] : [],
    ),
    ...(isProved ? [coverage.measuredAtMs] : []),
  ];
  const complete = snapshots.filter(({ state }) => state === "complete");
  // Without the right to look inside nothing is known: neither that there is a backup nor that there is none.
  if (complete.length === 0) snapshots.forEach(readable);
  const models = complete.filter(({ area }) => area === "models");
  const failedChecks = [...damage.keys()]
    .filter((id) => snapshots.some((one) => one.id === id))
    .map((id) => ({ id, reason: "its verification failed" }));
  const broken = snapshots
    .filter(({ state }) => state === "damaged")
    .map(({ id, why }) => ({ id, reason: why ?? "its record cannot be read" }));
  const known = new Set(broken.map(({ id }) => id));
  const jobs = opened?.jobs(recentJobs) ?? [];
  const kept = snapshots.flatMap(({ record }) => record?.source ?? []);
  const sources = [asked.activePath, "configs", ...kept];
  const running = jobs.flatMap(({ kind, state, source, type }) =>
    kind === "create" && state === "running" && source !== null ? [{ source, type }] : [],
  );
  const sizeOf = (source: string) =>
    source === asked.activePath ? (asked.activeBytes ?? undefined) : undefined;
  return {
    lastCompleteMs: models.at(-1)?.startedMs ?? null,
    lastVerifiedMs: verified.length === 0 ? null : Math.max(...verified),
    snapshots: complete.length,
    damaged: [...broken, ...failedChecks.filter(({ id }) => !known.has(id))],
    failedJobs: failedJobs(jobs, new Set(sources)),
    shrunk: shrunkSnapshot(models),
    coverage,
    absent: absentModels(asked.models, models),
    comingBytes: remainingBytes(running, snapshots, sizeOf),
  };
}

/** What the last slice of rolling verification found. */
function coverageOf(text: string | undefined): BackupFacts["coverage"] {
  if (text === undefined) return null;
  const { ratio, lag_s, bytes_total, measured_at } = JSON.parse(text) as Coverage;
  return { ratio, lagS: lag_s, bytesTotal: bytes_total, measuredAtMs: Date.parse(measured_at) };
}

type Job = ReturnType<NonNullable<ReturnType<typeof readCatalog>["catalog"]>["jobs"]>[number];

/**
 * The newest finished job of each kind and source, where it failed: a later success settles it. A restore, and a
 * backup of what is in no snapshot and on no schedule (a name mistyped), are the business of whoever started them: he
 * saw how they ended, and nothing would ever settle them.
 * @param sources what is backed up here
 */
function failedJobs(jobs: readonly Job[], sources: ReadonlySet<string>): BackupFacts["failedJobs"] {
  const newest = new Map<string, Job>();
  for (const job of jobs) {
    if (job.state !== "completed" && job.state !== "failed") continue;
    if (job.kind === "restore" || (job.kind === "create" && !sources.has(job.source ?? "")))
      continue;
    const name = `${job.kind} ${job.source ?? ""}`.trim();
    if (!newest.has(name)) newest.set(name, job); // newest first
  }
  return [...newest].flatMap(([name, job]) =>
    job.state === "failed"
      ? [
          {
            name,
            atMs: job.finished_ms ?? job.queued_ms,
            error: job.error ?? job.error_code ?? "failed",
          },
        ]
      : [],
  );
}

/** The newest snapshot of a source, where it is far smaller than the one before it and nobody accepted that. */
function shrunkSnapshot(models: readonly FoundSnapshot[]): BackupFacts["shrunk"] {
  const newest = models.at(-1);
  const before = models
    .slice(0, -1)
    .findLast(({ record }) => record?.source === newest?.record?.source);
  const [bytes, beforeBytes] = [newest?.record?.counts.bytes, before?.record?.counts.bytes];
  if (newest === undefined || bytes === undefined || beforeBytes === undefined) return null;
  if (newest.record?.shrunk === true || bytes >= beforeBytes * shrunkShare) return null;
  return { id: newest.id, bytes, beforeBytes };
}
