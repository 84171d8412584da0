// The child that checks model directories for the monitor: a dead mount hangs this process, not the agent.
// Started as `citadel-agent __child monitor-models DIRECTORY… -- DOWNLOADS…`; prints a JSON line for each directory, in
// order, and one with the bytes that running downloads will still write.

import { absolutePath } from "../core/index.ts";
import { comingDownloadBytes } from "../models/downloads.ts";
import { verifyModelQuick } from "../models/verify-quick.ts";
import { systemClock } from "../system/clock.ts";
import { writeOut } from "../system/write-out.ts";

/** @returns 0: a directory that cannot be checked is an answer */
export function run(args: readonly string[]): Promise<number> {
  const cut = args.includes("--") ? args.indexOf("--") : args.length;
  for (const directory of args.slice(0, cut)) {
    const report = verifyModelQuick(directory, absolutePath(directory), undefined);
    writeOut(`${JSON.stringify(report)}\n`);
  }
  const places = args.slice(cut + 1);
  writeOut(
    `${JSON.stringify({ comingBytes: places.reduce((sum, place) => sum + coming(place), 0) })}\n`,
  );
  return Promise.resolve(0);
}

function coming(place: string): number {
  try {
    return comingDownloadBytes(place, systemClock.nowMs());
  } catch {
    return 0; // there is no such directory, or it goes away as we look: nothing is known to come
  }
}
