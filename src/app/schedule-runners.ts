// Who runs the schedule on this host: the daemon, a timer, a crontab. A plan that nobody carries out is no plan.

import { CitadelError, counted, joinPath, nameOf } from "../core/index.ts";
import { isEnabledByLinks } from "../host/index.ts";
import { toOnCalendar, type ScheduleEntry } from "../backup/schedule.ts";
import { differs, findJobs } from "../host/validate/index.ts";
import { listDirectory, lstat, readText, stat } from "../system/index.ts";
import { readLockHolder } from "../system/lock.ts";
import type { App } from "./app.ts";
import { backupSchedule } from "./backup-schedule.ts";
import { findMonitorUnits, readScheduleFiles } from "./schedule-files.ts";

export interface ScheduleRunner {
  readonly kind: "daemon" | "timer" | "crontab";
  /** `process 812`, or the host path of the file (of a unit, where no daemon runs). */
  readonly where: string;
  /** Why it runs nothing as it is; null: it runs what is due. */
  readonly problem: string | null;
  /** Whether it starts at every time of the settings; else what is due waits for its next time. */
  readonly current: boolean;
}

export interface ScheduleRunners {
  readonly runners: readonly ScheduleRunner[];
  /** Whether one of them works; null: none was found, and not every place could be read. */
  readonly automatic: boolean | null;
  /** What could not be read, with its reason. */
  readonly unreadable: readonly string[];
}

/** Looks for whatever starts `backup run-due`. Changes nothing; reads what the caller may read. */
export function findScheduleRunners(app: App): ScheduleRunners {
  const { system, settings } = app;
  const users = [...new Set(["root", settings.symlinks.symlink_owner])];
  const files = readScheduleFiles(system.hostPaths, users);
  const schedule = backupSchedule(app);
  const planned = files.flatMap((file) => {
    const jobs = findJobs(file).filter(({ command }) => /\brun-due\b/.test(command));
    const isMet = ({ cron }: ScheduleEntry) =>
      jobs.some((job) => !differs(job, cron, toOnCalendar(cron)));
    return jobs.map(({ path, command, problem }) => ({
      kind: file.kind === "timer" ? ("timer" as const) : ("crontab" as const),
      where: path,
      problem:
        problem ??
        (file.kind === "timer" ? noSystemd(app) : noCron(app)) ??
        programProblem(app, command) ??
        null,
      current: schedule.every(isMet),
    }));
  });
  const runners = [...daemon(app), ...unique(planned)];
  const unreadable = files.flatMap(({ unreadable: why }) => (why === undefined ? [] : [why]));
  const isRun = runners.some(({ problem }) => problem === null);
  return { runners, automatic: isRun ? true : unreadable.length > 0 ? null : false, unreadable };
}

/**
 * The process that holds the daemon's lock; without one its unit, which runs nothing now. Below --root the unit counts
 * if it is enabled: the daemon that it starts in the booted image runs what is due.
 */
function daemon({ system: { hostPaths } }: App): ScheduleRunner[] {
  const holder = hostPaths.relocated ? undefined : readLockHolder(hostPaths.runtimeDir, "daemon");
  if (holder !== undefined) {
    return [{ kind: "daemon", where: `process ${holder.pid}`, problem: null, current: true }];
  }
  return findMonitorUnits(hostPaths).map((path) => {
    const isEnabled = isEnabledByLinks(hostPaths, nameOf(path));
    const state = hostPaths.relocated ? null : "it does not run";
    const problem = isEnabled ? state : "it is not enabled";
    return { kind: "daemon", where: path, problem, current: true };
  });
}

/** A timer on a host where systemd does not run (a container) is a file. Below --root it is for the booted image. */
function noSystemd({ system: { hostPaths } }: App): string | undefined {
  if (hostPaths.relocated || lstat("/run/systemd/system")?.type === "directory") return undefined;
  return "systemd does not run here";
}

