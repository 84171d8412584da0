// How long the program takes to start, against a bare compiled hello with the same flags.
// Usage: bun scripts/bench/start.ts [RUNS]      (default 30; needs dist/citadel-agent)
//
// The commands run in turn, so that a slow moment of the machine hits all of them; medians and ratios are printed.
// The ratio of each command is the median of the ratios of its turns.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";

const root = new URL("../..", import.meta.url).pathname;
const agent = `${root}dist/citadel-agent`;
const runs = Number(process.argv[2] ?? 30);

function buildHello(directory: string): string {
  writeFileSync(`${directory}/hello.ts`, 'console.log("hello");\n');
  const flags = [
    "--compile",
    "--format=esm",
    "--minify",
    "--bytecode",
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--compile-exec-argv=--disallow-code-generation-from-strings=strict",
  ];
  const command = [process.execPath, "build", ...flags, "hello.ts", "--outfile", "hello"];
  const build = Bun.spawnSync(command, { cwd: directory });
  if (build.exitCode !== 0) throw new Error(`cannot build hello: ${build.stderr}`);
  return `${directory}/hello`;
}

/** Milliseconds from start to end of one run. */
function time(command: readonly string[]): number {
  const started = performance.now();
  const run = Bun.spawnSync([...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    env: {},
  });
  const ms = performance.now() - started;
  if (run.signalCode !== undefined)
    throw new Error(`${command.join(" ")} ended by ${run.signalCode}`);
  return ms;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function machine(): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  return `${model}, ${availableParallelism()} cores, Bun ${Bun.version}, ${new Date().toISOString()}`;
}

if (!existsSync(agent)) throw new Error("dist/citadel-agent is missing: bun run build");
const directory = mkdtempSync(`${tmpdir()}/citadel-bench-`);
try {
  // `links verify` looks at the host below an empty --root: its start is measured, not somebody's links.
  const programs: Record<string, readonly string[]> = {
    "bare hello": [buildHello(directory)],
    "--version": [agent, "--version"],
    "--help": [agent, "--help"],
    "explain NO_SPACE": [agent, "explain", "NO_SPACE"],
    __child: [agent, "__child", "none"],
  };
  const known = Bun.spawnSync([agent, "links", "verify", "--help"], {
    stdout: "ignore",
    stderr: "ignore",
  });
  if (known.exitCode === 0)
    programs["links verify"] = [agent, "links", "verify", "--root", directory];
  const times: Record<string, number[]> = {};
  for (let turn = -2; turn < runs; turn += 1) {
    for (const [name, command] of Object.entries(programs)) {
      const ms = time(command);
      if (turn >= 0) (times[name] ??= []).push(ms); // two turns to warm the page cache
    }
  }
  console.log(`start, n=${runs} alternating; ${machine()}`);
  const base = times["bare hello"] ?? [];
  for (const [name, all] of Object.entries(times)) {
    const ratio = median(all.map((ms, at) => ms / (base[at] ?? Number.NaN)));
    const cells = [median(all).toFixed(1), Math.min(...all).toFixed(1), ratio.toFixed(2)];
    console.log(`${name.padEnd(18)} median ${cells[0]} ms  min ${cells[1]} ms  ${cells[2]}x hello`);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
