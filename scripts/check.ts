// Types, format, lint and the project's own source rules, as a contributor needs them before a change is sent.
// Usage: bun scripts/check.ts   (node_modules/.bin/bun on a machine without Bun)

import { readFileSync } from "node:fs";

const bun = process.execPath;
const oxlint = `${import.meta.dir}/../node_modules/.bin/oxlint`;
const root = `${import.meta.dir}/..`;

const steps: [string, string[]][] = [
  ["types", [bun, "check", "--no-script", "--no-pretty"]],
  ["format", [bun, "fmt", "--no-script", "--check", "src", "scripts", "test"]],
  ["lint", [oxlint, "--deny-warnings", "src", "scripts", "test"]],
];

let failed = false;
for (const [name, command] of steps) {
  const run = Bun.spawnSync(command, { cwd: root, stdout: "pipe", stderr: "pipe" });
  console.log(`${run.exitCode === 0 ? "ok    " : "FAILED"} ${name}`);
  if (run.exitCode === 0) continue;
  failed = true;
  console.log(run.stdout.toString() + run.stderr.toString());
}

// Every effect lives in system/: a search of one folder finds every file, process, request and clock read.
// Workers and the entry point are processes' ends of their own; output/ holds the terminal.
const effects =
  /from "(?:node:fs|node:fs\/promises|node:child_process|bun:sqlite|bun:ffi)"|\bBun\.(?:spawn|spawnSync|file|write|serve|connect|listen|cron)\(|\bDate\.now\(|\bnew Date\(\)|\bprocess\.env\b|\bfetch\(|\bset(?:Timeout|Interval)\(/;
const mayHaveEffects = /^src\/(?:system\/|main\.ts$|output\/terminal)/;
/** Names of files as they are break lines and colour them: commands show them by `shownPath`. */
const rawName = /\bdisplayPath\b/;
const mayShowRaw = "src/commands/backup/shown-path.ts";
const maxLines = 500;

const files = [...new Bun.Glob("{src,scripts,test}/**/*.ts").scanSync(root)].sort();
const broken: string[] = [];
for (const file of files) {
  const lines = readFileSync(`${root}/${file}`, "utf8").split("\n");
  if (lines.length > maxLines)
    broken.push(`${file}: ${lines.length} lines, the limit is ${maxLines}`);
  for (const [at, line] of lines.entries()) {
    if (file.startsWith("src/commands/") && file !== mayShowRaw && rawName.test(line)) {
      broken.push(`${file}:${at + 1}: shows a name as it is: use shownPath`);
    }
  }
  if (!file.startsWith("src/") || mayHaveEffects.test(file)) continue;
  for (const [at, line] of lines.entries()) {
    if (!/^\s*(?:\/\/|\*)/.test(line) && effects.test(line)) {
      broken.push(`${file}:${at + 1}: an effect outside src/system: ${line.trim()}`);
    }
  }
}
console.log(`${broken.length === 0 ? "ok    " : "FAILED"} source rules (${files.length} files)`);
if (broken.length > 0) console.log(broken.join("\n"));
process.exit(failed || broken.length > 0 ? 1 : 0);
