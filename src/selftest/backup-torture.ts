// The promise of backups: whenever the agent dies, what is called a snapshot verifies, the next run finishes the job,
// and a single flipped bit is found.

import { listDirectory } from "../system/index.ts";
import { flipBit, writeRandomFile } from "../system/torture-files.ts";
import { createBench, type Bench, type PromiseReport, type TortureOptions } from "./torture.ts";

const fileCount = 24;
const fileBytes = 1_500_000;

/** Makes snapshots of a small tree, killing the agent at a random moment of each. */
export async function tortureBackup(options: TortureOptions): Promise<PromiseReport> {
  const bench = createBench("backup", options);
  const source = `${bench.scratch}/mnt/citadel-models/active`;
  const violations: string[] = [];
  const set = await bench.run(["setup", "--yes"]);
  if (set.exitCode !== 0) return failed(`setup ended with ${set.exitCode}: ${set.stderr}`);
  for (let at = 0; at < fileCount; at += 1) {
    writeRandomFile(`${source}/file-${at}`, fileBytes, bench.random);
  }
  let killed = 0;
  let typicalMs = 2000;
  for (let round = 1; round <= bench.rounds && !bench.signal.aborted; round += 1) {
    bench.onRound(round);
    writeRandomFile(`${source}/file-${round % fileCount}`, fileBytes, bench.random);
    const type = bench.random() < 0.5 ? "full" : "incremental";
    const killAfterMs = bench.random() * typicalMs * 1.2;
    const doomed = await bench.run(["backup", "create", "--type", type], { killAfterMs });
    if (doomed.killed) killed += 1;
    else typicalMs = (typicalMs + doomed.durationMs) / 2;
    violations.push(...(await verifyAll(bench, round)));
  }
  violations.push(...(await finishAndFlip(bench)));
  return { promise: "backup", rounds: bench.rounds, killed, reads: 0, violations };
}

async function verifyAll(bench: Bench, round: number): Promise<string[]> {
  if (snapshotsOf(bench).length === 0) return [];
  const check = await bench.run(["backup", "verify", "--all", "--mode", "full"]);
  if (check.exitCode === 0) return [];
  return [`round ${round}: a snapshot that is called complete does not verify: ${check.stdout}`];
}

async function finishAndFlip(bench: Bench): Promise<string[]> {
  const last = await bench.run(["backup", "create", "--type", "full", "--plain"]);
  if (last.exitCode !== 0) return [`the last backup ended with ${last.exitCode}: ${last.stderr}`];
  const newest = snapshotsOf(bench).at(-1);
  if (newest === undefined) return ["the last backup left no snapshot"];
  const victim = `${repository(bench)}/${newest}/data/file-0`;
  flipBit(victim, Math.floor(bench.random() * fileBytes * 8));
  const check = await bench.run(["backup", "verify", newest]);
  return check.exitCode === 3 ? [] : [`a flipped bit was not found: exit ${check.exitCode}`];
}

const repository = (bench: Bench) => `${bench.scratch}/mnt/citadel-backup/models`;

function snapshotsOf(bench: Bench): string[] {
  const names = listDirectory(repository(bench)) ?? [];
  return names.filter((name) => /^\d{8}T[\d.]+Z-.*-[0-9a-f]{4}$/.test(name)).sort();
}

function failed(text: string): PromiseReport {
  return { promise: "backup", rounds: 0, killed: 0, reads: 0, violations: [text] };
}
