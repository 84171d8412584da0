// A real monitor below a directory of its own, as people run it, and small receivers for what it sends.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { cliCommand, runCli, scrubbedEnvironment } from "./run-cli.ts";

/** A port that was free a moment ago: the program takes no 0. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Waits for a condition, looking often. @throws when it does not come */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 30_000,
): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > endMs) throw new Error(`did not come: ${what}`);
    await Bun.sleep(20);
  }
}

export interface DaemonWorld extends AsyncDisposable {
  readonly root: string;
  readonly metricsUrl: string;
  readonly healthUrl: string;
  readonly envFile: string;
  /** Writes the env file: these settings and the ports. */
  configure(settings: Readonly<Record<string, string>>): void;
  start(): Daemon;
  /** Runs a command with the same root and settings. */
  run(...words: readonly string[]): ReturnType<typeof runCli>;
}

export interface Daemon {
  readonly pid: number;
  readonly stderr: () => string;
  kill(signal: NodeJS.Signals): void;
  /** Waits until it ended. */
  ended(): Promise<number | null>;
}

/** A laid-out host below a temporary directory. */
export async function createDaemonWorld(
  settings: Readonly<Record<string, string>> = {},
  options: {
    /** The probes of the running host see it: its /proc and /sys lie below the root too. */
    readonly withProc?: boolean;
  } = {},
): Promise<DaemonWorld> {
  const root = mkdtempSync(`${tmpdir()}/citadel-daemon-`);
  const ports = { metrics: await freePort(), health: await freePort() };
  const envFile = `${root}/agent.env`;
  for (const path of ["opt/citadel", "mnt/citadel-models", "mnt/citadel-backup", "etc"])
    mkdirSync(`${root}/${path}`, { recursive: true });
  if (options.withProc === true)
    for (const name of ["proc", "sys"]) symlinkSync(`/${name}`, `${root}/${name}`);
  const started = new Set<Bun.Subprocess>();
  const flags = ["--root", root, "--env-file", envFile];
  const configure = (more: Readonly<Record<string, string>>) => {
    const all: Record<string, string> = {
      STORAGE_MONITOR_METRICS_PORT: String(ports.metrics),
      STORAGE_MONITOR_HEALTH_CHECK_PORT: String(ports.health),
      STORAGE_MONITOR_CHECK_INTERVAL: "1",
      SYMLINK_HEALTH_CHECK_INTERVAL: "1",
      ...more,
    };
    const text = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(envFile, text.join(""), { mode: 0o600 });
  };
  configure(settings);
  const run = (...words: readonly string[]) => runCli([...words, ...flags]);
  const setup = await run("setup", "--yes");
  if (setup.exitCode !== 0) throw new Error(`setup failed: ${setup.stderr}${setup.stdout}`);
  return {
    root,
    envFile,
    metricsUrl: `http://127.0.0.1:${ports.metrics}`,
    healthUrl: `http://127.0.0.1:${ports.health}`,
    configure,
    run,
    start() {
      const child = Bun.spawn([...cliCommand(), "monitor", ...flags], {
        env: { ...scrubbedEnvironment },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      });
      started.add(child);
      let said = "";
      const reading = (async () => {
        for await (const chunk of child.stderr) said += new TextDecoder().decode(chunk);
      })();
      return {
        pid: child.pid,
        stderr: () => said,
        kill: (signal) => child.kill(signal),
        async ended() {
          await child.exited;
          await reading;
          return child.exitCode;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const child of started) {
        // told to stop it reports its coverage; a test that is over has no patience otherwise
        if (child.exitCode === null) child.kill(isCounted ? "SIGTERM" : "SIGKILL");
        const late = setTimeout(() => child.kill("SIGKILL"), 5000);
        await child.exited;
        clearTimeout(late);
      }
      rmSync(root, { recursive: true, force: true });
    },
  };
}

const isCounted = process.env["CHILD_COVERAGE_DIR"] !== undefined;

export interface Received {
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly json: Record<string, unknown>;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  /** What was answered with 2xx. */
  readonly accepted: readonly Received[];
  /** How it answers from now on; `stall` never does. */
  behave(how: "accept" | "error" | "stall"): void;
}

/** A server that keeps what it is sent. */
export function createReceiver(): Receiver {
  const accepted: Received[] = [];
  let behaviour: "accept" | "error" | "stall" = "accept";
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      const raw = new Uint8Array(await request.arrayBuffer());
      if (behaviour === "stall") return await new Promise<Response>(() => {});
      if (behaviour === "error") return new Response("broken", { status: 500 });
      const zipped = request.headers.get("content-encoding") === "gzip";
      const text = new TextDecoder().decode(zipped ? Bun.gunzipSync(raw) : raw);
      let json: Record<string, unknown> = {};
      try {
        json = JSON.parse(text) as Record<string, unknown>;
      } catch {
        // not every message is JSON: `body` has it
      }
      const { headers } = request;
      accepted.push({ path: new URL(request.url).pathname, headers, body: raw, json });
      return new Response("ok");
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    accepted,
    behave: (how) => {
      behaviour = how;
    },
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}
