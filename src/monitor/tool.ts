// Outside programs of the probes (smartctl, nvidia-smi): a deadline, and never a second call while an earlier one
// hangs in the kernel.

import { CitadelError, messageOf } from "../core/index.ts";
import { childEnvironment, runProcess } from "../system/index.ts";
import { isProcessAlive } from "../system/process-state.ts";

export type ToolRun =
  | {
      readonly state: "ran";
      readonly exitCode: number | null;
      readonly stdout: string;
      readonly stderr: string;
    }
  | { readonly state: "missing" | "failed"; readonly reason: string };

export interface ToolRunner {
  /** Runs `command`; the outcome is a value, whatever happens. */
  run(command: readonly string[], signal: AbortSignal): Promise<ToolRun>;
}

export interface ToolRunnerOptions {
  readonly timeoutMs: number;
  /** Replaces the PATH of the child: tests point it at executables of their own. */
  readonly path?: string | undefined;
}

/**
 * Creates a runner with a memory of hanging children, by what they were asked (`key` is the last argument for
 * smartctl's disks, else the program).
 */
export function createToolRunner(options: ToolRunnerOptions): ToolRunner {
  const stuck = new Map<string, number>();
  return {
    async run(command, signal) {
      const key = keyOf(command);
      const pid = stuck.get(key);
      if (pid !== undefined && isProcessAlive(pid))
        return {
          state: "failed",
          reason: `${command[0]} still hangs since an earlier call (pid ${pid})`,
        };
      stuck.delete(key);
      try {
        const run = await runProcess(resolveProgram(command, options.path), {
          timeoutMs: options.timeoutMs,
          signal,
          outputLimitBytes: 8 * 1024 * 1024,
          ...(options.path === undefined ? {} : { environment: { PATH: options.path } }),
        });
        if (run.leftBehind) stuck.set(key, run.pid);
        if (run.timedOut)
          return {
            state: "failed",
            reason: `${command[0]} did not return within ${options.timeoutMs / 1000} s`,
          };
        if (signal.aborted) return { state: "failed", reason: `${command[0]} was cut off` };
        return { state: "ran", exitCode: run.exitCode, stdout: run.stdout, stderr: run.stderr };
      } catch (thrown) {
        const missing = thrown instanceof CitadelError && thrown.code === "TOOL_MISSING";
        return missing
          ? { state: "missing", reason: `${command[0]} is not installed` }
          : { state: "failed", reason: `${command[0]}: ${messageOf(thrown)}` };
      }
    },
  };
}

function keyOf(command: readonly string[]): string {
  return `${command[0]} ${command.at(-1)?.startsWith("/dev/") === true ? command.at(-1) : ""}`;
}

function resolveProgram(command: readonly string[], path: string | undefined): string[] {
  const [program = "", ...rest] = command;
  if (program.includes("/")) return [...command];
  // By a fixed PATH: what our own environment names must not decide what root runs.
  const searchPath = path ?? childEnvironment["PATH"] ?? "";
  return [Bun.which(program, { PATH: searchPath }) ?? program, ...rest];
}
