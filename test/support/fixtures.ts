// Recorded third-party data beside the checkout (`../shared/fixtures`). It may not be committed: a test that needs it
// skips itself and says so where it is not there.

import { existsSync, readdirSync, readFileSync } from "node:fs";

const candidates = [
  new URL("../../../shared/fixtures", import.meta.url).pathname,
  "/work/shared/fixtures",
];

/** The folder of recorded data; undefined where this machine has none. */
export const fixturesRoot = candidates.find((path) => existsSync(path));
if (fixturesRoot === undefined) {
  console.log("skipped: no ../shared/fixtures beside this checkout (recorded data of machines)");
}

/** The text of a recorded file. */
export function readFixture(path: string): string {
  return readFileSync(`${fixturesRoot}/${path}`, "utf8");
}

/** Names in a recorded folder that end in `suffix`, sorted. */
export function listFixtures(folder: string, suffix = ""): string[] {
  if (fixturesRoot === undefined) return [];
  return readdirSync(`${fixturesRoot}/${folder}`)
    .filter((name) => name.endsWith(suffix))
    .sort();
}
