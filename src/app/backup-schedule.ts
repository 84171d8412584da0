// The schedule from the app: what is due, and running it (backup, retention, a test restore, a slice of verification).
// Its installation on the host is schedule-install.ts.

import {
  firstSeenFrom,
  nextOpenTime,
  nextRun,
  ranUntil,
  dueRun,
  scheduleOf,
  type DueRun,
  type ScheduleEntry,
} from "../backup/schedule.ts";
import { defaultRules } from "../backup/retention.ts";
import { listSnapshots } from "../backup/repository.ts";
import { CitadelError, counted, ExitCode, exitCodeOf } from "../core/index.ts";
import { acquireLock, tryLock } from "../system/lock.ts";
import type { App } from "./app.ts";
import { planCleanup, runCleanup } from "./backup-cleanup.ts";
import { createConfigsBackup } from "./backup-configs.ts";
import {
  createBackup,
  exitCodeOfBackup,
  failureOfCheck,
  type CreateContext,
  type CreateOutcome,
} from "./backup-create.ts";
import { backupPlaces, lookIntoCatalog, tryCatalog } from "./backup-repository.ts";
import { lastSliceMs, runRolling } from "./backup-rolling.ts";
import { testRestore } from "./backup-test-restore.ts";

export function backupSchedule(app: App): ScheduleEntry[] {
  const { backup_schedule, backup_types } = app.settings.backup;
  return scheduleOf(backup_schedule, backup_types);
}

/** Facts of the catalogue about a tag. */
const facts = {
  /** Times up to this one are dealt with. */
  settled: (tag: string) => `schedule.${tag}`,
  /** When a run with it began. */
  ran: (tag: string) => `schedule-ran.${tag}`,
  /** When `run-due` met it for the first time. */
  seen: (tag: string) => `schedule-seen.${tag}`,
};

interface TagMarks {
  /** From here on its times fall due: settled by a run or by a snapshot that carries it, else first seen. */
  readonly from: ReadonlyMap<string, number>;
  /** When it last ran, or a snapshot with it was made by hand. */
  readonly ran: ReadonlyMap<string, number>;
}

function readMarks(app: App): TagMarks {
  const places = backupPlaces(app);
  const { catalog } = lookIntoCatalog(places);
  using opened = catalog;
  const ran = new Map<string, number>();
  for (const { startedMs, record } of listSnapshots(places.backupRoot)) {
    for (const tag of record?.tags ?? []) ran.set(tag, startedMs); // oldest first: the newest stays
  }
  const from = new Map(ran);
  for (const { tag } of backupSchedule(app)) {
    const [settled, seen, last] = [facts.settled, facts.seen, facts.ran].map((fact) => {
      const text = opened?.fact(fact(tag));
      return text === undefined ? undefined : Number(text);
    });
    const start = settled ?? from.get(tag) ?? seen;
    if (start !== undefined) from.set(tag, start);
    if (last !== undefined) ran.set(tag, Math.max(last, ran.get(tag) ?? 0));
  }
  return { from, ran };
}

/** What is due: a tag that was never seen has missed nothing but what falls due at this moment. */
function dueOf(schedule: readonly ScheduleEntry[], { from }: TagMarks, nowMs: number) {
  const first = firstSeenFrom(nowMs);
  const since = new Map(schedule.map(({ tag }) => [tag, from.get(tag) ?? first]));
  return dueRun(schedule, since, nowMs);
}

/** What is due now. */
export function dueNow(app: App): DueRun | undefined {
  if (!app.settings.backup.enable_auto_backup) return undefined;
  return dueOf(backupSchedule(app), readMarks(app), app.system.clock.nowMs());
}

export interface TagSchedule extends ScheduleEntry {
  /** The last run of this type; undefined: never. */
  readonly lastMs: number | undefined;
  /** The first time that nobody has dealt with, in the past where it is overdue; undefined: never. */
  readonly nextMs: number | undefined;
}

/** Each type with its last and next run. */
export function tagSchedules(app: App): TagSchedule[] {
  const nowMs = app.system.clock.nowMs();
  const { from, ran } = readMarks(app);
  return backupSchedule(app).map(({ tag, cron }) => ({
    tag,
    cron,
    lastMs: ran.get(tag),
    nextMs: nextOpenTime(cron, from.get(tag), nowMs),
  }));
}