const cronNames = new Set(["cron", "crond", "cronie", "dcron", "fcron", "bcron-sched"]);
/** systemd-cron makes timers of crontabs: no daemon of cron runs there. */
const cronGenerators = ["/usr/lib/systemd/system-generators", "/lib/systemd/system-generators"].map(
  (directory) => `${directory}/systemd-crontab-generator`,
);

/** A crontab where no cron runs is a file too. Below --root it is for the booted image. */
export function noCron({ system: { hostPaths } }: App): string | undefined {
  if (hostPaths.relocated || cronGenerators.some((path) => lstat(path) !== undefined))
    return undefined;
  return runsCron(hostPaths.proc ?? "/proc") === false ? "no cron daemon runs here" : undefined;
}

/** Whether a cron daemon runs; undefined where this caller does not see the processes of others. @param proc `/proc` */
export function runsCron(proc: string): boolean | undefined {
  const commOf = (pid: string) => {
    try {
      return readText(joinPath(proc, pid, "comm"))?.trim();
    } catch {
      return undefined; // ended meanwhile, or hidden (hidepid=)
    }
  };
  if (commOf("1") === undefined) return undefined;
  const pids = (listDirectory(proc) ?? []).filter((name) => /^\d+$/.test(name));
  return pids.some((pid) => cronNames.has(commOf(pid) ?? ""));
}

/** A crontab has one line for each type. */
function unique(runners: readonly ScheduleRunner[]): ScheduleRunner[] {
  const byText = new Map(runners.map((runner) => [JSON.stringify(runner), runner]));
  return [...byText.values()];
}

/** @param command the line of a unit or a crontab; its first word may be quoted */
function programProblem(app: App, command: string): string | undefined {
  const program = /^\s*["']?(\/[^\s"']+)/.exec(command)?.[1];
  return program === undefined ? undefined : programFault(app, program);
}

/** Why a program cannot be started: not there, or nothing that runs. @param program host path */
export function programFault({ system: { hostPaths } }: App, program: string): string | undefined {
  const path = hostPaths.real(program);
  try {
    if (lstat(path) === undefined) return `there is no ${program}`;
    const found = stat(path);
    if (found === undefined && hostPaths.relocated) return undefined; // a link into the booted image
    const isProgram = found?.type === "file" && (found.mode & 0o111) !== 0;
    return isProgram ? undefined : `${program} is not a program that can be started`;
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.kind === "permission") return undefined; // not known
    throw thrown;
  }
}

/** Whether there is nothing to say: somebody runs the schedule, at its times. */
export function isRunOnTime({ automatic, runners }: ScheduleRunners): boolean {
  return automatic === true && runners.every(({ current }) => current);
}

function describeOther({ where }: ScheduleRunner): string {
  const installer = where.includes("@run-due.") ? "service install" : "backup schedule install";
  return `; ${where} starts at other times than the settings say: run \`citadel-agent ${installer}\` again`;
}

/** For a person: one line that says who runs the schedule, or that nobody does. */
export function describeRunners({ runners, automatic, unreadable }: ScheduleRunners): string {
  const broken = runners.filter(({ problem }) => problem !== null);
  const why = broken.map(({ where, problem }) => `${where}: ${problem}`).join("; ");
  if (automatic === true) {
    const by = runners.filter(({ problem }) => problem === null);
    const names = by.map(
      ({ kind, where }) => `${kind === "daemon" ? "the daemon" : `the ${kind}`} (${where})`,
    );
    const others = by.filter(({ current }) => !current).map(describeOther);
    return `run by ${names.join(" and ")}${why === "" ? "" : `; not by ${why}`}${others.join("")}`;
  }
  if (automatic === null) {
    const rest =
      unreadable.length > 1 ? ` (and ${counted(unreadable.length - 1, "more place")})` : "";
    return `whether anything runs it is not known: ${unreadable[0] ?? ""}${rest}; ask as root`;
  }
  const cause = why === "" ? "" : ` (${why})`;
  return `nobody runs it${cause}: start the service (\`citadel-agent service install --now\`), or \`citadel-agent backup schedule install\``;
}
