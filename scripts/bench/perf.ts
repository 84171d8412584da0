// Compares `citadel-agent perf` with fio on the same file system: ratios ours / fio, runs alternating.
// Usage: bun scripts/bench/perf.ts [DIRECTORY] [ROUNDS]   needs fio (Debian package) and dist/citadel-agent

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const directory = process.argv[2] ?? tmpdir();
const rounds = Number(process.argv[3] ?? 3);
const binary = new URL("../../dist/citadel-agent", import.meta.url).pathname;
const sizeMib = 256;

interface Figures {
  readonly bytesPerS: number;
  readonly iops: number;
  readonly p50Ms: number;
}
type Run = Record<string, Figures>;

interface Workload {
  readonly name: string;
  readonly fio: readonly string[];
}
const workloads: readonly Workload[] = [
  { name: "sequential_write", fio: ["--rw=write", "--bs=4m", "--iodepth=4", "--end_fsync=1"] },
  {
    name: "sequential_read",
    fio: ["--rw=read", "--bs=4m", "--iodepth=4", "--time_based", "--runtime=2"],
  },
  {
    name: "random_read",
    fio: ["--rw=randread", "--bs=4k", "--iodepth=8", "--time_based", "--runtime=2"],
  },
  {
    name: "random_write",
    fio: ["--rw=randwrite", "--bs=4k", "--iodepth=8", "--time_based", "--runtime=2"],
  },
  {
    name: "fsync",
    fio: ["--rw=write", "--bs=4k", "--iodepth=1", "--fdatasync=1", "--time_based", "--runtime=2"],
  },
];

function runOurs(at: string): Run {
  const run = Bun.spawnSync([binary, "perf", at, "--size", `${sizeMib}MB`, "--json"]);
  const { workloads: found } = JSON.parse(run.stdout.toString()) as {
    workloads: { name: string; bytes_per_s: number; iops: number; latency: { p50_s: number } }[];
  };
  return Object.fromEntries(
    found.map((each) => [
      each.name,
      { bytesPerS: each.bytes_per_s, iops: each.iops, p50Ms: each.latency.p50_s * 1000 },
    ]),
  );
}

interface FioSide {
  readonly bw_bytes: number;
  readonly iops: number;
  readonly clat_ns?: { readonly percentile?: Record<string, number> };
}

function runFio(at: string): Run {
  const results: Run = {};
  for (const { name, fio } of workloads) {
    const run = Bun.spawnSync([
      "fio",
      `--name=${name}`,
      `--filename=${at}/fio.data`,
      `--size=${sizeMib}m`,
      "--direct=1",
      "--overwrite=1",
      "--ioengine=libaio",
      "--refill_buffers",
      "--output-format=json",
      ...fio,
    ]);
    const text = run.stdout.toString();
    const { jobs } = JSON.parse(text.slice(text.indexOf("{"))) as {
      jobs: { read: FioSide; write: FioSide }[];
    };
    const job = jobs[0];
    if (job === undefined) throw new Error(`fio said nothing: ${run.stderr}`);
    const side = name.endsWith("read") ? job.read : job.write;
    const p50Ns = side.clat_ns?.percentile?.["50.000000"] ?? Number.NaN;
    results[name] = { bytesPerS: side.bw_bytes, iops: side.iops, p50Ms: p50Ns / 1e6 };
  }
  return results;
}

const work = mkdtempSync(`${directory}/citadel-perf-bench-`);
const ours: Run[] = [];
const theirs: Run[] = [];
try {
  for (let round = 0; round < rounds; round += 1) {
    ours.push(runOurs(work));
    theirs.push(runFio(work));
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const of = (runs: readonly Run[], name: string, key: keyof Figures) =>
  median(runs.map((run) => run[name]?.[key] ?? Number.NaN));
console.log(`perf against fio on ${directory}, ${rounds} alternating rounds, medians`);
for (const { name } of workloads) {
  const key = name.startsWith("sequential") ? "bytesPerS" : "iops";
  const [a, b] = [of(ours, name, key), of(theirs, name, key)];
  const unit = key === "iops" ? "IOPS" : "MB/s";
  const shown = (value: number) => (key === "iops" ? value : value / 1e6).toFixed(0);
  const latency = `p50 ${of(ours, name, "p50Ms").toFixed(3)} / ${of(theirs, name, "p50Ms").toFixed(3)} ms`;
  console.log(
    `${name.padEnd(17)} ours ${shown(a).padStart(7)} ${unit}  fio ${shown(b).padStart(7)} ${unit}  ratio ${(a / b).toFixed(2)}  ${latency}`,
  );
}
