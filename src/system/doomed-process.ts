// A child that is killed at a chosen moment, as a power cut would end it: nothing it holds is given back by itself.

import { childEnvironment } from "./processes.ts";

export interface DoomedRun {
  /** It was still running when the moment came. */
  readonly killed: boolean;
  readonly exitCode: number | null;
  readonly durationMs: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DoomedOptions {
  /** SIGKILL after this long; undefined: it may end by itself. */
  readonly killAfterMs: number | undefined;
  /** Longest life of a child that nobody kills. */
  readonly timeoutMs: number;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Called again and again while it runs. */
  readonly meanwhile?: (() => void) | undefined;
}

/** Runs `command` in the foreground of a busy reader, and kills it at its moment. */
export async function runDoomed(
  command: readonly string[],
  options: DoomedOptions,
): Promise<DoomedRun> {
  const startedMs = performance.now();
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...childEnvironment, ...options.environment },
    cwd: "/",
  });
  const deadlineMs = Math.min(options.killAfterMs ?? Number.POSITIVE_INFINITY, options.timeoutMs);
  const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
  let running = true;
  const watching = (async () => {
    while (running && options.meanwhile !== undefined) {
      options.meanwhile();
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  clearTimeout(timer);
  running = false;
  await watching;
  return {
    killed: child.signalCode === "SIGKILL",
    exitCode: child.exitCode,
    durationMs: performance.now() - startedMs,
    stdout,
    stderr,
  };
}
