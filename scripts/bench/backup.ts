// Backups side by side with rsync, cp, restic and borg: same data, same disk, alternating, the binary as built.
// Usage: bun scripts/bench/backup.ts [--rounds N] [--big-mib N] [--small N] [--many N] [--dir DIR] [--cold] [--only full,unchanged,block]
//
// Needs root only for --cold (drops the page cache before every step). Prints seconds, peak RSS and ratios.

import {
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
  closeSync,
} from "node:fs";
import { parseArgs } from "node:util";
import { tmpdir } from "node:os";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    "big-mib": { type: "string", default: "1024" },
    small: { type: "string", default: "5000" },
    many: { type: "string", default: "100000" },
    dir: { type: "string", default: `${tmpdir()}/citadel-bench-backup` },
    agent: { type: "string", default: `${import.meta.dir}/../../dist/citadel-agent` },
    cold: { type: "boolean", default: false },
    only: { type: "string", default: "full,unchanged,block" },
  },
});
const rounds = Number(flags.rounds);
const base = flags.dir;
const root = `${base}/root`;
const active = `${root}/mnt/citadel-models/active`;
const repository = `${root}/mnt/citadel-backup`;

interface Measured {
  readonly seconds: number;
  /** Of all processes together: what is left to compare by where the disk is shared. */
  readonly cpuSeconds: number;
  readonly rssMib: number;
}

const results = new Map<string, Map<string, Measured[]>>();

async function run(command: string, environment: Record<string, string> = {}): Promise<Measured> {
  const started = performance.now();
  const child = Bun.spawn(["/bin/bash", "-c", `set -e; ${command}`], {
    stdout: "ignore",
    stderr: "pipe",
    env: { ...process.env, ...environment },
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${command}: ${errors}`);
  const seconds = (performance.now() - started) / 1000;
  const usage = child.resourceUsage();
  const cpuSeconds = Number(usage?.cpuTime.total ?? 0) / 1e6;
  return { seconds, cpuSeconds, rssMib: (usage?.maxRSS ?? 0) / 1024 / 1024 };
}

async function measure(
  job: string,
  tool: string,
  command: string,
  environment?: Record<string, string>,
) {
  if (flags.cold) await run("sync; echo 3 > /proc/sys/vm/drop_caches");
  else await run("sync");
  const measured = await run(command, environment);
  const tools = results.get(job) ?? new Map<string, Measured[]>();
  results.set(job, tools);
  tools.set(tool, [...(tools.get(tool) ?? []), measured]);
  console.error(
    `${job}  ${tool}  ${measured.seconds.toFixed(2)} s  cpu ${measured.cpuSeconds.toFixed(2)} s  ${measured.rssMib.toFixed(0)} MiB`,
  );
}

function fill(path: string, sizeBytes: number): void {
  const fd = openSync(path, "w");
  const block = new Uint8Array(4 * 1024 * 1024);
  for (let at = 0; at < sizeBytes; at += block.length) {
    for (let part = 0; part < block.length; part += 65_536) {
      crypto.getRandomValues(block.subarray(part, part + 65_536));
    }
    writeSync(fd, block, 0, Math.min(block.length, sizeBytes - at));
  }
  closeSync(fd);
}

function makeSmall(directory: string, count: number, sizeOf: (at: number) => number): void {
  const noise = new Uint8Array(65_536);
  crypto.getRandomValues(noise);
  for (let at = 0; at < count; at += 1) {
    const folder = `${directory}/d${Math.floor(at / 500)}`;
    if (at % 500 === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/file-${at}.json`, noise.subarray(0, sizeOf(at)));
  }
}

const agent = (options: string) =>
  `${flags.agent} --root ${root} -y backup create --no-verify ${options}`;
const has = (tool: string) => Bun.which(tool) !== null;
const borgEnvironment = {
  BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
  BORG_BASE_DIR: `${base}/borg-home`,
};
const resticEnvironment = { RESTIC_PASSWORD: "x", RESTIC_CACHE_DIR: `${base}/restic-cache` };

function clear(...paths: string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
}

function newestSnapshot(): string {
  const ids = readdirSync(`${repository}/models`).filter((name) => /^\d{8}T/.test(name));
  return `${repository}/models/${ids.sort().at(-1)}`;
}