export interface StepOutcome {
  readonly step: "backup" | "configs" | "cleanup" | "test_restore" | "verify";
  readonly ok: boolean;
  readonly message: string;
  readonly code: string | null;
  readonly snapshot: string | null;
  /** What the command of that step alone would have ended with. */
  readonly exitCode: ExitCode;
}

export interface DueReport {
  /** Null: nothing was due. */
  readonly run: DueRun | null;
  readonly next: DueRun | null;
  readonly steps: readonly StepOutcome[];
}

/** Longest wait for a run that is on its way: then that one is due for a look itself. */
const queueTimeoutMs = 12 * 3_600_000;

/**
 * systemd does not start a unit that runs already: what falls due during a backup of hours would wait for the next
 * time of the timer, a day later. So whoever ran looks again; so often, lest a backup slower than its schedule never end.
 */
const maxFurtherRuns = 3;

/**
 * Runs what is due: the backup, after whatever runs now, and the day's slice of verification. A failing step is in the
 * report; later steps run all the same.
 */
export async function runDue(app: App, context: CreateContext): Promise<DueReport> {
  let report = await runDueBackup(app, context);
  for (let further = 0; report.run !== null && further < maxFurtherRuns; further += 1) {
    const more = await runDueBackup(app, context);
    if (more.run === null) break;
    const tags = [...new Set([...report.run.tags, ...more.run.tags])];
    report = { ...more, run: { ...report.run, tags }, steps: [...report.steps, ...more.steps] };
  }
  const slice = await runDueSlice(app, context.signal);
  return slice === undefined ? report : { ...report, steps: [...report.steps, slice] };
}

/** A slice is due a day after the last one; a little less, so that a daily timer meets it every day. */
const sliceEveryMs = 22 * 3_600_000;

/** Under a lock of its own: a backup that falls due meanwhile does not wait for hours. */
async function runDueSlice(app: App, signal: AbortSignal): Promise<StepOutcome | undefined> {
  const { clock } = app.system;
  const places = backupPlaces(app);
  if (!app.settings.backup.enable_auto_backup) return undefined;
  const sinceMs = clock.nowMs() - lastSliceMs(app);
  if (sinceMs >= 0 && sinceMs < sliceEveryMs) return undefined;
  if (!listSnapshots(places.backupRoot).some(({ state }) => state === "complete")) return undefined;
  const { runtimeDir } = places;
  const command = "backup verify --rolling";
  using lock = tryLock({ directory: runtimeDir, domain: "backup-rolling", command, clock });
  if (lock === undefined) return undefined; // one is on its way
  const base = { step: "verify", code: null, snapshot: null, exitCode: ExitCode.success } as const;
  try {
    const { after, reports, warning } = await runRolling(app, signal);
    if (warning !== undefined) app.system.logger.log("warn", warning);
    const damaged = reports.filter(({ valid }) => !valid).map(({ snapshot }) => snapshot);
    const share = `${(after.ratio * 100).toFixed(1)} % proved within ${after.every_days} days`;
    if (damaged.length === 0) return { ...base, ok: true, message: share };
    const message = `damaged: ${damaged.join(", ")}; ${share}`;
    const failure = { ok: false, code: "BACKUP_DAMAGED", exitCode: ExitCode.findings };
    return { ...base, ...failure, message, snapshot: damaged[0] ?? null };
  } catch (thrown) {
    if (!(thrown instanceof CitadelError) || thrown.kind === "cancelled") throw thrown;
    const { message, code } = thrown;
    return { ...base, ok: false, message, code, exitCode: exitCodeOf(thrown) };
  }
}

