// Check 10: a daily backup job, looked for where one can be: our timer, /etc/cron.d, /etc/crontab, and the crontabs
// of root and of the service user, not only in the caller's own table.

import { nameOf } from "../../core/index.ts";
import { shorten, type Check } from "./check.ts";

/** A file that may hold a job: its host path, and its text or why it could not be read. */
export interface ScheduleFile {
  readonly path: string;
  /** Lines of cron.d and /etc/crontab name the user before the command. */
  readonly kind: "crontab" | "system-crontab" | "timer";
  readonly text: string | undefined;
  readonly unreadable?: string | undefined;
  /** Timers: whether a target wants them, and the text of the service they start. */
  readonly enabled?: boolean | undefined;
  readonly serviceText?: string | undefined;
}

export interface ScheduleJob {
  readonly path: string;
  /** Its time as it is written there. */
  readonly schedule: string;
  readonly command: string;
  /** Runs at least once a day. */
  readonly daily: boolean;
  readonly problem: string | undefined;
}

const ourJob = /citadel-agent\b.*\bbackup\s+(create|run-due)\b/;

/** Jobs of the agent in one file. */
export function findJobs(file: ScheduleFile): ScheduleJob[] {
  if (file.text === undefined) return [];
  if (file.kind === "timer") return timerJobs(file, file.text);
  return file.text.split("\n").flatMap((line) => cronJob(file, line) ?? []);
}

/** crontab(5): five fields or a nickname, in system tables then the user, then the command. */
function cronJob(file: ScheduleFile, line: string): ScheduleJob | undefined {
  if (/^\s*(?:#|$)/.test(line)) return undefined;
  const match = /^\s*(@\w+|\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/.exec(line);
  const [, schedule = "", rest = ""] = match ?? [];
  const command = file.kind === "system-crontab" ? rest.replace(/^\S+\s+/, "") : rest;
  if (!ourJob.test(command)) return undefined;
  const [, , day, month, weekday] = schedule.split(/\s+/);
  const everyDay = [day, month, weekday].every((part) => part === "*");
  const daily = everyDay || /^@(?:daily|midnight|hourly)$/.test(schedule);
  return { path: file.path, schedule, command, daily, problem: undefined };
}

/** systemd.timer(5): OnCalendar= of the timer, ExecStart= of its service. */
function timerJobs(file: ScheduleFile, text: string): ScheduleJob[] {
  const command = /^ExecStart=(.*)$/m.exec(file.serviceText ?? "")?.[1] ?? "";
  if (!ourJob.test(command)) return [];
  const calendars = [...text.matchAll(/^(OnCalendar|OnUnitActiveSec|OnBootSec)=(.*)$/gm)];
  const schedule = calendars.map((match) => match[0]).join(", ");
  const daily = calendars.some(
    ([, key, value = ""]) =>
      key === "OnUnitActiveSec" ||
      /^(?:daily|hourly|minutely)$/.test(value.trim()) ||
      /^(?:\*-\*-\*(?:[ T]|$)|[\d*,/]+:)/.test(value.trim()),
  );
  const problem = file.enabled === true ? undefined : `${nameOf(file.path)} is not enabled`;
  return [{ path: file.path, schedule, command, daily, problem }];
}

const nicknames: Readonly<Record<string, string>> = {
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/**
 * A schedule as five cron fields, so that two can be compared: `OnCalendar=*-*-* 02:00:00` is `0 2 * * *`.
 * @returns undefined for what no cron line says
 */
export function asCron(schedule: string): string | undefined {
  const text = schedule.trim().replace(/^OnCalendar=/, "");
  const known = nicknames[text] ?? nicknames[`@${text}`];
  if (known !== undefined) return known;
  const match = /^(?:\*-\*-\*[ T])?(\d\d?):(\d\d)(?::00)?$/.exec(text);
  if (match !== null) return `${Number(match[2])} ${Number(match[1])} * * *`;
  const fields = text.split(/\s+/);
  if (fields.length !== 5) return undefined;
  return fields.map((part) => (/^\d+$/.test(part) ? String(Number(part)) : part)).join(" ");
}

/**
 * Whether a job never starts at a time of the settings. `run-due` asks the settings what is due, however often it is
 * started; `create` runs when its line says.
 * @param schedule a cron text of the settings
 * @param calendars the same as OnCalendar= texts
 */
export function differs(job: ScheduleJob, schedule: string, calendars: readonly string[]): boolean {
  const texts = job.schedule.split(", "); // a timer may have several
  const times = texts.map(asCron);
  const isOften = times.some((cron) => cron?.split(" ")[1] === "*");
  if (/\brun-due\b/.test(job.command) && isOften) return false;
  const asTimer = texts.some((text) => calendars.includes(text.replace(/^OnCalendar=/, "")));
  return !asTimer && !times.includes(asCron(schedule));
}

/**
 * Check 10. A daily job at another time than the settings say is a daily backup all the same: it passes, and says so.
 * @param schedule the cron text of the settings
 * @param calendars the same as OnCalendar= texts, as our own timer has them
 */
export function checkBackupSchedule(
  files: readonly ScheduleFile[],
  schedule: string,
  calendars: readonly string[] = [],
): Check {
  const jobs = files.flatMap(findJobs);
  const good = jobs.filter((job) => job.daily && job.problem === undefined);
  const unreadable = files.flatMap((file) =>
    file.unreadable === undefined ? [] : [`${file.path} could not be read: ${file.unreadable}`],
  );
  const bad = jobs.map(
    (job) => `${job.path} (${job.schedule}): ${job.problem ?? "does not run daily"}`,
  );
  const nowhere = "no backup job in the timers, /etc/cron.d, /etc/crontab or the crontabs";
  const ok = good.length > 0;
  const found = ok
    ? good.map(
        (job) =>
          `${job.path}: ${job.schedule}${differs(job, schedule, calendars) ? ` (the settings say ${schedule})` : ""}`,
      )
    : [...(bad.length > 0 ? bad : [nowhere]), ...unreadable];
  return {
    id: "backup_schedule",
    name: "Backup Schedule",
    ok,
    found: shorten(found),
    wanted: `a daily backup job (${schedule})`,
    fix: ok ? null : "citadel-agent backup schedule install",
  };
}
