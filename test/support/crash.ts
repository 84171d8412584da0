// Kills a command before every system call that changes something, or lets each of them fail once, by strace.
// First the calls of one undisturbed run are listed; then there is one run for each. The caller looks at what is left.
//
// strace's `when=N` counts each call by name for each thread, so this is exact for commands whose changes are made
// synchronously on the main thread, as the transaction engine makes them.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

/** Every call of Linux that changes a file system and that Bun, SQLite or libc use. */
const changingCalls = [
  "rename,renameat,renameat2,symlink,symlinkat,link,linkat,mkdir,mkdirat,rmdir,unlink,unlinkat",
  "chmod,fchmod,fchmodat,?fchmodat2,chown,fchown,lchown,fchownat,utimensat",
  "fsync,fdatasync,sync_file_range,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate",
  "copy_file_range,sendfile,mknod,mknodat,setxattr,open,openat,?openat2",
].join(",");

/** One call of the undisturbed run. */
export interface CallPoint {
  readonly call: string;
  /** The how-manieth call of this name on the main thread; strace's `when`. */
  readonly when: number;
  /** The line of strace, for messages. */
  readonly text: string;
}

export interface TracedRun {
  /** 137 where it was killed. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether the injection took place. */
  readonly hit: boolean;
}

export interface CrashTarget {
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Only calls on paths that contain one of these, or made through a descriptor of a directory, count. */
  readonly below: readonly string[];
  readonly timeoutMs?: number | undefined;
  /** false: only the main thread of the command, so that the programs it starts are left alone. Default true. */
  readonly follow?: boolean | undefined;
}

export const straceAvailable = Bun.which("strace") !== null && !traced();

/** A traced process cannot be traced again, and a sandbox may forbid ptrace altogether. */
function traced(): boolean {
  if (Bun.which("strace") === null) return true;
  return Bun.spawnSync(["strace", "-qq", "-o", "/dev/null", "true"]).exitCode !== 0;
}

function strace(target: CrashTarget, log: string, inject: string | undefined): TracedRun {
  const trace = inject === undefined ? changingCalls : (inject.split(":")[0] ?? "");
  const run = Bun.spawnSync(
    [
      "timeout",
      "-k",
      "5",
      String((target.timeoutMs ?? 60_000) / 1000),
      "strace",
      ...(target.follow === false ? [] : ["-f"]),
      "-qq",
      "-y",
      "-s",
      "200",
      "-o",
      log,
      "-e",
      `trace=${trace}`,
      ...(inject === undefined ? [] : ["-e", `inject=${inject}`]),
      ...target.command,
    ],
    { env: { ...process.env, ...target.environment }, stdout: "pipe", stderr: "pipe" },
  );
  const text = existsSync(log) ? readFileSync(log, "utf8") : "";
  return {
    exitCode: run.signalCode === undefined || run.signalCode === null ? run.exitCode : 137,
    stdout: run.stdout.toString(),
    stderr: run.stderr.toString(),
    hit: inject !== undefined && wasHit(text, target.below, inject.includes(":signal=")),
  };
}

