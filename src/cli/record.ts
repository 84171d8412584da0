// What agent.log and the journal say of a changing command: who, what, how it ended. Secrets never.

import type { AgentCommand } from "../commands/define.ts";
import { CitadelError, formatTime, maskedText, messageOf, type ExitCode } from "../core/index.ts";
import type { System } from "../system/index.ts";
import type { Places } from "./args.ts";
import { flagName } from "./globals.ts";

export interface Outcome {
  readonly words: readonly string[];
  readonly startedMs: number;
  readonly exitCode: ExitCode;
  readonly thrown: unknown;
}

const secretName = /token|secret|password|passphrase|credential|api-?key|access-?key/i;

/** The line as it goes to agent.log. */
export function formatRecord(
  command: AgentCommand,
  places: Places,
  outcome: Outcome,
  system: Pick<System, "clock" | "environment">,
): string {
  const nowMs = system.clock.nowMs();
  const { environment } = system;
  const error = outcome.thrown;
  return JSON.stringify({
    time: formatTime(nowMs),
    command: outcome.words.join(" "),
    args: maskedArgs(command, places),
    user: environment.user,
    uid: environment.uid,
    pid: environment.pid,
    duration_s: Math.max(0, nowMs - outcome.startedMs) / 1000,
    exit_code: outcome.exitCode,
    ...(error === undefined
      ? {}
      : {
          error: {
            code: error instanceof CitadelError ? error.code : "INTERNAL",
            message: messageOf(error),
          },
        }),
  });
}

/** Arguments by name, as given; those that hold secrets by declaration or by name are masked, and URL passwords. */
export function maskedArgs(command: AgentCommand, places: Places): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  for (const [name, given] of places) {
    const def = command.args[name];
    const isSecret = def?.secret === true || secretName.test(flagName(name));
    const values = given.map(({ value }) =>
      isSecret && def?.type !== "boolean"
        ? maskedText
        : value.replace(/(\w+:\/\/)[^/@\s]+@/g, `$1${maskedText}@`).slice(0, maxValueLength),
    );
    args[name] = values.length === 1 ? values[0] : values.slice(0, maxValues);
  }
  return args;
}

const loggerTimeoutMs = 2000;
/** Longer arguments are cut in the record: it says what was done, it does not repeat a list of files. */
const maxValueLength = 1000;
const maxValues = 20;
const maxRecordBytes = 64 * 1024;

/**
 * Writes the record to agent.log and to the journal: on stderr where that is the journal, else through logger(1).
 * Below `--root` the host's journal is left alone. Never throws.
 * @param toStderr writes one line, newline included
 */
export async function writeRecord(
  line: string,
  logDirectory: string | undefined,
  system: System,
  toStderr: (line: string) => void,
): Promise<void> {
  const { appendAgentLog } = await import("../system/agent-log.ts");
  if (logDirectory !== undefined) appendAgentLog(logDirectory, line);
  const { stderrIsJournal, pid } = system.environment;
  if (stderrIsJournal) return toStderr(`<5>${line}\n`); // notice, sd-daemon(3)
  if (system.hostPaths.relocated) return;
  const { lstat, runProcess } = await import("../system/index.ts");
  try {
    if (lstat("/run/systemd/journal/socket")?.type !== "socket") return;
    const about = ["-t", "citadel-agent", `--id=${pid}`, "-p", "user.notice"];
    const size = `--size=${maxRecordBytes}`; // logger(1) cuts at 1 KiB unless told otherwise
    await runProcess(["logger", ...about, size, "--", line], { timeoutMs: loggerTimeoutMs });
  } catch {
    // no logger here: agent.log has it, and failing to log never decides success
  }
}
