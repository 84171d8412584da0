// The exit codes of `spec/cli.md` in one table: what a script that calls us may rely on.

import { CitadelError, type ErrorKind } from "./errors.ts";

export const ExitCode = {
  success: 0,
  failed: 1,
  usage: 2,
  findings: 3,
  partial: 4,
  locked: 5,
  decision: 6,
  hostCannot: 7,
  temporary: 75,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const exitCodeOfKind: Record<ErrorKind, ExitCode> = {
  usage: ExitCode.usage,
  settings: ExitCode.usage,
  conflict: ExitCode.decision,
  locked: ExitCode.locked,
  integrity: ExitCode.findings,
  cancelled: ExitCode.interrupted,
  unavailable: ExitCode.temporary,
  "rate-limited": ExitCode.temporary,
  "no-space": ExitCode.hostCannot,
  "read-only": ExitCode.hostCannot,
  "not-mounted": ExitCode.hostCannot,
  "not-found": ExitCode.failed,
  permission: ExitCode.failed,
  io: ExitCode.failed,
  timeout: ExitCode.failed,
  unsupported: ExitCode.failed,
  internal: ExitCode.failed,
};

/** Maps a thrown value to the process's exit code; what is not a CitadelError is a bug: 1. */
export function exitCodeOf(thrown: unknown): ExitCode {
  if (!(thrown instanceof CitadelError)) return ExitCode.failed;
  if (thrown.code === "TERMINATED") return ExitCode.terminated;
  return exitCodeOfKind[thrown.kind];
}
