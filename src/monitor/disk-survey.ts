// Asks the child about storage roots, with a deadline. One child answers all; one that hangs names the root that
// does not answer, and the others are asked again without it. At most one stuck child per mount is ever left.

import { runProcess, selfCommand, type FileSystemUsage, type RunResult } from "../system/index.ts";
import { isProcessAlive } from "../system/process-state.ts";
import type { LatencyMeasures } from "../system/latency-file.ts";

export type DiskRequest =
  | { readonly kind: "statfs"; readonly path: string }
  | { readonly kind: "latency"; readonly path: string; readonly rounds: number };

export type DiskAnswer =
  | {
      readonly ok: true;
      readonly usage?: FileSystemUsage | undefined;
      readonly latency?: LatencyMeasures | undefined;
    }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** `NOT_ANSWERING`: the call did not return within the deadline, or an earlier one still hangs. */
export const notAnswering: DiskAnswer = {
  ok: false,
  code: "NOT_ANSWERING",
  message: "not answering",
};

export interface DiskSurvey {
  /** Answers in the order of `requests`; a failure is an answer. */
  ask(requests: readonly DiskRequest[], signal: AbortSignal): Promise<DiskAnswer[]>;
}

export interface DiskSurveyOptions {
  /** Per child; a dead mount costs this once. Default 5 s (spec/README.md, rule 5). */
  readonly timeoutMs?: number | undefined;
  /** The command that starts the child; default: this program. */
  readonly command?: readonly string[] | undefined;
  /** Which mount a path lies on: requests to a stuck mount are not sent. Default: the path itself. */
  readonly mountOf?: ((path: string) => string) | undefined;
}

const maxRequests = 64;

export function createDiskSurvey(options: DiskSurveyOptions = {}): DiskSurvey {
  const { timeoutMs = 5000, mountOf = (path: string) => path } = options;
  const command = options.command ?? [...selfCommand(), "__child", "monitor-disk"];
  /** Mount to the child that hangs on it. */
  const stuck = new Map<string, number>();
  const isStuck = (mount: string) => {
    const pid = stuck.get(mount);
    if (pid === undefined) return false;
    if (pid !== 0 && isProcessAlive(pid)) return true;
    stuck.delete(mount);
    return false;
  };
  return {
    async ask(requests, signal) {
      const answers: DiskAnswer[] = requests.map(() => notAnswering);
      let open = requests
        .map((request, at) => ({ request, at, mount: mountOf(request.path) }))
        .slice(0, maxRequests)
        .filter(({ mount }) => !isStuck(mount));
      while (open.length > 0 && !signal.aborted) {
        const run = await runProcess(
          [...command, ...open.map(({ request }) => JSON.stringify(request))],
          { timeoutMs, signal },
        );
        const lines = parseAnswers(run.stdout);
        for (const [index, line] of lines.entries()) {
          const asked = open[index];
          if (asked !== undefined) answers[asked.at] = line;
        }
        if (lines.length >= open.length) break;
        const hanging = open[lines.length];
        if (hanging === undefined) break;
        if (!run.timedOut) answers[hanging.at] = childFailure(run);
        if (run.leftBehind) stuck.set(hanging.mount, run.pid);
        open = open
          .slice(lines.length + 1)
          .filter(({ mount }) => mount !== hanging.mount || !run.timedOut);
      }
      return answers;
    },
  };
}

/** Whole lines only: the last may be cut off where the child was killed. */
export function parseAnswers(stdout: string): DiskAnswer[] {
  const answers: DiskAnswer[] = [];
  for (const line of stdout.split("\n").slice(0, -1)) {
    try {
      answers.push(JSON.parse(line) as DiskAnswer);
    } catch {
      break; // not ours: what follows cannot be matched to its request
    }
  }
  return answers;
}

function childFailure(run: RunResult): DiskAnswer {
  const said = run.stderr.trim().split("\n")[0] ?? "";
  return {
    ok: false,
    code: "CHILD_FAILED",
    message: `the child ended early (${run.exitCode ?? run.signal ?? "?"})${said === "" ? "" : `: ${said}`}`,
  };
}
