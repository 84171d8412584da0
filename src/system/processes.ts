// Child processes with a deadline, a bound on what they may print, and no surprises from our environment.

import { CitadelError } from "../core/index.ts";
import { isErrno } from "./errno.ts";

export interface RunOptions {
  /** After this long the child gets SIGKILL; if it does not die (state D) it is left behind. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly input?: string | Uint8Array | undefined;
  /** Bytes kept of stdout and of stderr each; default 4 MiB; what comes after is read and dropped. */
  readonly outputLimitBytes?: number | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly workingDirectory?: string | undefined;
}

export interface RunResult {
  /** The exit code; null when the child was killed by a signal or left behind. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly truncated: boolean;
  /** The child did not die of SIGKILL within a second: it hangs in the kernel. */
  readonly leftBehind: boolean;
  readonly pid: number;
}

/** What a child sees unless told otherwise: fixed, so that output parses and PATH cannot be steered. */
export const childEnvironment: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
  LANG: "C.UTF-8",
};

const killGraceMs = 1000;
const defaultOutputLimitBytes = 4 * 1024 * 1024;

/**
 * Runs a command to its end or its deadline.
 * @throws kind `not-found`, code `TOOL_MISSING`, if the program does not exist
 */
export async function runProcess(
  command: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const child = spawn(command, options);
  let timedOut = false;
  let leftBehind = false;
  let stuckTimer: ReturnType<typeof setTimeout> | undefined;
  const kill = () => child.kill("SIGKILL");
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, options.timeoutMs);
  options.signal?.addEventListener("abort", kill, { once: true });
  const limitBytes = options.outputLimitBytes ?? defaultOutputLimitBytes;
  const abandoned = new AbortController();
  const stdout = readBounded(child.stdout, limitBytes, abandoned.signal);
  const stderr = readBounded(child.stderr, limitBytes, abandoned.signal);
  try {
    const outcome = Promise.all([child.exited, stdout, stderr]);
    const stuck = new Promise<"stuck">((resolve) => {
      stuckTimer = setTimeout(() => resolve("stuck"), options.timeoutMs + killGraceMs);
    });
    if ((await Promise.race([outcome, stuck])) === "stuck") {
      leftBehind = child.exitCode === null && child.signalCode === null;
      timedOut = true;
      abandoned.abort();
      child.unref();
    }
  } finally {
    clearTimeout(timer);
    clearTimeout(stuckTimer);
    options.signal?.removeEventListener("abort", kill);
  }
  const [out, err] = await Promise.all([stdout, stderr]);
  return {
    exitCode: child.exitCode,
    signal: child.signalCode === null ? null : String(child.signalCode),
    stdout: out.text,
    stderr: err.text,
    timedOut,
    truncated: out.truncated || err.truncated,
    leftBehind,
    pid: child.pid,
  };
}

function spawn(command: readonly string[], options: RunOptions) {
  try {
    return Bun.spawn([...command], {
      stdin: options.input === undefined ? "ignore" : toBytes(options.input),
      stdout: "pipe",
      stderr: "pipe",
      env: { ...childEnvironment, ...options.environment },
      cwd: options.workingDirectory ?? "/",
    });
  } catch (thrown) {
    if (!isErrno(thrown, "ENOENT")) throw thrown;
    throw new CitadelError({
      kind: "not-found",
      code: "TOOL_MISSING",
      message: `program not found: ${command[0]}`,
      hint: `install the package that holds ${command[0]}`,
      cause: thrown,
    });
  }
}

const toBytes = (input: string | Uint8Array) =>
  typeof input === "string" ? new TextEncoder().encode(input) : input;

async function readBounded(
  stream: ReadableStream<Uint8Array>,
  limitBytes: number,
  abandoned: AbortSignal,
): Promise<{ text: string; truncated: boolean }> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let truncated = false;
  const gone = new Promise<{ done: true; value: undefined }>((resolve) => {
    abandoned.addEventListener("abort", () => resolve({ done: true, value: undefined }));
  });
  while (true) {
    const { done, value } = await Promise.race([reader.read(), gone]);
    if (done) break;
    const room = limitBytes - size;
    if (value.length > room) truncated = true;
    if (room <= 0) continue;
    chunks.push(value.subarray(0, room));
    size += Math.min(value.length, room);
  }
  reader.releaseLock();
  return { text: new TextDecoder().decode(Buffer.concat(chunks)), truncated };
}

/** The command line that starts this program again: the binary itself, or Bun with our entry point. */
export function selfCommand(): string[] {
  const compiled = import.meta.path.startsWith("/$bunfs/");
  return compiled ? [process.execPath] : [process.execPath, `${import.meta.dir}/../main.ts`];
}