async function runDueBackup(app: App, context: CreateContext): Promise<DueReport> {
  const { clock } = app.system;
  const places = backupPlaces(app);
  const schedule = backupSchedule(app);
  const upcoming = () => nextRun(schedule, clock.nowMs()) ?? null;
  if (!app.settings.backup.enable_auto_backup) return { run: null, next: null, steps: [] };
  using _lock = await acquireLock({
    directory: places.runtimeDir,
    domain: "backup-schedule",
    command: "backup run-due",
    timeoutMs: queueTimeoutMs,
    clock,
    signal: context.signal,
  });
  const marks = readMarks(app);
  const nowMs = clock.nowMs();
  const fresh = schedule.filter(({ tag }) => !marks.from.has(tag));
  record(app, new Map(fresh.map(({ tag }) => [facts.seen(tag), nowMs])));
  const run = dueOf(schedule, marks, nowMs);
  if (run === undefined) return { run: null, next: upcoming(), steps: [] };
  record(app, new Map(run.tags.map((tag) => [facts.settled(tag), ranUntil(nowMs)])));
  record(app, new Map(run.tags.map((tag) => [facts.ran(tag), nowMs])));
  const steps = await runSteps(app, run, context);
  return { run, next: upcoming(), steps };
}

function record(app: App, times: ReadonlyMap<string, number>): void {
  if (times.size === 0) return;
  const { catalog, remark } = tryCatalog(backupPlaces(app));
  using opened = catalog;
  if (remark !== undefined) app.system.logger.log("warn", remark);
  for (const [fact, atMs] of times) opened?.setFact(fact, String(atMs));
}

async function runSteps(app: App, run: DueRun, context: CreateContext): Promise<StepOutcome[]> {
  const steps: StepOutcome[] = [];
  const attempt = async (step: StepOutcome["step"], work: () => Promise<Partial<StepOutcome>>) => {
    context.signal.throwIfAborted();
    try {
      const done = { ok: true, message: "done", code: null, snapshot: null };
      steps.push({ step, ...done, exitCode: ExitCode.success, ...(await work()) });
    } catch (thrown) {
      if (!(thrown instanceof CitadelError) || thrown.kind === "cancelled") throw thrown;
      const failure = { ok: false, message: thrown.message, code: thrown.code, snapshot: null };
      steps.push({ step, ...failure, exitCode: exitCodeOf(thrown) });
    }
  };
  await attempt("backup", async () => {
    const request = { tags: run.tags, lockTimeoutMs: queueTimeoutMs, command: "backup run-due" };
    return describeMade(app, await createBackup(app, request, context));
  });
  const isMade = steps[0]?.ok === true;
  await attempt("configs", async () => {
    const base = { lockTimeoutMs: queueTimeoutMs, command: "backup run-due" };
    const request = { ...base, tags: run.tags, withSecrets: false };
    return describeMade(app, await createConfigsBackup(app, request, context));
  });
  if (isMade) {
    await attempt("cleanup", async () => {
      const rules = { ...defaultRules, days: app.settings.backup.retention_days };
      const { removed } = await runCleanup(app, planCleanup(app, rules), false, context.signal);
      return { message: `${removed.length} removed` };
    });
  }
  if (isMade && app.settings.backup.test_restore_enabled) {
    await attempt("test_restore", () => testRestore(app, context.signal));
  }
  return steps;
}

/** A snapshot as a step of the report; what it has to be warned of goes to the log. */
function describeMade({ system }: App, made: CreateOutcome): Omit<StepOutcome, "step"> {
  const { report, verification } = made;
  for (const warning of report.warnings) system.logger.log("warn", warning);
  const failure = failureOfCheck(verification);
  const lost = report.skipped_total;
  const skipped = lost > 0 ? `, ${counted(lost, "path")} skipped` : "";
  return {
    ok: failure === undefined,
    message: `made${failure === undefined ? "" : ", and found damaged"}, ${counted(report.files, "file")}${skipped}`,
    code: failure?.code ?? null,
    snapshot: report.snapshot,
    exitCode: exitCodeOfBackup(made),
  };
}

/**
 * How a run as a whole ended: as the backup did where that failed, as its only step, else in part where a step did.
 * systemd shows it as the result of the unit.
 */
export function exitCodeOfDue({ steps }: DueReport): ExitCode {
  const failed = steps.filter(({ exitCode }) => exitCode !== ExitCode.success);
  const backup = failed.find(({ step, ok }) => step === "backup" && !ok);
  const decisive = backup ?? (failed.length === steps.length ? failed[0] : undefined);
  return decisive?.exitCode ?? (failed.length > 0 ? ExitCode.partial : ExitCode.success);
}
