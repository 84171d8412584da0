// The child that times writes and reads on a storage root: a dead mount hangs this process, not the agent.
// Started as `citadel-agent __child monitor-latency ROOT ROUNDS` (src/internal.ts); prints one JSON line.

import { CitadelError } from "../core/errors.ts";
import { measureLatency } from "../system/latency-file.ts";
import { writeOut } from "../system/write-out.ts";
import type { LatencyAnswer } from "./latency-survey.ts";

/** @returns the exit code, always 0: a failure is an answer */
export function run([root = "/", rounds = "1"]: readonly string[]): Promise<number> {
  writeOut(`${JSON.stringify(answer(root, Number(rounds)))}\n`);
  return Promise.resolve(0);
}

function answer(root: string, rounds: number): LatencyAnswer {
  try {
    return { ok: true, ...measureLatency(root, rounds) };
  } catch (thrown) {
    const code = thrown instanceof CitadelError ? thrown.code : "PROBE_FAILED";
    return { ok: false, code, message: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}
