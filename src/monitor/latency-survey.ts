// Asks the latency child about a storage root, with a deadline; at most one stuck child per root is ever left.

import { runProcess, selfCommand } from "../system/index.ts";
import type { LatencyMeasures } from "../system/latency-file.ts";
import { isProcessAlive } from "../system/process-state.ts";

export type LatencyAnswer =
  | ({ readonly ok: true } & LatencyMeasures)
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Measures a root; a failure is an answer. `STORAGE_NOT_ANSWERING`: cut off, or an earlier child still hangs there. */
export type LatencySurvey = (
  root: string,
  rounds: number,
  signal: AbortSignal,
) => Promise<LatencyAnswer>;

export interface LatencySurveyOptions {
  /** Default 5 s (spec/README.md, rule 5). */
  readonly timeoutMs?: number | undefined;
  /** The command that starts the child; default: this program. */
  readonly command?: readonly string[] | undefined;
}

const notAnswering: LatencyAnswer = {
  ok: false,
  code: "STORAGE_NOT_ANSWERING",
  message: "not answering",
};

export function createLatencySurvey(options: LatencySurveyOptions = {}): LatencySurvey {
  const timeoutMs = options.timeoutMs ?? 5000;
  const command = options.command ?? [...selfCommand(), "__child", "monitor-latency"];
  const stuck = new Map<string, number>();
  return async (root, rounds, signal) => {
    const pid = stuck.get(root);
    if (pid !== undefined && isProcessAlive(pid)) return notAnswering;
    stuck.delete(root);
    const run = await runProcess([...command, root, String(rounds)], { timeoutMs, signal });
    if (run.leftBehind) stuck.set(root, run.pid);
    if (run.timedOut) return notAnswering;
    return parseAnswer(run.stdout) ?? childFailed(run.exitCode ?? run.signal, run.stderr);
  };
}

function parseAnswer(stdout: string): LatencyAnswer | undefined {
  try {
    const answer = JSON.parse(stdout) as Partial<LatencyAnswer> | null;
    return typeof answer?.ok === "boolean" ? (answer as LatencyAnswer) : undefined;
  } catch {
    return undefined; // cut off: the child was killed
  }
}

function childFailed(ended: number | string | null, stderr: string): LatencyAnswer {
  const said = stderr.trim().split("\n")[0]?.slice(0, 200) ?? "";
  return {
    ok: false,
    code: "PROBE_FAILED",
    message: `the child ended early (${ended ?? "?"})${said === "" ? "" : `: ${said}`}`,
  };
}
