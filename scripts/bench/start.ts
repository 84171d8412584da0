// How long the program takes to start, against a bare compiled hello with the same flags.
// Usage: bun scripts/bench/start.ts [RUNS]      (default 30; needs dist/citadel-agent)
//
// The commands run in turn, so that a slow moment of the machine hits all of them; medians and ratios are printed.
// The ratio of each command is the median of the ratios of its turns. Processor time is its least of all turns.
//
// As root it measures in a mount namespace of its own with the default layout: first with the storages on the root
// file system, then as two ext4 disks (loop devices), where the links are followed by a child with a deadline.

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

interface Cost {
  readonly wallMs: number;
  /** User and system, all threads: what a busy machine disturbs little. */
  readonly cpuMs: number;
}

/** What one run costs, from start to end. */
function time(command: readonly string[]): Cost {
  const started = performance.now();
  const run = Bun.spawnSync([...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    env: {},
  });
  const wallMs = performance.now() - started;
  if (run.signalCode !== undefined)
    throw new Error(`${command.join(" ")} ended by ${run.signalCode}`);
  return { wallMs, cpuMs: Number(run.resourceUsage?.cpuTime.total ?? 0) / 1000 };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function machine(): string {
  const model = cpus()[0]?.model ?? "unknown processor";
  return `${model}, ${availableParallelism()} cores, Bun ${Bun.version}, ${new Date().toISOString()}`;
}

type Times = Readonly<Record<string, readonly Cost[]>>;

function measure(programs: Readonly<Record<string, readonly string[]>>): Times {
  const times: Record<string, Cost[]> = {};
  for (let turn = -2; turn < runs; turn += 1) {
    for (const [name, command] of Object.entries(programs)) {
      const cost = time(command);
      if (turn >= 0) (times[name] ??= []).push(cost); // two turns to warm the page cache
    }
  }
  return times;
}

function report(times: Times): void {
  console.log(`start, n=${runs} alternating; ${machine()}`);
  const base = times["bare hello"] ?? [];
  for (const [name, all] of Object.entries(times)) {
    const wall = all.map(({ wallMs }) => wallMs);
    const ratio = median(all.map(({ wallMs }, at) => wallMs / (base[at]?.wallMs ?? Number.NaN)));
    const least = (costs: readonly Cost[]) => Math.min(...costs.map(({ cpuMs }) => cpuMs));
    const cells = [median(wall), Math.min(...wall), least(all)].map((ms) => ms.toFixed(1));
    const cpuRatio = (least(all) / least(base)).toFixed(2);
    console.log(
      `${name.padEnd(24)} median ${cells[0]} ms  min ${cells[1]} ms  ${ratio.toFixed(2)}x hello   cpu min ${cells[2]} ms  ${cpuRatio}x`,
    );
  }
}

const inNamespace = process.env["CITADEL_BENCH_NAMESPACE"] === "1";

/** Starts this script again where /opt, /mnt, /run, /home and /var/lib are its own. @returns its exit code */
function runInNamespace(): number | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const script = `set -eu
    for d in /opt /mnt /run /home /var/lib; do mount -t tmpfs -o mode=0755 none $d; done
    cp /etc/passwd /etc/group /run
    echo 'agent0:x:4242:4242::/home/agent0:/bin/sh' >> /run/passwd; echo 'agent0:x:4242:' >> /run/group
    mount --bind /run/passwd /etc/passwd; mount --bind /run/group /etc/group
    mkdir /home/agent0; chown 4242:4242 /home/agent0; mkdir /mnt/citadel-models /mnt/citadel-backup
    exec "$@"`;
  const command = [
    "unshare",
    "-m",
    "bash",
    "-c",
    script,
    "bash",
    process.execPath,
    import.meta.path,
  ];
  const run = Bun.spawnSync([...command, String(runs)], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", CITADEL_BENCH_NAMESPACE: "1" },
    stdout: "inherit",
    stderr: "inherit",
  });
  return run.exitCode;
}

/** Lays the host of the namespace out; with `disks` on two ext4 file systems of their own. */
function layOut(disks: boolean): void {
  const script = disks
    ? `for d in models backup; do truncate -s 64M /run/$d.img; mkfs.ext4 -qF /run/$d.img
       mount -o loop /run/$d.img /mnt/citadel-$d; done; "$1" setup --yes --accept-disk`
    : `CITADEL_REQUIRE_MOUNTS=no "$1" setup --yes`;
  const run = Bun.spawnSync(["bash", "-euc", script, "bash", agent], { stdout: "ignore" });
  if (run.exitCode !== 0) throw new Error(`setup: ${run.stderr}`);
}

if (!existsSync(agent)) throw new Error("dist/citadel-agent is missing: bun run build");
const outcome = inNamespace ? undefined : runInNamespace();
if (outcome !== undefined) process.exit(outcome);
const directory = mkdtempSync(`${tmpdir()}/citadel-bench-`);
try {
  // Without a namespace `links verify` looks at an empty --root: its start is measured, not somebody's links.
  const verify = inNamespace
    ? [agent, "links", "verify"]
    : [agent, "links", "verify", "--root", directory];
  if (inNamespace) layOut(false);
  const times = measure({
    "bare hello": [buildHello(directory)],
    "--version": [agent, "--version"],
    "--help": [agent, "--help"],
    "explain NO_SPACE": [agent, "explain", "NO_SPACE"],
    __child: [agent, "__child", "none"],
    "links verify": verify,
  });
  report(times);
  if (inNamespace) {
    layOut(true);
    report(measure({ "bare hello": [`${directory}/hello`], "links verify, two disks": verify }));
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
