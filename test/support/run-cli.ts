// Runs the program as people do: the compiled binary when it is newer than the sources, else Bun with main.ts.
// The environment is scrubbed, the run has a deadline, stdin is empty and nothing is a terminal.

import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";

const root = new URL("../..", import.meta.url).pathname;
export const binaryPath = `${root}dist/citadel-agent`;

export interface CliResult {
  /** null: killed by a signal. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Parses stdout, which must be one JSON document. */
  json<T = Record<string, unknown>>(): T;
}

export interface RunCliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** The program; default `cliCommand()`. */
  readonly command?: readonly string[];
  /** Default 30 s; the child is killed and the run throws. */
  readonly timeoutMs?: number;
}

let command: readonly string[] | undefined;

/** The words that start the program; where children count for coverage, its sources with the profiler. */
export function cliCommand(): readonly string[] {
  command ??= countedCommand() ?? (isFresh() ? [binaryPath] : fromSource);
  return command;
}

const fromSource: readonly string[] = [process.execPath, `${root}src/main.ts`];

/** Whether `runCli` runs the compiled program: a test of what only that can do asks first. */
export const runsBinary = () => cliCommand()[0] === binaryPath;

/** `scripts/test` names a directory for what children report. */
function countedCommand(): readonly string[] | undefined {
  const directory = process.env["CHILD_COVERAGE_DIR"];
  if (directory === undefined) return undefined;
  const preload = `${root}test/support/child-coverage.ts`;
  const variables = [`CHILD_COVERAGE_DIR=${directory}`, "BUN_JSC_useControlFlowProfiler=1"];
  return ["env", ...variables, process.execPath, "--preload", preload, `${root}src/main.ts`];
}

/** Whether dist/citadel-agent is newer than every source. */
export function isFresh(): boolean {
  const built = statSync(binaryPath, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (built === 0) return false;
  const sources = [
    ...new Bun.Glob("src/**/*.ts").scanSync(root),
    "scripts/build.ts",
    "package.json",
  ];
  return sources.every((file) => statSync(`${root}${file}`).mtimeMs < built);
}

/** The program with commands made for tests. */
export const fixtureCommand: readonly string[] = [
  process.execPath,
  `${root}test/support/fixture-cli.ts`,
];

/** Runs a command of `fixture-cli.ts`. */
export function runFixture(
  args: readonly string[],
  options: RunCliOptions = {},
): Promise<CliResult> {
  return runCli(args, { ...options, command: fixtureCommand });
}

/** An empty home and working directory, so that nothing of the developer's leaks in. */
const emptyDirectory = mkdtempSync(`${tmpdir()}/citadel-cli-`);

export const scrubbedEnvironment: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: emptyDirectory,
  LC_ALL: "C.UTF-8",
  TZ: "UTC",
};

/** Runs `citadel-agent ARGS…` to its end. */
export async function runCli(
  args: readonly string[],
  options: RunCliOptions = {},
): Promise<CliResult> {
  const child = Bun.spawn([...(options.command ?? cliCommand()), ...args], {
    cwd: options.cwd ?? emptyDirectory,
    env: { ...scrubbedEnvironment, ...options.env },
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, options.timeoutMs ?? 30_000);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  clearTimeout(timer);
  if (timedOut) throw new Error(`citadel-agent ${args.join(" ")} did not end in time\n${stderr}`);
  return {
    exitCode: child.exitCode,
    signal: child.signalCode === null ? null : String(child.signalCode),
    stdout,
    stderr,
    json: <T>() => JSON.parse(stdout) as T,
  };
}
