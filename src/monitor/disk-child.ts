// The child that touches storage roots for the monitor: statfs and the latency measurement. A dead mount hangs this
// process, not the agent. One JSON request per argument, one JSON line per answer, in order.
// Started as `citadel-agent __child monitor-disk REQUEST…` (src/internal.ts).

import { fileSystemUsage } from "../system/files.ts";
import { isErrno } from "../system/errno.ts";
import { measureLatency } from "../system/latency-file.ts";
import { writeOut } from "../system/write-out.ts";
import { CitadelError } from "../core/errors.ts";
import type { DiskAnswer, DiskRequest } from "./disk-survey.ts";

/** Answers each request. @returns the exit code, always 0: failures are answers */
export function run(args: readonly string[]): Promise<number> {
  for (const argument of args) writeOut(`${JSON.stringify(answer(JSON.parse(argument)))}\n`);
  return Promise.resolve(0);
}

function answer(request: DiskRequest): DiskAnswer {
  try {
    if (request.kind === "statfs") return { ok: true, usage: fileSystemUsage(request.path) };
    return { ok: true, latency: measureLatency(request.path, request.rounds) };
  } catch (thrown) {
    const errno = thrown instanceof CitadelError ? thrown.errno : undefined;
    const code = isErrno(thrown) ? thrown.code : errno;
    return {
      ok: false,
      code: code ?? "UNKNOWN",
      message: thrown instanceof Error ? thrown.message : String(thrown),
    };
  }
}
