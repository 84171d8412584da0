// Diagnostics on stderr, never on stdout. Level and form come from --quiet, --verbose and --log-format.

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

export interface Logger {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const logLevels: readonly LogLevel[] = ["error", "warn", "info", "debug", "trace"];

/** Drops everything: for engines under test. */
export const silentLogger: Logger = { log: () => {} };
