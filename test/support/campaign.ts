// One crash campaign over one scenario: a first run that lists the calls, then a kill before each of them and each
// error at each of them, every time on a fresh copy of the host, and every time followed by what the next command
// would do. Returns what was wrong; an empty list is the proof.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { absolutePath, joinPath, type AbsolutePath } from "../../src/core/index.ts";
import { openEngine } from "../../src/transaction/index.ts";
import {
  bundleProgram,
  failAt,
  killAt,
  listCalls,
  sample,
  type CallPoint,
  type CrashTarget,
} from "./crash.ts";
import { engineOptionsFor, planOf, treeOf } from "./engine.ts";
import { scenarios, shmTarget, type ScenarioName } from "./scenarios.ts";

export interface CampaignOptions {
  readonly scenario: ScenarioName;
  /** Kill points and injected errors to run at most; spread evenly. Default: all of them. */
  readonly limit?: number | undefined;
  readonly errnos: readonly string[];
  /** Whether the journal is there already (the usual case) or made by the run itself. */
  readonly freshJournal?: boolean | undefined;
  /** From `buildDriver`. */
  readonly driver: readonly string[];
  readonly onProgress?: ((text: string) => void) | undefined;
}

export interface CampaignReport {
  readonly calls: number;
  readonly kills: number;
  readonly errors: number;
  /** Runs whose injection did not meet the call it was meant for: nothing was learned from them. */
  readonly missed: number;
  readonly failures: readonly string[];
}

export const allErrnos = ["EIO", "ENOSPC", "EROFS", "EACCES"];

/** The program that applies a scenario, as one file in `directory`. */
export async function buildDriver(directory: string): Promise<string[]> {
  const entry = `${import.meta.dir}/../crash/driver.ts`;
  return [process.execPath, await bundleProgram(entry, directory)];
}

export const exitCodesOf: Readonly<Record<string, readonly number[]>> = {
  EIO: [1],
  EACCES: [1],
  ENOSPC: [7],
  EROFS: [7],
};

/** A host of its own for one run. */
class World implements Disposable {
  readonly root: AbsolutePath;
  readonly data: AbsolutePath;

  constructor(readonly options: CampaignOptions) {
    this.root = absolutePath(realpathSync(mkdtempSync(`${tmpdir()}/citadel-crash-`)));
    chmodSync(this.root, 0o755);
    this.data = joinPath(this.root, "data");
    mkdirSync(this.data);
    scenarios[options.scenario].furnish(this.data);
  }

  /** The other file system's part of the tree, where the scenario has one. */
  get shm(): string {
    return shmTarget(this.data);
  }

  tree(): string[] {
    const there = existsSync(this.shm) ? treeOf(this.shm).map((line) => `shm ${line}`) : [];
    return [...treeOf(this.data), ...there];
  }

  places() {
    const stateDir = joinPath(this.root, "var/lib/citadel-agent");
    const runtimeDir = joinPath(this.root, "run/citadel-agent");
    return { root: absolutePath("/"), stateDir, runtimeDir };
  }

  engine() {
    const { root, ...places } = this.places();
    return openEngine(engineOptionsFor(root, places));
  }

  async change() {
    using engine = this.engine();
    const scenario = scenarios[this.options.scenario];
    return await engine.change({
      command: "next run",
      lockTimeoutMs: 0,
      plan: () => planOf(scenario.operations(this.data)),
    });
  }

  async recover(): Promise<void> {
    using engine = this.engine();
    await engine.recover({ command: "recover", lockTimeoutMs: 0 });
  }

  pending(): unknown {
    using engine = this.engine();
    return engine.state.pending;
  }

