// Verification and restore against sha256sum, b3sum, xxh128sum and rsync: ratios of times, runs alternating, on one
// file system. Cold means that the pages of the files were dropped (fadvise), not the whole machine's cache.
// Usage: bun scripts/bench/backup-verify.ts [DIRECTORY] [ROUNDS] [MIB]   needs rsync, b3sum, xxhash; dist/citadel-agent

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dropCachedPages } from "../../src/system/native-files.ts";

const parent = process.argv[2] ?? tmpdir();
const rounds = Number(process.argv[3] ?? 3);
const sizeMib = Number(process.argv[4] ?? 768);
const smallFiles = 2000;
const binary = new URL("../../dist/citadel-agent", import.meta.url).pathname;
const root = fs.realpathSync(fs.mkdtempSync(`${parent}/bench-verify-`));
const source = `${root}/mnt/citadel-models/active`;

interface Run {
  readonly seconds: number;
  readonly rssMib: number;
}

function run(command: readonly string[], cwd = root): Run {
  const started = performance.now();
  const child = Bun.spawnSync([...command], { cwd, stdout: "ignore", stderr: "pipe" });
  const seconds = (performance.now() - started) / 1000;
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")}: ${child.stderr}`);
  return { seconds, rssMib: (child.resourceUsage?.maxRSS ?? 0) / 1024 / 1024 };
}

const agent = (...args: string[]) => run([binary, "--root", root, "backup", ...args]);

function makeSource(): void {
  fs.mkdirSync(`${source}/small`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  const block = new Uint8Array(1024 * 1024);
  for (const name of ["a.safetensors", "b.safetensors"]) {
    const fd = fs.openSync(`${source}/${name}`, "w");
    for (let at = 0; at < sizeMib; at += 1) {
      for (let part = 0; part < block.length; part += 65_536) {
        crypto.getRandomValues(block.subarray(part, part + 65_536));
      }
      fs.writeSync(fd, block);
    }
    fs.closeSync(fd);
  }
  for (let at = 0; at < smallFiles; at += 1) {
    fs.writeFileSync(`${source}/small/${at}`, block.subarray(at * 8, at * 8 + 8192));
  }
}

function evict(directory: string): void {
  for (const name of fs.readdirSync(directory, { recursive: true }) as string[]) {
    const path = `${directory}/${name}`;
    if (!fs.lstatSync(path).isFile()) continue;
    const fd = fs.openSync(path, "r");
    fs.fsyncSync(fd);
    dropCachedPages(fd, 0, 0);
    fs.closeSync(fd);
  }
}

type Jobs = Record<string, () => Run>;

/** Runs each job once per round, in turning order; medians. */
function compare(title: string, jobs: Jobs, before: () => void): void {
  const names = Object.keys(jobs);
  const results = new Map<string, Run[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (let at = 0; at < names.length; at += 1) {
      const name = names[(at + round) % names.length] as string;
      before();
      results.get(name)?.push((jobs[name] as () => Run)());
    }
  }
  const median = (values: number[]) =>
    values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  console.log(`\n${title} (${rounds} rounds, median)`);
  const ours = results.get(names[0] as string) ?? [];
  for (const name of names) {
    const runs = results.get(name) ?? [];
    const seconds = median(runs.map((one) => one.seconds));
    const ratio = median(runs.map((one, round) => (ours[round]?.seconds ?? 0) / one.seconds));
    const rss = Math.max(...runs.map((one) => one.rssMib));
    console.log(
      `  ${name.padEnd(34)} ${seconds.toFixed(2).padStart(7)} s  ${rss.toFixed(0).padStart(5)} MiB  ours / this: ${ratio.toFixed(2)}`,
    );
  }
}

try {
  makeSource();
  agent("create", "--plain", "--no-verify");
  const models = `${root}/mnt/citadel-backup/models`;
  const snapshot = `${models}/${fs.readlinkSync(`${models}/latest`)}`;
  const data = `${snapshot}/data`;
  const list = (tool: string) => {
    const path = `${root}/${tool}.list`;
    const made = Bun.spawnSync(
      ["bash", "-c", `find . -type f -print0 | xargs -0 ${tool} > ${path}`],
      { cwd: data },
    );
    if (made.exitCode !== 0) throw new Error(`${tool} is missing`);
    return () => run([tool, "--quiet", "-c", path], data);
  };
  const [sha256, b3, xxh] = [list("sha256sum"), list("b3sum"), list("xxh128sum")];
  const cold = {
    "agent verify --mode full": () => agent("verify", "--mode", "full"),
    "sha256sum -c": sha256,
    "b3sum -c": b3,
    "xxh128sum -c": xxh,
    "agent verify --mode quick": () => agent("verify"),
    "direct reads, dd 4M": () =>
      run([
        "bash",
        "-c",
        `for f in ${data}/*.safetensors; do dd if=$f of=/dev/null bs=4M iflag=direct status=none; done`,
      ]),
  };
  compare("verify, cold", cold, () => evict(data));
  // by another process: what this one once held would count as its children's
  run(["bash", "-c", `cat ${data}/*.safetensors > /dev/null`]);
  compare(
    "verify, warm",
    {
      "agent verify --mode quick --cached": () => agent("verify", "--cached"),
      "xxh128sum -c": xxh,
      "sha256sum -c": sha256,
      "cat, two at a time": () =>
        run([
          "bash",
          "-c",
          `cat ${data}/a.safetensors >/dev/null & cat ${data}/b.safetensors >/dev/null; wait`,
        ]),
    },
    () => {},
  );
  const target = `${root}/restored`;
  compare(
    "restore with verification, cold",
    {
      "agent restore": () => agent("restore", "latest", "--to", "/restored"),
      "rsync -a; sync; sha256sum -c": () =>
        run([
          "bash",
          "-c",
          `rsync -a ${data}/ ${target}/ && sync -f ${target} && cd ${target} && sha256sum --quiet -c ${root}/sha256sum.list`,
        ]),
    },
    () => {
      fs.rmSync(target, { recursive: true, force: true });
      evict(data);
    },
  );
} finally {
  fs.rmSync(root, { recursive: true, force: true });
}
