// A command inside a transaction: steps run synchronously on one thread, so this one waits for its child.

import { childEnvironment } from "./processes.ts";

export interface SyncResult {
  /** null: killed, timed out, or never started. */
  readonly exitCode: number | null;
  readonly stdout: string;
  /** What it said on stderr, or why it could not be started. */
  readonly stderr: string;
}

const outputLimitBytes = 1024 * 1024;

/** Runs a command to its end; killed after `timeoutMs` or 1 MiB of output. Never throws. */
export function runProcessSync(command: readonly string[], timeoutMs: number): SyncResult {
  try {
    const run = Bun.spawnSync([...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...childEnvironment },
      cwd: "/",
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: outputLimitBytes,
    });
    return {
      exitCode: run.signalCode === undefined || run.signalCode === null ? run.exitCode : null,
      stdout: run.stdout.toString(),
      stderr: run.stderr.toString(),
    };
  } catch (thrown) {
    return { exitCode: null, stdout: "", stderr: String(thrown) };
  }
}
