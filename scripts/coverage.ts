// Line coverage of the whole test suite: the test process's own lcov file, and what the program reported that tests ran
// as processes of their own (test/support/child-coverage.ts). A line counts as run when any of them ran it.
// Usage: bun scripts/coverage.ts LCOV_FILE DIRECTORY     prints the files below 90 %, the lowest first, and the total

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const [lcovFile = "coverage/lcov.info", directory] = process.argv.slice(2);
const lowRatio = 0.9;
const mostListed = 40;

interface FileCoverage {
  /** Lines that can run, as far as they are known. */
  total: number;
  /** Lines that nobody ran. */
  missed: ReadonlySet<number>;
}

const files = new Map<string, FileCoverage>();

function add(path: string, total: number, missed: ReadonlySet<number>): void {
  const known = files.get(path);
  const total_ = Math.max(total, known?.total ?? 0);
  files.set(path, { total: total_, missed: known?.missed.intersection(missed) ?? missed });
}

/** lcov(1), geninfo: `SF:` file, `DA:` line and count. */
function addLcov(text: string): void {
  for (const record of text.split("end_of_record")) {
    const path = /^SF:(.*)$/m.exec(record)?.[1];
    if (path === undefined || !path.startsWith("src/")) continue;
    const lines = [...record.matchAll(/^DA:(\d+),(\d+)/gm)];
    const missed = lines.filter(([, , count]) => count === "0").map(([, line]) => Number(line));
    add(path, lines.length, new Set(missed));
  }
}

/** Rows of Bun's table: `FILE | functions % | lines % | lines that were not run`. */
function addRows(text: string): void {
  for (const row of text.split("\n")) {
    const [file, , percent, uncovered] = row.split("|").map((cell) => cell.trim());
    if (file === undefined || percent === undefined) continue;
    const missed = new Set<number>();
    for (const range of (uncovered ?? "").split(",").filter(Boolean)) {
      const [first = 0, last = first] = range.split("-").map(Number);
      for (let line = first; line <= last; line += 1) missed.add(line);
    }
    const ratio = Number(percent) / 100;
    const total = ratio === 1 ? 0 : Math.round(missed.size / (1 - ratio));
    add(relative(root, file), total, missed);
  }
}

// there is none where no test imports a source
if (existsSync(lcovFile)) addLcov(readFileSync(lcovFile, "utf8"));
const reports = directory === undefined ? [] : readdirSync(directory);
for (const name of reports) addRows(readFileSync(`${directory}/${name}`, "utf8"));

let total = 0;
let missed = 0;
const low: [number, string][] = [];
for (const [path, file] of files) {
  total += file.total;
  missed += file.missed.size;
  const ratio = file.total === 0 ? 1 : 1 - file.missed.size / file.total;
  if (ratio < lowRatio) low.push([ratio, `${path}: ${[...file.missed].join(" ")}`]);
}
for (const [ratio, text] of low.toSorted(([a], [b]) => a - b).slice(0, mostListed)) {
  console.log(`${(ratio * 100).toFixed(0).padStart(4)} %  ${text.slice(0, 160)}`);
}
const percent = total === 0 ? 0 : (1 - missed / total) * 100;
console.log(
  `line coverage: ${percent.toFixed(2)} % of ${total} lines, ${reports.length} children counted`,
);