/** The injection took place, and at a call of ours: opens of the runtime itself may come in another order. */
function wasHit(log: string, below: readonly string[], kill: boolean): boolean {
  const lines = log.split("\n");
  const at = kill
    ? lines.findLastIndex((line) => /^(?:\d+\s+)?[a-z0-9_]+\(/.test(line))
    : lines.findIndex((line) => line.includes("(INJECTED)"));
  if (at === -1 || (kill && !log.includes("killed by SIGKILL"))) return false;
  return isOurs(lines[at] ?? "", below);
}

function isOurs(line: string, below: readonly string[]): boolean {
  if (/^(?:\d+\s+)?(?:write|writev)\(?[12]</.test(line) || /^[12]</.test(line)) return false; // what it prints
  return below.some((path) => line.includes(path)) || line.includes('"/proc/self/fd/');
}

function withLog<T>(call: (log: string) => T): T {
  const directory = mkdtempSync(`${tmpdir()}/citadel-strace-`);
  try {
    return call(`${directory}/log`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs the command undisturbed. @returns its run and every changing call of it, in order */
export function listCalls(target: CrashTarget): { run: TracedRun; calls: CallPoint[] } {
  return withLog((log) => {
    const run = strace(target, log, undefined);
    return { run, calls: parseCalls(readFileSync(log, "utf8"), target.below) };
  });
}

/** Parses `strace -f -y`; counts by name on the main thread; keeps what changes something below the paths. */
export function parseCalls(log: string, below: readonly string[]): CallPoint[] {
  const counts = new Map<string, number>();
  const calls: CallPoint[] = [];
  let main: string | undefined;
  for (const line of log.split("\n")) {
    const match = /^(?:(\d+)\s+)?([a-z0-9_]+)\((.*)$/.exec(line);
    const [, pid = "main", call, text] = match ?? [];
    if (call === undefined || text === undefined) continue;
    main ??= pid;
    if (pid !== main) continue;
    const when = (counts.get(call) ?? 0) + 1;
    counts.set(call, when);
    const creates = !call.startsWith("open") || /O_CREAT|O_TRUNC/.test(text);
    if (isOurs(text, below) && creates) calls.push({ call, when, text: `${call}(${text}` });
  }
  return calls;
}

/**
 * The changing calls of all threads but the main one. strace counts for each thread, so one of these points is met by
 * whichever thread comes to that number first.
 */
export function listThreadCalls(target: CrashTarget): CallPoint[] {
  return withLog((log) => {
    strace({ ...target, follow: true }, log, undefined);
    return parseThreadCalls(readFileSync(log, "utf8"), target.below);
  });
}

/** As parseCalls, for the other threads; without what the main thread comes to as well, each number once. */
export function parseThreadCalls(log: string, below: readonly string[]): CallPoint[] {
  const [main = "", ...rest] = threadLogs(log);
  const known = new Set(parseCalls(main, below).map(keyOf));
  const points: CallPoint[] = [];
  for (const point of rest.flatMap((text) => parseCalls(text, below))) {
    if (!known.has(keyOf(point))) points.push(point);
    known.add(keyOf(point));
  }
  return points;
}

const keyOf = ({ call, when }: CallPoint) => `${call}:${when}`;

/** The lines of each thread, the main one first. */
function threadLogs(log: string): string[] {
  const logs = new Map<string, string[]>();
  for (const line of log.split("\n")) {
    const pid = /^(\d+)\s/.exec(line)?.[1];
    if (pid === undefined) continue;
    const lines = logs.get(pid) ?? [];
    lines.push(line);
    logs.set(pid, lines);
  }
  return [...logs.values()].map((lines) => lines.join("\n"));
}

/** Runs the command and kills it before this call takes effect. */
export function killAt(target: CrashTarget, point: CallPoint): TracedRun {
  return withLog((log) => strace(target, log, `${point.call}:signal=SIGKILL:when=${point.when}`));
}

/** Runs the command; this call alone fails with `errno`. */
export function failAt(target: CrashTarget, point: CallPoint, errno: string): TracedRun {
  return withLog((log) => strace(target, log, `${point.call}:error=${errno}:when=${point.when}`));
}

/** At most `limit` of `items`, evenly spread, the first and the last among them. */
export function sample<T>(items: readonly T[], limit: number): T[] {
  if (items.length <= limit) return [...items];
  const step = (items.length - 1) / (limit - 1);
  return Array.from({ length: limit }, (_, at) => items[Math.round(at * step)] as T);
}

/** Bundles a TypeScript program into one file, so that its own loading makes few calls, always the same. */
export async function bundleProgram(entry: string, outdir: string): Promise<string> {
  const built = await Bun.build({
    entrypoints: [entry],
    outdir,
    target: "bun",
    naming: "[name].js",
  });
  const [output] = built.outputs;
  if (!built.success || output === undefined) throw new Error(`cannot bundle ${entry}`);
  return output.path;
}
