// What the process was given: its environment, arguments and user. Read once, at the start.

import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { isJournal, isTerminal } from "./is-terminal.ts";
import { normalizePath } from "../core/paths.ts";

export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly gid: number;
  readonly isRoot: boolean;
  readonly hostname: string;
  readonly workingDirectory: string;
  /** Who asked: the user behind sudo, else the user of the process, else the number. */
  readonly user: string;
  readonly pid: number;
  /** The program that runs: the compiled binary, or Bun. */
  readonly executable: string;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  readonly stdinIsTerminal: boolean;
  /** stderr goes to journald: we run under a unit. */
  readonly stderrIsJournal: boolean;
}

/** Reads the environment of this process. */
export function readEnvironment(): Environment {
  const uid = process.getuid?.() ?? -1;
  return {
    variables: process.env,
    uid,
    gid: process.getgid?.() ?? -1,
    isRoot: process.geteuid?.() === 0,
    hostname: hostname(),
    workingDirectory: process.cwd(),
    get user() {
      return process.env["SUDO_USER"] ?? userName(uid);
    },
    pid: process.pid,
    executable: process.execPath,
    stdoutIsTerminal: isTerminal(1),
    stderrIsTerminal: isTerminal(2),
    stdinIsTerminal: isTerminal(0),
    stderrIsJournal: isJournal(process.env["JOURNAL_STREAM"]),
  };
}

/** The name of `uid` in /etc/passwd; the number where it has none there (LDAP, many containers). */
function userName(uid: number): string {
  try {
    const lines = readFileSync("/etc/passwd", "utf8").split("\n");
    const entry = lines.map((line) => line.split(":")).find((fields) => fields[2] === String(uid));
    return entry?.[0] ?? String(uid);
  } catch {
    return String(uid);
  }
}

/** A path that the caller typed, made absolute from the working directory. */
export function resolvePath(path: string): string {
  return normalizePath(path.startsWith("/") ? path : `${process.cwd()}/${path}`);
}

/**
 * The arguments as bytes: `process.argv` turns what is not UTF-8 into U+FFFD, `/proc/self/cmdline` does not.
 * @returns one Buffer per argument, the program included
 */
export function rawArguments(): Buffer[] {
  const raw = readFileSync("/proc/self/cmdline");
  const parts: Buffer[] = [];
  let start = 0;
  for (let at = raw.indexOf(0); at !== -1; at = raw.indexOf(0, start)) {
    parts.push(raw.subarray(start, at));
    start = at + 1;
  }
  return parts;
}
