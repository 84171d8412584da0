// Real servers for tests: the scripts in test/support/services, each run with a home of its own. A machine that lacks
// them skips with a reason.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const directory = `${import.meta.dir}/services`;

/** Why these programs cannot be used here; undefined: they are there. */
export function missingPrograms(...names: readonly string[]): string | undefined {
  const missing = names.filter((name) => Bun.which(name, { PATH: searchPath }) === null);
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`;
}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface Service extends AsyncDisposable {
  /** What `start` printed. */
  readonly values: Readonly<Record<string, string>>;
  /** Runs another word of the script: `exec`, `stop`. */
  call(words: readonly string[], timeoutMs?: number): { exitCode: number; stdout: string };
}

/**
 * Starts a script.
 * @param home where it keeps its data; a directory that is removed at the end unless it is given
 */
export function startService(
  name: string,
  environment: Readonly<Record<string, string>>,
  home?: string,
): Service {
  const own = home ?? mkdtempSync(`${tmpdir()}/citadel-service-`);
  mkdirSync(own, { recursive: true });
  const call = (words: readonly string[], timeoutMs = 300_000) => {
    const run = Bun.spawnSync(["bash", `${directory}/${name}.sh`, ...words], {
      env: { PATH: searchPath, HOME: own, SVC_HOME: own, ...environment },
      timeout: timeoutMs,
      stderr: "pipe",
    });
    if (words[0] === "start" && run.exitCode !== 0)
      throw new Error(`${name} does not start: ${run.stderr.toString().slice(-500)}`);
    return { exitCode: run.exitCode, stdout: run.stdout.toString() };
  };
  const { stdout } = call(["start"]);
  const values = Object.fromEntries(
    stdout.split("\n").flatMap((line) => {
      const at = line.indexOf("=");
      return at < 1 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
  return {
    values,
    call,
    [Symbol.asyncDispose]() {
      call(["stop"]);
      if (home === undefined) rmSync(own, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}
