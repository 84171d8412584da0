// Preloaded into the program where a test runs it as a process of its own: writes at its end which lines ran, so that
// they count (scripts/coverage.ts). JavaScriptCore's control flow profiler counts; run-cli.ts turns it on.

import * as jsc from "bun:jsc";
import { writeFileSync } from "node:fs";

/** Not in bun-types: the row of `bun test --coverage` for one file; throws where the file was not loaded. */
const { codeCoverageForFile } = jsc as unknown as { codeCoverageForFile: (file: string) => string };

const root = new URL("../..", import.meta.url).pathname;
const directory = process.env["CHILD_COVERAGE_DIR"];

/** One row of Bun's table for each file that this process loaded. */
function rows(): string {
  const found: string[] = [];
  for (const file of new Bun.Glob("src/**/*.ts").scanSync(root)) {
    try {
      found.push(codeCoverageForFile(`${root}${file}`).trim());
    } catch {
      // not loaded here
    }
  }
  return found.join("\n");
}

if (directory !== undefined) {
  process.on("exit", () => {
    try {
      writeFileSync(`${directory}/${crypto.randomUUID()}.rows`, rows());
    } catch {
      // a child without a right to write there, or a full disk: it is not counted
    }
  });
}
