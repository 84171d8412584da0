// Whether a text is a cron schedule. `Bun.cron.parse` computes a date for that, and the first local date of a process
// costs 11 ms (it loads the time zones); this asks the text alone. The tests hold the two against each other.

interface CronField {
  readonly from: number;
  readonly to: number;
  /** The names of the values from the first one on; three letters are enough. */
  readonly names?: readonly string[];
}

const months =
  "january february march april may june july august september october november december".split(
    " ",
  );
const weekdays = "sunday monday tuesday wednesday thursday friday saturday".split(" ");

const fields: readonly CronField[] = [
  { from: 0, to: 59 },
  { from: 0, to: 23 },
  { from: 1, to: 31 },
  { from: 1, to: 12, names: months },
  { from: 0, to: 7, names: weekdays },
];

/** The most days a month can have: February in a leap year. */
const longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whether `text` is five cron fields (minute, hour, day, month, weekday) that come true some day. */
export function isCron(text: string): boolean {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== fields.length) return false;
  const sets = parts.map((part, at) => parseField(part, fields[at] as CronField));
  const [, , days, inMonths] = sets;
  if (sets.includes(undefined) || days === undefined || inMonths === undefined) return false;
  // With a weekday given, either of the two is enough (POSIX crontab), and every weekday comes.
  if (!parts[4]?.startsWith("*")) return true;
  const firstDay = Math.min(...days);
  return [...inMonths].some((month) => firstDay <= (longest[month - 1] ?? 0));
}

/** @returns the values a field allows, or undefined if it is wrong */
function parseField(text: string, field: CronField): Set<number> | undefined {
  const values = new Set<number>();
  for (const item of text.split(",")) {
    const [range = "", step, ...rest] = item.split("/");
    const stride = step === undefined ? 1 : parseNumber(step);
    const bounds = parseRange(range, field, step !== undefined);
    if (rest.length > 0 || stride === undefined || stride < 1 || bounds === undefined) {
      return undefined;
    }
    for (let value = bounds[0]; value <= bounds[1]; value += stride) values.add(value);
  }
  return values;
}

function parseRange(
  text: string,
  field: CronField,
  stepped: boolean,
): readonly [number, number] | undefined {
  if (text === "*") return [field.from, field.to];
  const ends = text.split("-").map((end) => parseValue(end, field));
  const [from, to = stepped ? field.to : from] = ends;
  if (ends.length > 2 || ends.includes(undefined)) return undefined;
  return from === undefined || to === undefined || from > to ? undefined : [from, to];
}

function parseValue(text: string, { from, to, names }: CronField): number | undefined {
  const word = text.toLowerCase();
  const at = names?.findIndex((name) => word === name || word === name.slice(0, 3)) ?? -1;
  const value = at === -1 ? parseNumber(text) : at + from;
  return value === undefined || value < from || value > to ? undefined : value;
}

function parseNumber(text: string): number | undefined {
  return /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}