  target(): CrashTarget {
    const { root, stateDir, runtimeDir } = this.places();
    return {
      command: [
        ...this.options.driver,
        root,
        stateDir,
        runtimeDir,
        this.data,
        this.options.scenario,
      ],
      below: [this.root, this.shm],
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
    rmSync(this.shm, { recursive: true, force: true });
  }
}

async function createWorld(options: CampaignOptions): Promise<World> {
  const world = new World(options);
  if (options.freshJournal !== true) {
    using engine = world.engine();
    await engine.change({
      command: "before",
      lockTimeoutMs: 0,
      plan: () => planOf([], { annotations: { before: true } }),
    });
  }
  return world;
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { before, after, calls } = await observe(options);
  const failures: string[] = [];
  const points = sample(calls, options.limit ?? calls.length);
  const counts = { kills: 0, errors: 0, missed: 0 };
  const count = (found: readonly string[] | "missed", what: "kills" | "errors") => {
    if (found === "missed") counts.missed += 1;
    else {
      counts[what] += 1;
      failures.push(...found);
    }
  };
  for (const point of points) count(await killRun(options, point, before, after), "kills");
  for (const errno of options.errnos) {
    for (const point of points) {
      count(await errorRun(options, point, errno, before, after), "errors");
    }
  }
  return { calls: calls.length, ...counts, failures };
}

/** Undisturbed: the first tree, the last tree, the calls between. */
async function observe(options: CampaignOptions) {
  using world = await createWorld(options);
  const before = world.tree();
  const { run, calls } = listCalls(world.target());
  if (run.exitCode !== 0) throw new Error(`the undisturbed run failed: ${run.stdout}${run.stderr}`);
  return { before: normal(before, world), after: normal(world.tree(), world), calls };
}

/** Worlds differ only in their own names. */
function normal(tree: readonly string[], world: World): string {
  return tree
    .map((line) => line.replaceAll(world.root, "ROOT").replaceAll(world.shm, "SHM"))
    .join("\n");
}

async function killRun(
  options: CampaignOptions,
  point: CallPoint,
  before: string,
  after: string,
): Promise<string[] | "missed"> {
  using world = await createWorld(options);
  const run = killAt(world.target(), point);
  const about = `killed before ${point.call} #${point.when} (${point.text.slice(0, 160)})`;
  options.onProgress?.(about);
  if (!run.hit) return "missed";
  return await afterwards(world, about, before, after);
}

/** What the next commands find: old or new, nothing left over, and the same plan can be applied. */
async function afterwards(
  world: World,
  about: string,
  before: string,
  after: string,
): Promise<string[]> {
  const failures: string[] = [];
  try {
    await world.recover();
    const recovered = normal(world.tree(), world);
    if (recovered !== before && recovered !== after) {
      failures.push(`${about}: neither old nor new after recovery:\n${recovered}`);
    }
    if (world.pending() !== null) failures.push(`${about}: a transaction is still pending`);
    await world.change();
    const final = normal(world.tree(), world);
    if (final !== after) failures.push(`${about}: not new after the next run:\n${final}`);
    if ((await world.change()).outcome !== "nothing") {
      failures.push(`${about}: the plan is not empty after the next run`);
    }
    failures.push(...leftovers(world).map((name) => `${about}: left over: ${name}`));
  } catch (thrown) {
    failures.push(`${about}: the next run failed: ${(thrown as Error).stack ?? String(thrown)}`);
  }
  return failures;
}

function leftovers(world: World): string[] {
  if (!existsSync(world.root)) return [];
  const names = readdirSync(world.root, { recursive: true, encoding: "utf8" });
  const inRun = names.filter(
    (name) => name.includes("journal-fallback") || name.includes(".holder"),
  );
  return [...names.filter((name) => name.includes(".citadel-agent.")), ...inRun];
}

async function errorRun(
  options: CampaignOptions,
  point: CallPoint,
  errno: string,
  before: string,
  after: string,
): Promise<string[] | "missed"> {
  using world = await createWorld(options);
  const run = failAt(world.target(), point, errno);
  const about = `${errno} at ${point.call} #${point.when} (${point.text.slice(0, 160)})`;
  options.onProgress?.(about);
  if (!run.hit) return "missed";
  const failures: string[] = [];
  const now = normal(world.tree(), world);
  const said = run.stdout + run.stderr;
  if (run.exitCode === 0) {
    const unfinished = !run.stdout.includes('"unfinished":null');
    if (now !== after && !unfinished)
      failures.push(`${about}: exit 0 and not everything is new:\n${now}`);
  } else {
    const wanted = exitCodesOf[errno] ?? [];
    if (!wanted.includes(run.exitCode)) {
      failures.push(`${about}: exit ${run.exitCode}, wanted ${wanted.join(" or ")}: ${said}`);
    }
    if (now !== before) failures.push(`${about}: not everything was undone:\n${now}\n${said}`);
    if (!said.includes(world.root) && !said.includes(world.shm)) {
      failures.push(`${about}: the message names no path: ${said}`);
    }
  }
  failures.push(...(await afterwards(world, about, before, after)));
  return failures;
}
