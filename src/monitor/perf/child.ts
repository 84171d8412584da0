// The child that measures: a disk that hangs holds this process, not the command, and when it is killed its file
// without a name is gone. Started as `citadel-agent __child perf DIRECTORY SIZE SECONDS` (src/internal.ts); prints a
// JSON line for each workload.

import { CitadelError } from "../../core/errors.ts";
import { measureStorage, type PerfResult } from "../../system/perf-file.ts";
import { writeOut } from "../../system/write-out.ts";
import { planPerf } from "./plan.ts";
import { summarize } from "./summary.ts";

/** @returns 0; a failure is a line of its own */
export async function run([directory = "/", size = "0", seconds = "1"]: readonly string[]) {
  const say = (line: unknown) => writeOut(`${JSON.stringify(line)}\n`);
  const sizeBytes = Number(size);
  try {
    const done = await measureStorage(
      directory,
      sizeBytes,
      planPerf(sizeBytes, Number(seconds)),
      (result: PerfResult) => say({ result: summarize(result) }),
    );
    say({ done: { direct: done.direct } });
  } catch (thrown) {
    const error = thrown instanceof CitadelError ? thrown : undefined;
    say({
      error: {
        kind: error?.kind ?? "io",
        code: error?.code ?? "PERF_FAILED",
        message: thrown instanceof Error ? thrown.message : String(thrown),
        hint: error?.hint,
      },
    });
  }
  return 0;
}
