// Benchmark: 10,000 links made, verified and repaired by the compiled program, beside a bare loop of symlink and
// rename, `ln -sfn` and GNU stow. Prints ratios; the bars are those of docs/guides/layout.md.
// Usage: bun scripts/bench/links.ts [--rounds N] [--links N]     (build first: bun run build)
//
// Two figures for each: processor time (user + system, all threads; the least of the rounds, which a busy machine
// disturbs little) and wall time (median). TMPDIR chooses the file system. The peers keep no journal and flush
// nothing; the agent's figures are those of the whole process, from the start through the settings (a file of
// 10,000 links) to the report.

import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, readdirSync } from "node:fs";
import { renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { cpus, hostname, release, tmpdir } from "node:os";

const root = new URL("../..", import.meta.url).pathname;
const binary = `${root}dist/citadel-agent`;

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? fallback : Number(process.argv[at + 1]);
}

const count = option("links", 10_000);
const rounds = option("rounds", 5);
const directories = 100;
const broken = Math.ceil(count / 100);
const lnCount = Math.min(count, 1000); // a process for each link: scaled up afterwards

const work = mkdtempSync(`${tmpdir()}/citadel-bench-links-`);
const host = `${work}/host`;
const config = `${work}/agent.yml`;
const links = `${host}/opt/citadel/model-links`;
const environment = { PATH: process.env["PATH"] ?? "", HOME: work, LC_ALL: "C.UTF-8" };

interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

function run(words: string[], allowed: readonly number[] = [0]): Cost {
  const startedMs = performance.now();
  const child = Bun.spawnSync(words, { env: environment, stdout: "pipe", stderr: "pipe" });
  const wallMs = performance.now() - startedMs;
  if (!allowed.includes(child.exitCode)) {
    throw new Error(`${words.join(" ")} ended with ${child.exitCode}: ${child.stderr}`);
  }
  return { wallMs, cpuMs: Number(child.resourceUsage?.cpuTime.total ?? 0) / 1000 };
}

const agent = (...words: string[]) => [
  binary,
  "--root",
  host,
  "--config",
  config,
  "--json",
  ...words,
];

function prepare(): void {
  mkdirSync(host, { recursive: true });
  const keys = Array.from({ length: directories }, (_, at) => `model-${at}`);
  const aliases = Array.from({ length: count }, (_, at) => `link-${at}`);
  const settings = {
    models: {
      model_directories: Object.fromEntries(keys.map((key) => [key, key])),
      convenience_links: Object.fromEntries(
        aliases.map((a, at) => [a, `model-${at % directories}`]),
      ),
    },
  };
  writeFileSync(config, JSON.stringify(settings)); // JSON is YAML
  run(agent("dirs", "create"));
  mkdirSync(`${work}/stow/package`, { recursive: true });
  for (const alias of aliases) writeFileSync(`${work}/stow/package/${alias}`, "");
}

/** The floor: finished temporary links renamed into place, one flush of the directory. */
function bareLoop(): Cost {
  const folder = `${work}/bare`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const startedMs = performance.now();
  const before = process.cpuUsage();
  for (let at = 0; at < count; at += 1) {
    const temporary = `${folder}/.tmp-${at}`;
    symlinkSync(`${host}/mnt/citadel-models/active/model-${at % directories}`, temporary);
    renameSync(temporary, `${folder}/link-${at}`);
  }
  const fd = openSync(folder, "r");
  fsyncSync(fd);
  closeSync(fd);
  const cpu = process.cpuUsage(before);
  return { wallMs: performance.now() - startedMs, cpuMs: (cpu.user + cpu.system) / 1000 };
}

function lnLoop(): Cost {
  const folder = `${work}/ln`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const loop = `i=0; while [ $i -lt ${lnCount} ]; do ln -sfn ${host}/mnt/citadel-models/active/model-1 ${folder}/link-$i; i=$((i+1)); done`;
  const { wallMs, cpuMs } = run(["sh", "-c", loop]);
  return { wallMs: (wallMs / lnCount) * count, cpuMs: (cpuMs / lnCount) * count };
}

const stow = (...words: string[]) =>
  run(["stow", "-d", `${work}/stow`, "-t", `${work}/target`, ...words, "package"]);

function stowCreate(): Cost {
  rmSync(`${work}/target`, { recursive: true, force: true });
  mkdirSync(`${work}/target`);
  return stow("--no-folding");
}

function damage(): void {
  for (let at = 0; at < broken; at += 1) {
    const path = `${links}/link-${at * 100}`;
    unlinkSync(path);
    if (at % 2 === 0) symlinkSync("/gone", path);
  }
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const taken: Record<string, Cost[]> = {};
function take(name: string, cost: Cost): void {
  (taken[name] ??= []).push(cost);
}

const hasStow = Bun.which("stow") !== null;
try {
  prepare();
  for (let round = 0; round < rounds; round += 1) {
    for (const name of readdirSync(links)) unlinkSync(`${links}/${name}`);
    take("agent create", run(agent("links", "create")));
    take("bare loop", bareLoop());
    if (hasStow) take("stow create", stowCreate());
    take("ln loop", lnLoop());
    take("agent verify", run(agent("links", "verify")));
    if (hasStow) take("stow -n", stow("-n"));
    damage();
    take("agent repair 1 %", run(agent("links", "repair")));
    take("agent verify again", run(agent("links", "verify")));
  }
  report();
} finally {
  rmSync(work, { recursive: true, force: true });
}

function report(): void {
  const [cpu] = cpus();
  console.log(
    `${new Date().toISOString()}  ${hostname()}  ${cpu?.model} x${cpus().length}  Linux ${release()}`,
  );
  console.log(
    `${count} links in ${tmpdir()}, ${rounds} alternating rounds; ln loop: ${lnCount} links, scaled up`,
  );
  for (const [name, costs] of Object.entries(taken)) {
    const [cpu, wall] = [leastCpuMs(name), median(costs.map(({ wallMs }) => wallMs))];
    console.log(
      `  ${name.padEnd(20)} cpu ${cpu.toFixed(0).padStart(6)} ms (least)   wall ${wall.toFixed(0).padStart(6)} ms (median)`,
    );
  }
  ratios("processor time, least", leastCpuMs);
  ratios("wall time, medians", (name) => median((taken[name] ?? []).map(({ wallMs }) => wallMs)));
}

function leastCpuMs(name: string): number {
  return Math.min(...(taken[name] ?? []).map(({ cpuMs }) => cpuMs));
}

function ratios(title: string, costOf: (name: string) => number): void {
  console.log(`${title}:`);
  const bar = (name: string, slow: string, fast: string, least: number) => {
    if (taken[slow] === undefined) return console.log(`  --   ${name}: not measured here`);
    const value = costOf(slow) / costOf(fast);
    const word = value >= least ? "ok  " : "MISS";
    console.log(`  ${word} ${name}: ${value.toFixed(2)} (bar ${least})`);
  };
  bar("create, of the bare loop", "bare loop", "agent create", 0.5);
  bar("create, times stow", "stow create", "agent create", 10);
  bar("create, times the ln loop", "ln loop", "agent create", 25);
  bar("verify, times stow -n", "stow -n", "agent verify", 10);
}