async function fullBackups(): Promise<void> {
  const copy = `${base}/copy`;
  const sums = `cd ${active} && find . -type f -print0 | xargs -0 sha256sum > ${base}/sums`;
  for (let round = 0; round < rounds; round += 1) {
    clear(`${repository}/models`);
    await measure("full", "citadel-agent (with checksums)", agent("--type full --plain"));
    clear(copy);
    await measure("full", "rsync -a; sync", `rsync -a ${active}/ ${copy}/; sync -f ${copy}`);
    clear(copy);
    await measure(
      "full",
      "rsync -a; sync; sha256sum",
      `rsync -a ${active}/ ${copy}/; sync -f ${copy}; ${sums}`,
    );
    clear(copy);
    await measure("full", "cp -a; sync", `cp -a ${active}/. ${copy}/; sync -f ${copy}`);
    clear(copy);
    if (has("restic")) {
      clear(`${base}/restic`);
      await run(`restic -q init -r ${base}/restic`, resticEnvironment);
      const backup = `restic -q backup --compression off -r ${base}/restic ${active}`;
      await measure("full", "restic", `${backup}; sync -f ${base}`, resticEnvironment);
      clear(`${base}/restic`);
    }
    if (has("borg")) {
      clear(`${base}/borg`);
      await run(`borg init -e none ${base}/borg`, borgEnvironment);
      const backup = `borg create --compression none ${base}/borg::one ${active}`;
      await measure("full", "borg", `${backup}; sync -f ${base}`, borgEnvironment);
      clear(`${base}/borg`);
    }
  }
}

async function unchangedBackups(): Promise<void> {
  const [first, second, copy] = [`${base}/rsync-1`, `${base}/rsync-2`, `${base}/copy`];
  clear(first, `${repository}/models`);
  await run(`rsync -a ${active}/ ${first}/; sync -f ${base}`);
  await run(agent("--type incremental --plain"));
  for (let round = 0; round < rounds; round += 1) {
    await measure("unchanged", "citadel-agent", agent("--type incremental --plain"));
    clear(newestSnapshot());
    await measure(
      "unchanged",
      "rsync --link-dest",
      `rsync -a --link-dest=${first} ${active}/ ${second}/; sync -f ${base}`,
    );
    clear(second);
    await measure("unchanged", "cp -al", `cp -al ${first} ${copy}; sync -f ${base}`);
    clear(copy);
  }
  clear(first);
}

async function blockBackups(): Promise<void> {
  clear(`${base}/borg`, `${repository}/models`);
  await run(agent("--type incremental --plain"));
  if (has("borg")) {
    await run(`borg init -e none ${base}/borg`, borgEnvironment);
    await run(`borg create --compression none ${base}/borg::first ${active}`, borgEnvironment);
  }
  for (let round = 0; round < rounds; round += 1) {
    const size = Number(flags["big-mib"]) * 1024 * 1024;
    const fd = openSync(`${active}/big-0.safetensors`, "r+");
    writeSync(
      fd,
      crypto.getRandomValues(new Uint8Array(4096)),
      0,
      4096,
      Math.floor(Math.random() * (size / 4096 - 1)) * 4096,
    );
    closeSync(fd);
    await measure("block", "citadel-agent", agent("--type incremental --plain"));
    if (!has("borg")) continue;
    const backup = `borg create --compression none ${base}/borg::r${round} ${active}`;
    await measure("block", "borg", `${backup}; sync -f ${base}`, borgEnvironment);
  }
  clear(`${base}/borg`);
}

const median = (numbers: number[]) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

function report(): void {
  for (const [job, tools] of results) {
    const [ours, ...others] = [...tools];
    if (ours === undefined) continue;
    const [name, measured] = ours;
    const line = (tool: string, all: Measured[]) =>
      `  ${tool.padEnd(32)} ${median(all.map((m) => m.seconds))
        .toFixed(2)
        .padStart(7)} s  cpu ${median(all.map((m) => m.cpuSeconds))
        .toFixed(2)
        .padStart(6)} s  ${Math.max(...all.map((m) => m.rssMib))
        .toFixed(0)
        .padStart(5)} MiB`;
    console.log(`${job} (median of ${measured.length}${flags.cold ? ", cold" : ", warm"})`);
    console.log(line(name, measured));
    for (const [tool, all] of others) {
      const ratios = measured.map((m, at) => m.seconds / (all[at]?.seconds ?? NaN));
      console.log(
        `${line(tool, all)}  ours/theirs ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`,
      );
    }
  }
}

const only = new Set(flags.only.split(","));
clear(base);
mkdirSync(active, { recursive: true });
mkdirSync(repository, { recursive: true });
try {
  if (only.has("full") || only.has("block")) {
    for (const at of [0, 1])
      fill(`${active}/big-${at}.safetensors`, Number(flags["big-mib"]) * 1024 * 1024);
    makeSmall(`${active}/small`, Number(flags.small), (at) => 500 + ((at * 7919) % 40_000));
    if (only.has("full")) await fullBackups();
    if (only.has("block")) await blockBackups();
  }
  if (only.has("unchanged")) {
    clear(active, `${repository}/models`);
    makeSmall(active, Number(flags.many), (at) => 100 + (at % 900));
    await unchangedBackups();
  }
  report();
} finally {
  clear(base);
}
