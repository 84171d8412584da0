// Campaigns of backups that are too long for the tests: kills at random moments, huge sparse files, many files. Runs
// the binary as built below a directory of its own; prints what it saw, exits 1 where a promise is broken.
// Usage: bun scripts/campaign-backup.ts [--seed N] [--dir DIR] [--agent FILE] [--minutes N]
//        [--kills N] [--sparse TIB] [--entries N] [--files N]        each part runs only where it is asked for

import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { createRandom } from "../src/core/index.ts";

const { values: flags } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    dir: { type: "string", default: tmpdir() },
    agent: { type: "string", default: `${import.meta.dir}/../dist/citadel-agent` },
    minutes: { type: "string", default: "60" },
    kills: { type: "string" },
    sparse: { type: "string" },
    entries: { type: "string" },
    files: { type: "string" },
  },
});
const random = createRandom(Number(flags.seed));
const endsAtMs = performance.now() + Number(flags.minutes) * 60_000;
const work = mkdtempSync(`${flags.dir}/citadel-campaign-backup-`);
const root = `${work}/root`;
const source = `${root}/mnt/citadel-models/active`;
const models = `${root}/mnt/citadel-backup/models`;
let broken = 0;

function start(args: readonly string[]) {
  return Bun.spawn([flags.agent, "--root", root, "-y", "backup", ...args, "--json"], {
    stdout: "pipe",
    stderr: "ignore",
  });
}

/** Runs to the end and says what it took; the peak is that of getrusage(2). */
async function run(name: string, args: readonly string[]): Promise<Record<string, unknown>> {
  const startedMs = performance.now();
  const child = start(args);
  const text = await new Response(child.stdout).text();
  const code = await child.exited;
  const usage = child.resourceUsage();
  const mib = (usage?.maxRSS ?? 0) / 1024 / 1024;
  const cpu = Number(usage?.cpuTime.total ?? 0) / 1e6;
  const seconds = (performance.now() - startedMs) / 1000;
  const isBad = code !== 0;
  if (isBad) broken += 1;
  console.log(
    `${name}: exit ${code}, ${seconds.toFixed(1)} s, cpu ${cpu.toFixed(1)} s, peak ${mib.toFixed(0)} MiB${isBad ? `  BROKEN ${text.slice(0, 500)}` : ""}`,
  );
  return text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
}

function fresh(): void {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(source, { recursive: true });
  mkdirSync(models, { recursive: true });
}

function makeFiles(count: number, perDirectory: number): void {
  for (let at = 0; at < count; at += 1) {
    const folder = `${source}/d${Math.floor(at / perDirectory)}`;
    if (at === 0 || at % perDirectory === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/file-${at}`, `${at} `.repeat(1 + (at % 97)));
  }
}

const complete = () => (existsSync(models) ? readdirSync(models) : []).filter(isCompleteName);
const isCompleteName = (name: string) => /^\d{8}T.*-[0-9a-f]{4}$/.test(name);

/** Creates, kills at a random moment, looks at what has its final name, creates again, checks that. */
async function kills(count: number): Promise<void> {
  fresh();
  makeFiles(600, 100);
  for (const at of [0, 1, 2]) {
    const block = new Uint8Array(8 * 1024 * 1024);
    for (let part = 0; part < block.length; part += 65_536)
      crypto.getRandomValues(block.subarray(part, part + 65_536));
    writeFileSync(`${source}/big-${at}`, block);
  }
  const create = ["create", "--type", "full", "--plain", "--no-verify"];
  const begun = performance.now();
  await run("kills: one undisturbed create", create);
  const wholeMs = performance.now() - begun;
  const seen = { kills: 0, finished: 0, resumed: 0, verified: 0, broken: 0 };
  for (; seen.kills + seen.finished < count && performance.now() < endsAtMs;) {
    for (const name of readdirSync(models)) rmSync(`${models}/${name}`, { recursive: true });
    const child = start(create);
    await Bun.sleep(random() * wholeMs);
    child.kill("SIGKILL");
    if ((await child.exited) === 0) seen.finished += 1;
    else seen.kills += 1;
    for (const _name of complete()) await check(seen);
    const again = start(create);
    const text = await new Response(again.stdout).text();
    if ((await again.exited) !== 0) {
      seen.broken += 1;
      console.log(`  BROKEN create after a kill: ${text.slice(0, 400)}`);
      continue;
    }
    const report = JSON.parse(text) as {
      files: number;
      copied_files: number;
      resumed_files?: number;
    };
    const resumed = report.resumed_files ?? report.files - report.copied_files;
    if (resumed > 0) seen.resumed += 1;
    if (resumed + report.copied_files !== report.files) seen.broken += 1;
    await check(seen);
  }
  console.log(`kills: ${JSON.stringify(seen)}`);
  broken += seen.broken;
}

async function check(seen: { verified: number; broken: number }): Promise<void> {
  const child = start(["verify", "latest", "--mode", "full", "--cached"]);
  const text = await new Response(child.stdout).text();
  if ((await child.exited) === 0) seen.verified += 1;
  else {
    seen.broken += 1;
    console.log(`  BROKEN verify: ${text.slice(0, 400)}`);
  }
}

async function sparse(tib: number): Promise<void> {
  fresh();
  const fd = openSync(`${source}/sparse.bin`, "w");
  ftruncateSync(fd, tib * 2 ** 40);
  writeSync(fd, "middle", 2 ** 39);
  closeSync(fd);
  await run(`sparse ${tib} TiB: create`, ["create", "--no-verify", "--plain"]);
}

async function many(name: string, count: number, perDirectory: number): Promise<void> {
  fresh();
  makeFiles(count, perDirectory);
  const create = ["create", "--type", "incremental", "--plain", "--no-verify"];
  await run(`${name}: first`, create);
  await Bun.sleep(1100); // so that no file is too fresh to be trusted
  await run(`${name}: unchanged`, create);
  await run(`${name}: verify`, ["verify", "latest", "--mode", "quick", "--cached"]);
}

console.log(`seed ${flags.seed}, in ${work}`);
try {
  if (flags.kills !== undefined) await kills(Number(flags.kills));
  if (flags.files !== undefined) await many(`${flags.files} files`, Number(flags.files), 400);
  if (flags.entries !== undefined)
    await many(`${flags.entries} entries in one directory`, Number(flags.entries), Infinity);
  if (flags.sparse !== undefined) await sparse(Number(flags.sparse));
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exit(broken === 0 ? 0 : 1);
