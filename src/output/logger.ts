// The log on stderr: consola's core (levels, reporters, throttling of repeats; 0.3 ms to load, its terminal builds
// cost 15 to 40) with reporters of our own, which write synchronously and escape what others chose.

import { createConsola, LogLevels, type ConsolaInstance, type LogObject } from "consola/core";
import { formatTime } from "../core/index.ts";
import type { LogLevel, Logger } from "../system/logger.ts";
import { printable } from "./printable.ts";
import type { Style, Tone } from "./style.ts";

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: "pretty" | "json";
  /** stderr goes to the journal: it adds the time and reads `<N>` as the priority (sd-daemon(3)). */
  readonly journal: boolean;
  readonly style: Style;
  readonly nowMs: () => number;
  /** One line with its newline. */
  readonly write: (line: string) => void;
}

/**
 * Which level is shown: a daemon tells what it does, a command only what is wrong; each --verbose shows one more.
 * `--quiet` leaves warnings and errors.
 */
export function logLevelFor(flags: {
  readonly quiet: boolean;
  readonly verbosity: number;
  readonly daemon: boolean;
}): LogLevel {
  if (flags.quiet) return "warn";
  const steps: readonly LogLevel[] = ["warn", "info", "debug", "trace"];
  return steps[Math.min(flags.verbosity + (flags.daemon ? 1 : 0), steps.length - 1)] ?? "warn";
}

/** Messages with fields, to stderr, in the form that was asked for. */
export function createLogger(options: LoggerOptions): Logger {
  const format = options.format === "json" ? formatJsonLine : formatPrettyLine;
  // made when there is something to say: most commands say nothing, and a start counts every half millisecond
  let consola: ConsolaInstance | undefined;
  const open = () =>
    createConsola({
      level: LogLevels[options.level],
      reporters: [{ log: (entry) => options.write(`${format(readEntry(entry), options)}\n`) }],
    });
  return {
    log: (level, message, fields) => {
      consola ??= open();
      say(consola, level, message, fields);
    },
  };
}

interface Entry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function say(
  consola: ConsolaInstance,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): void {
  consola[level].raw({ message, fields });
}

function readEntry({ type, args }: LogObject): Entry {
  // consola appends "(repeated 7 times)" when it held back repeats
  const [{ message, fields }, repeated] = args as [Omit<Entry, "level">, string | undefined];
  const text = repeated === undefined ? message : `${message} ${repeated}`;
  return { level: type as LogLevel, message: text, fields };
}

function formatJsonLine({ level, message, fields }: Entry, { nowMs }: LoggerOptions): string {
  return JSON.stringify({ time: formatTime(nowMs()), level, message, ...fields }, plainValue);
}

const tones: Record<LogLevel, Tone> = {
  error: "critical",
  warn: "warning",
  info: "ok",
  debug: "dim",
  trace: "dim",
};

// syslog(3) priorities
const priorities: Record<LogLevel, number> = { error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

/** `12:34:56 warn  message key=value`; for the journal `<4>message key=value`. */
function formatPrettyLine(entry: Entry, { journal, style, nowMs }: LoggerOptions): string {
  const { level, message, fields } = entry;
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${formatValue(value)}`);
  const text = printable(message) + style.paint("dim", printable(pairs.join("")));
  if (journal) return `<${priorities[level]}>${text}`;
  const time = formatTime(nowMs()).slice(11, 19);
  return `${style.paint("dim", time)} ${style.paint(tones[level], level.padEnd(5))} ${text}`;
}

function formatValue(value: unknown): string {
  if (typeof value === "string") return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value, plainValue) ?? "undefined";
}

function plainValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value instanceof Error ? value.message : value;
}
