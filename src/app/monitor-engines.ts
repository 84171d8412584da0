// What the monitor asks of the other engines, and which storage roots there are. One place, so that a new engine is
// one line here.

import { nextRun, nextTime, type ScheduleEntry } from "../backup/schedule.ts";
import { judgeBudget } from "../backup/verify/rolling.ts";
import { CitadelError, isWithin, joinPath, nameOf, type AbsolutePath } from "../core/index.ts";
import { verifyLinks } from "../layout/index.ts";
import type { ModelReport } from "../models/verify-quick.ts";
import type {
  BackupsData,
  LinksData,
  ModelsData,
  ModelStateData,
  StorageRoot,
} from "../monitor/data.ts";
import type { Memory } from "../monitor/memory.ts";
import { mountOf, readMounts, runProcess, selfCommand } from "../system/index.ts";
import { survey } from "../system/survey/index.ts";
import type { App } from "./app.ts";
import { backupSchedule } from "./backup-schedule.ts";
import { rollingOptions } from "./backup-rolling.ts";
import type { BackupFacts, BackupQuestion } from "./backups-child.ts";
import { openLayoutEngine } from "./layout-engine.ts";
import { toLayoutOptions, viewLayout } from "./layout.ts";
import type { MonitorEngines } from "./monitor.ts";
import { findScheduleRunners } from "./schedule-runners.ts";
import { statePlaces } from "./transaction.ts";

/** The three roots, with what set-up and tuning recorded of them: read again while the daemon runs. */
export function storageRoots(app: App): StorageRoot[] {
  const { paths } = app.settings;
  const { hostPaths } = app.system;
  const requireMount = toLayoutOptions(app).requireMounts;
  const facts = freshFacts(app);
  const root = (role: StorageRoot["role"], path: string, mustMount: boolean): StorageRoot => ({
    role,
    path: hostPaths.real(path),
    requireMount: mustMount,
    get expected() {
      const { roots: recorded, isTuned } = facts();
      const before = recorded.find((each) => each.path === path);
      return {
        uuid: before?.uuid ?? undefined,
        fstype: before?.fstype ?? undefined,
        options: isTuned && mustMount ? tunedOptions : [],
      };
    },
  });
  return [
    root("application", paths.app_root, false),
    root("models", paths.models_root, requireMount),
    root("backup", paths.backup_root, requireMount),
  ];
}

interface Recorded {
  readonly path: string;
  readonly uuid: string | null;
  readonly fstype: string | null;
}

/** What `tune apply` sets on every root and the kernel shows; its other options are defaults that it hides. */
const tunedOptions = ["noatime"];

interface RecordedFacts {
  readonly roots: readonly Recorded[];
  /** `tune apply` ran and was not rolled back. */
  readonly isTuned: boolean;
}

/** The facts, at most half an interval old: `setup --accept-disk` and `tune apply` change them below a running daemon. */
function freshFacts(app: App): () => RecordedFacts {
  const { clock } = app.system;
  const maxAgeMs = app.settings.monitoring.check_interval * 500;
  let known: { readonly atMs: number; readonly facts: RecordedFacts } | undefined;
  return () => {
    const atMs = clock.monotonicMs();
    if (known === undefined || atMs - known.atMs > maxAgeMs)
      known = { atMs, facts: recordedFacts(app) };
    return known.facts;
  };
}

/** What the last generation says of the roots; nothing where there is none or it cannot be read. */
function recordedFacts(app: App): RecordedFacts {
  try {
    using engine = openLayoutEngine(app);
    const { layout, tune } = engine.state.latestAnnotations() as {
      readonly layout?: { readonly roots?: readonly Recorded[] } | null;
      readonly tune?: object | null;
    };
    return { roots: layout?.roots ?? [], isTuned: tune != null };
  } catch {
    // Without the journal there is nothing to compare with; `doctor` tells about the journal.
    return { roots: [], isTuned: false };
  }
}

/**
 * The looks at the other engines that this build has.
 * @param memory keeps since when backups are expected
 */
export function monitorEngines(app: App, memory: Memory): MonitorEngines {
  const known: Known = { models: undefined, comingBytes: {} };
  return {
    links: (signal) => lookAtLinks(app, signal),
    models: (signal) => lookAtModels(app, signal, known),
    backups: (signal) => lookAtBackups(app, memory, signal, known),
    comingBytes: ({ role }) => known.comingBytes[role] ?? 0,
  };
}

