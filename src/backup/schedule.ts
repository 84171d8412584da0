// When backups are due: cron texts as data, local time, decided from values alone. Types are tags: what falls due in
// one hour is one run with all its tags, and however many runs were missed, one makes up for them.

/** `daily` and its cron text. */
export interface ScheduleEntry {
  readonly tag: string;
  readonly cron: string;
}

export interface DueRun {
  readonly tags: readonly string[];
  /** When the first of them fell due. */
  readonly dueMs: number;
}

const hourMs = 3_600_000;

/**
 * The schedule of the settings: BACKUP_BACKUP_SCHEDULE is the daily one unless the types name another.
 * @param defaultDaily the daily text that the types have when nobody set them
 */
export function scheduleOf(
  daily: string,
  types: Readonly<Record<string, string>>,
  defaultDaily = "0 2 * * *",
): ScheduleEntry[] {
  const own = types["daily"];
  const isNamed = own !== undefined && own.trim() !== defaultDaily;
  const entries = Object.entries({ ...types, daily: isNamed ? own : daily });
  return entries.map(([tag, cron]) => ({ tag, cron })).sort((a, b) => (a.tag < b.tag ? -1 : 1));
}

/** The next time after a moment, in local time; undefined for a day that never comes. */
export function nextTime(cron: string, afterMs: number): number | undefined {
  return Bun.cron.parse(cron, new Date(afterMs))?.getTime();
}

/** When the hour of a moment ends, as the clock on the wall has it: not every zone is whole hours from UTC. */
function hourEnd(atMs: number): number {
  const at = new Date(atMs);
  const sinceMs = (at.getMinutes() * 60 + at.getSeconds()) * 1000 + at.getMilliseconds();
  return atMs - sinceMs + hourMs;
}

/** The next run, with all tags that fall into its hour. */
export function nextRun(schedule: readonly ScheduleEntry[], nowMs: number): DueRun | undefined {
  const times = schedule.map(({ tag, cron }) => ({ tag, atMs: nextTime(cron, nowMs) ?? Infinity }));
  const dueMs = Math.min(Infinity, ...times.map(({ atMs }) => atMs));
  if (dueMs === Infinity) return undefined;
  const end = hourEnd(dueMs);
  return { dueMs, tags: times.filter(({ atMs }) => atMs < end).map(({ tag }) => tag) };
}

/**
 * What is due now. A last run in the future (the clock was set back) counts as now: nothing is made up for, and
 * nothing waits for the clock to catch up.
 * @param lastMs when each tag ran last
 */
export function dueRun(
  schedule: readonly ScheduleEntry[],
  lastMs: ReadonlyMap<string, number>,
  nowMs: number,
): DueRun | undefined {
  const times = schedule.map(({ tag, cron }) => {
    const last = Math.min(lastMs.get(tag) ?? nowMs, nowMs);
    return { tag, atMs: nextTime(cron, last) ?? Infinity };
  });
  const dueMs = Math.min(Infinity, ...times.map(({ atMs }) => atMs));
  if (dueMs > nowMs) return undefined;
  const end = hourEnd(nowMs);
  return { dueMs, tags: times.filter(({ atMs }) => atMs < end).map(({ tag }) => tag) };
}

/**
 * How long before it is first seen a schedule counts: who starts with it at its very time (a new timer, a new line of
 * a crontab) does not wait for the next one.
 */
const firstSeenGraceMs = 5 * 60_000;

/** From when on the times of a tag fall due that was never seen before. */
export function firstSeenFrom(nowMs: number): number {
  return nowMs - firstSeenGraceMs;
}

/**
 * The first time of a tag that nobody has dealt with: in the past where it is overdue.
 * @param fromMs what was dealt with last, or when the tag was first seen; undefined: never seen
 */
export function nextOpenTime(
  cron: string,
  fromMs: number | undefined,
  nowMs: number,
): number | undefined {
  // Further ahead than one hour only a clock leads that was set back since.
  const isSound = fromMs !== undefined && fromMs <= nowMs + hourMs;
  return nextTime(cron, isSound ? fromMs : nowMs);
}

/** When each tag counts as having run, after a run at `nowMs`: also what would fall due later in the same hour. */
export function ranUntil(nowMs: number): number {
  return hourEnd(nowMs) - 1;
}

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/** `1-5`, `*`, `0/15`, `1,3` of cron as systemd writes it: `01..05`. */
function toCalendarField(field: string, pad: number): string {
  if (field === "*") return "*";
  return field
    .split(",")
    .map((part) => {
      const [range = "", step] = part.split("/");
      const from = range === "*" ? "0".padStart(pad, "0") : range;
      const text = from
        .split("-")
        .map((number) => number.padStart(pad, "0"))
        .join("..");
      return step === undefined ? text : `${text}/${step}`;
    })
    .join(",");
}

function toWeekdays(field: string): string {
  return field
    .replace(
      /\d|[a-z]{3}/gi,
      (day) => weekdays[Number(day)] ?? day[0]?.toUpperCase() + day.slice(1).toLowerCase(),
    )
    .replaceAll("-", "..");
}

/**
 * A cron text as OnCalendar= lines of systemd.time(7). Cron runs when the day of the month OR the weekday matches if
 * both are given: two lines then.
 */
export function toOnCalendar(cron: string): string[] {
  const [minute = "*", hour = "*", day = "*", month = "*", weekday = "*"] = cron
    .trim()
    .split(/\s+/);
  const time = `${toCalendarField(hour, 2)}:${toCalendarField(minute, 2)}:00`;
  const months = toCalendarField(month, 2);
  const lines: string[] = [];
  if (day !== "*" || weekday === "*") lines.push(`*-${months}-${toCalendarField(day, 2)} ${time}`);
  if (weekday !== "*") lines.push(`${toWeekdays(weekday)} *-${months}-* ${time}`);
  return lines;
}

const blockBegin = "# BEGIN citadel-agent backup (managed: changes inside are lost)";
const blockEnd = "# END citadel-agent backup";

/**
 * The crontab with our block in it, everything else byte for byte as it was; no block where `lines` is empty. A block
 * stays where it is: variables apply to the lines below them. Without its last line a block is only its first one:
 * what follows may be somebody's.
 */
export function withCronBlock(crontab: string, lines: readonly string[]): string {
  const { rest, at } = withoutBlocks(crontab.split("\n"));
  if (lines.length === 0) return rest.join("\n");
  const block = [blockBegin, ...lines, blockEnd];
  if (at !== undefined) return [...rest.slice(0, at), ...block, ...rest.slice(at)].join("\n");
  const text = rest.join("\n");
  const gap = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${text}${gap}${block.join("\n")}\n`;
}

/** @returns the lines of others, and before which of them the first whole block stood */
function withoutBlocks(lines: readonly string[]): { rest: string[]; at: number | undefined } {
  const rest: string[] = [];
  let found: number | undefined;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    if (line !== blockBegin) {
      rest.push(line);
      continue;
    }
    const end = lines.indexOf(blockEnd, at);
    if (end === -1) continue;
    found ??= rest.length;
    at = end;
  }
  return { rest, at: found };
}
