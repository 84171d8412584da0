// Compiles dist/citadel-agent, and other targets where their runtime can be had from npm.
// Usage: bun scripts/build.ts [--target NAME|all] [--outdir DIR]   (names: `targets` below)
//
// Bun.build could do it too, but the command line is what the documentation names for every flag used here.
// Why each flag: docs/architecture.md, "The binary".

import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const root = new URL("..", import.meta.url).pathname;
const bunVersion = "1.4.5";

/** Our name of a target: [Bun's name of it, the npm package that holds its runtime]. */
const targets: Record<string, readonly [string, string]> = {
  "linux-x64": ["bun-linux-x64", "@oven/bun-linux-x64"],
  // For processors without AVX2 (before 2013): the ordinary x64 runtime ends there with SIGILL.
  "linux-x64-baseline": ["bun-linux-x64-baseline", "@oven/bun-linux-x64-baseline"],
  "linux-arm64": ["bun-linux-arm64", "@oven/bun-linux-aarch64"],
  "linux-x64-musl": ["bun-linux-x64-musl", "@oven/bun-linux-x64-musl"],
  "linux-arm64-musl": ["bun-linux-arm64-musl", "@oven/bun-linux-aarch64-musl"],
};

/** Every Worker is an entry point of its own; without that it is missing from the binary (docs/bundler/executables). */
export const entryPoints = ["src/main.ts", ...new Bun.Glob("src/**/*.worker.ts").scanSync(root)];

function git(...args: string[]): string {
  const run = Bun.spawnSync(["git", "-C", root, ...args], { stderr: "ignore" });
  return run.exitCode === 0 ? run.stdout.toString().trim() : "";
}

/** The commit's own time, so that the same commit builds the same bytes; SOURCE_DATE_EPOCH wins. */
function buildTime(): string {
  const epoch = process.env["SOURCE_DATE_EPOCH"] ?? git("log", "-1", "--format=%ct");
  return new Date(epoch === "" ? 0 : Number(epoch) * 1000).toISOString();
}

function commit(): string {
  const hash = git("rev-parse", "--short=12", "HEAD");
  const dirty = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "-dirty";
  return hash === "" ? "unknown" : hash + dirty;
}

/** The runtime to embed: our own for this machine, else the one that npm serves for the target. */
async function runtimeFor(packageName: string): Promise<string> {
  const local = `${root}node_modules/${packageName}/bin/bun`;
  if (existsSync(local)) return local;
  const cache = `${root}node_modules/.cache/citadel-runtimes/${packageName.replace("/", "_")}-${bunVersion}`;
  if (!existsSync(`${cache}/package/bin/bun`)) {
    mkdirSync(cache, { recursive: true });
    const pack = Bun.spawnSync(["npm", "pack", "--silent", `${packageName}@${bunVersion}`], {
      cwd: cache,
    });
    if (pack.exitCode !== 0)
      throw new Error(`npm has no ${packageName}@${bunVersion}: ${pack.stderr}`);
    const archive = pack.stdout.toString().trim().split("\n").at(-1) ?? "";
    const untar = Bun.spawnSync(["tar", "-xzf", archive], { cwd: cache });
    if (untar.exitCode !== 0) throw new Error(`cannot unpack ${archive}: ${untar.stderr}`);
    rmSync(`${cache}/${archive}`);
  }
  return `${cache}/package/bin/bun`;
}

async function build(name: string, outfile: string): Promise<void> {
  const target = targets[name];
  if (target === undefined)
    throw new Error(`unknown target ${name}; known: ${Object.keys(targets).join(", ")}, all`);
  const [bunTarget, packageName] = target;
  const { version } = (await Bun.file(`${root}package.json`).json()) as { version: string };
  const define = (key: string, value: string) => `--define=${key}=${JSON.stringify(value)}`;
  // With --splitting each chunk leaves a .map file beside the binary: build in a clean folder, keep the binary.
  const work = mkdtempSync(`${tmpdir()}/citadel-build-`);
  try {
    const run = Bun.spawnSync(
      [
        process.execPath,
        "build",
        "--compile",
        "--format=esm",
        "--minify",
        "--bytecode",
        "--splitting",
        "--sourcemap=inline",
        "--no-compile-autoload-dotenv",
        "--no-compile-autoload-bunfig",
        "--compile-exec-argv=--disallow-code-generation-from-strings=strict",
        `--target=${bunTarget}`,
        `--compile-executable-path=${await runtimeFor(packageName)}`,
        define("BUILD_VERSION", version),
        define("BUILD_COMMIT", commit()),
        define("BUILD_TIME", buildTime()),
        define("BUILD_TARGET", name),
        ...entryPoints,
        "--outfile",
        `${work}/citadel-agent`,
      ],
      { cwd: root, stdout: "pipe", stderr: "pipe" },
    );
    if (run.exitCode !== 0) throw new Error(`bun build failed:\n${run.stdout}${run.stderr}`);
    const temporary = `${outfile}.new`;
    cpSync(`${work}/citadel-agent`, temporary);
    renameSync(temporary, outfile); // a running binary cannot be written over (ETXTBSY)
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function argument(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
}

if (import.meta.main) {
  const outdir = argument("--outdir") ?? `${root}dist`;
  const wanted = argument("--target");
  mkdirSync(outdir, { recursive: true });
  const own = process.arch === "arm64" ? "linux-arm64" : "linux-x64";
  const names = wanted === "all" ? Object.keys(targets) : [wanted ?? own];
  for (const name of names) {
    const outfile = `${outdir}/${wanted === undefined ? "citadel-agent" : `citadel-agent-${name}`}`;
    const started = performance.now();
    await build(name, outfile);
    const sizeMb = (Bun.file(outfile).size / 1e6).toFixed(0);
    console.log(`${outfile}  ${sizeMb} MB  ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
}