/** What one look found and another needs; a look that fails leaves nothing of its kind. */
interface Known {
  models: ModelsData | undefined;
  /** Bytes that running downloads and backups will still write. */
  comingBytes: { readonly [Role in StorageRoot["role"]]?: number };
}

const modelsTimeoutMs = 30_000;

/** Every model directory of the settings, by a child; those it did not get to are unknown. */
async function lookAtModels(
  app: App,
  signal: AbortSignal,
  known: Known,
): Promise<ModelsData | null> {
  const { hostPaths } = app.system;
  const { models, paths } = app.settings;
  const root = hostPaths.real(paths.models_root);
  if (!isMounted(app, root) || !(await answers(root, signal))) {
    known.models = undefined;
    known.comingBytes = { ...known.comingBytes, models: 0 };
    return null;
  }
  const active = hostPaths.real(paths.models_active);
  const directories = Object.entries(models.model_directories).map(([key, name]) => ({
    key,
    path: joinPath(active, name),
  }));
  const downloads = [paths.models_downloads, paths.models_staging]
    .map((path) => hostPaths.real(path))
    .filter((path) => isWithin(path, root));
  const asked = [...directories.map(({ path }) => path), "--", ...downloads];
  const run = await runProcess([...selfCommand(), "__child", "monitor-models", ...asked], {
    timeoutMs: modelsTimeoutMs,
    signal,
  });
  const lines = run.stdout.split("\n").slice(0, -1);
  const last = lines[directories.length];
  if (last !== undefined) {
    const { comingBytes } = JSON.parse(last) as { comingBytes: number };
    known.comingBytes = { ...known.comingBytes, models: comingBytes };
  }
  known.models = {
    models: directories.map(({ key, path }, at) => {
      const line = lines[at];
      return toModelState(
        key,
        path,
        line === undefined ? undefined : (JSON.parse(line) as ModelReport),
      );
    }),
  };
  return known.models;
}

function toModelState(key: string, path: string, report: ModelReport | undefined): ModelStateData {
  if (report === undefined)
    return {
      key,
      path,
      state: "unknown",
      sizeBytes: null,
      problems: ["nobody could look in time"],
    };
  const { state, bytes, problems } = report;
  return {
    key,
    path,
    state: state === "ok" ? "whole" : state,
    sizeBytes: state === "missing" || state === "unknown" ? null : bytes,
    problems,
  };
}

const backupsTimeoutMs = 20_000;
const sinceKey = "backups.since";
const modelsKey = "backups.models";

/** What the catalogue and the repository say, by a child; null: nobody answered, or the root is not mounted. */
async function lookAtBackups(
  app: App,
  memory: Memory,
  signal: AbortSignal,
  known: Known,
): Promise<BackupsData | null> {
  const { backup, paths } = app.settings;
  if (!backup.enable_auto_backup) return { ...noBackups, sinceMs: null };
  // Not `backupPlaces`: it resolves the links of the active models, which hangs on a dead mount.
  const { stateDir } = statePlaces(app.system, app.settings.agent.state_dir);
  const backupRoot = app.system.hostPaths.real(paths.backup_root);
  if (!isMounted(app, backupRoot) || !(await answers(backupRoot, signal))) return null;
  const activePath = app.system.hostPaths.real(paths.models_active);
  const whole = known.models?.models.filter(({ state }) => state === "whole") ?? [];
  const question: BackupQuestion = {
    activePath,
    models: whole.map(({ path }) => nameOf(path)),
    activeBytes: contentBytes(known.models),
  };
  const run = await runProcess(
    [
      ...selfCommand(),
      "__child",
      "monitor-backups",
      stateDir,
      backupRoot,
      JSON.stringify(question),
    ],
    { timeoutMs: backupsTimeoutMs, signal },
  );
  if (run.exitCode !== 0) return null;
  const { absent, comingBytes, ...facts } = JSON.parse(run.stdout) as BackupFacts;
  known.comingBytes = { ...known.comingBytes, backup: comingBytes };
  const nowMs = app.system.clock.nowMs();
  const schedule = backupSchedule(app);
  const periodS = shortestPeriodS(schedule, nowMs);
  const seen = known.models === undefined ? {} : modelsSince(memory, question.models, nowMs);
  const uncovered = absent.filter((name) => {
    const sinceMs = seen[name] ?? nowMs;
    // Known when the last backup began: it was passed over. Else it has the time that a backup has.
    const isPassedOver = facts.lastCompleteMs !== null && sinceMs < facts.lastCompleteMs;
    const isLate = periodS !== null && nowMs - sinceMs > periodS * 1500;
    return facts.lastCompleteMs !== null && (isPassedOver || isLate);
  });
  return {
    ...noBackups,
    ...facts,
    uncovered: uncovered.map((name) => joinPath(activePath, name)),
    budgetProblem:
      facts.coverage === null
        ? null
        : (judgeBudget(facts.coverage.bytesTotal, rollingOptions(app)) ?? null),
    sinceMs: expectedSince(memory, nowMs),
    nextScheduledMs: nextRun(schedule, nowMs)?.dueMs ?? null,
    automatic: isAutomatic(app),
    periodS,
    verifyEveryS: backup.verify_every_days * 86_400,
  };
}

