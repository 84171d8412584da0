// The child that checks model directories for the monitor: a dead mount hangs this process, not the agent.
// Started as `citadel-agent __child monitor-models DIRECTORY…`; prints a JSON line for each, in order.

import { absolutePath } from "../core/index.ts";
import { verifyModelQuick } from "../models/verify-quick.ts";
import { writeOut } from "../system/write-out.ts";

/** @returns 0: a directory that cannot be checked is an answer */
export function run(directories: readonly string[]): Promise<number> {
  for (const directory of directories) {
    const report = verifyModelQuick(directory, absolutePath(directory), undefined);
    writeOut(`${JSON.stringify(report)}\n`);
  }
  return Promise.resolve(0);
}