/** Whether anything runs the schedule; null: what would say so cannot be read. */
function isAutomatic(app: App): boolean | null {
  try {
    return findScheduleRunners(app).automatic;
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    return null;
  }
}

const noBackups: BackupsData = {
  sinceMs: null,
  lastCompleteMs: null,
  lastVerifiedMs: null,
  nextScheduledMs: null,
  automatic: null,
  periodS: null,
  verifyEveryS: null,
  snapshots: 0,
  damaged: [],
  failedJobs: [],
  shrunk: null,
  uncovered: [],
  coverage: null,
  budgetProblem: null,
};

/** The content of a backup of all models; null where not each could be looked at. */
function contentBytes(models: ModelsData | undefined): number | null {
  const known = models?.models.filter(({ state }) => state !== "missing");
  if (known === undefined || known.some(({ sizeBytes }) => sizeBytes === null)) return null;
  return known.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
}

/** Since when each model is known to be there; what is gone is forgotten. */
function modelsSince(memory: Memory, names: readonly string[], nowMs: number) {
  const before = (memory.read(modelsKey) ?? {}) as Readonly<Record<string, unknown>>;
  const since = Object.fromEntries(
    names.map((name) => {
      const atMs = before[name];
      return [name, typeof atMs === "number" && atMs <= nowMs ? atMs : nowMs];
    }),
  );
  if (JSON.stringify(since) !== JSON.stringify(before)) memory.write(modelsKey, since);
  return since;
}

/** Ages count from the first time the monitor looked: a fresh host is not late. */
function expectedSince(memory: Memory, nowMs: number): number {
  const known = memory.read(sinceKey);
  if (typeof known === "number" && known <= nowMs) return known;
  memory.write(sinceKey, nowMs);
  return nowMs;
}

/** The shortest distance of two runs of one entry; null where nothing is scheduled. */
function shortestPeriodS(schedule: readonly ScheduleEntry[], nowMs: number): number | null {
  const periods = schedule.flatMap(({ cron }) => {
    const first = nextTime(cron, nowMs);
    const second = first === undefined ? undefined : nextTime(cron, first);
    return first === undefined || second === undefined ? [] : [(second - first) / 1000];
  });
  return periods.length === 0 ? null : Math.min(...periods);
}

/** Whether a root answers within the survey's 5 s: a child that works longer is sent only there. */
async function answers(root: AbsolutePath, signal: AbortSignal): Promise<boolean> {
  const [found] = await survey([{ kind: "usage", path: root }], { signal });
  return found !== undefined && found.kind !== "unknown";
}

function isMounted(app: App, path: string): boolean {
  if (!toLayoutOptions(app).requireMounts) return true;
  const mounts = readMounts();
  return (mountOf(mounts, path)?.mountpoint ?? "/") !== "/";
}

async function lookAtLinks(app: App, signal: AbortSignal): Promise<LinksData> {
  using engine = openLayoutEngine(app);
  const view = await viewLayout(app, engine.state, {
    scope: { directories: false, links: true, files: false },
    signal,
  });
  const { total, healthy, issues } = verifyLinks(
    view.desired,
    view.actual,
    view.history,
    view.ownersMatter,
  );
  return { total, healthy, issues };
}
