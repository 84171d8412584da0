// The crash campaign over the program itself: a host below --root, one command, a kill before each of its changing
// calls and each error at each of them; then the same command again, as an operator would.

import { existsSync, lstatSync, mkdirSync, mkdtempSync, readlinkSync, realpathSync } from "node:fs";
import { readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { allErrnos, exitCodesOf, type CampaignReport } from "./campaign.ts";
import { failAt, killAt, listCalls, sample, type CallPoint, type CrashTarget } from "./crash.ts";
import { treeOf } from "./engine.ts";

export interface CliJob {
  readonly arguments: readonly string[];
  /** Brings the freshly set up (or bare) host into the state the command starts from. */
  prepare(host: CliHost): void;
  /** Exit codes that mean done, of the command itself. */
  readonly done: readonly number[];
}

export class CliHost implements Disposable {
  readonly #directory = realpathSync(mkdtempSync(`${tmpdir()}/citadel-cli-crash-`));
  readonly root = `${this.#directory}/host`;

  constructor(readonly program: readonly string[]) {
    mkdirSync(this.root);
    for (const path of ["opt", "mnt/citadel-models", "mnt/citadel-backup", "home/agent0", "etc"]) {
      mkdirSync(`${this.root}/${path}`, { recursive: true });
    }
    writeFileSync(`${this.root}/etc/passwd`, "agent0:x:1000:1000::/home/agent0:/bin/sh\n");
    writeFileSync(`${this.root}/etc/group`, "agent0:x:1000:\n");
  }

  run(...words: readonly string[]) {
    const command = [...this.program, "--root", this.root, ...words];
    const run = Bun.spawnSync(["timeout", "60", ...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent" },
    });
    return { exitCode: run.exitCode, said: run.stdout.toString() + run.stderr.toString() };
  }

  /** The layout's part of the host: not state, locks, logs. */
  tree(): string[] {
    return treeOf(this.root).filter(
      (line) => !/ (?:(?:var|run)\/|opt\/citadel\/logs\/.)/.test(line),
    );
  }

  links(): Map<string, string> {
    const names = readdirSync(this.root, { recursive: true, encoding: "utf8" });
    const links = names.filter((name) => lstatSync(`${this.root}/${name}`).isSymbolicLink());
    const ours = links.filter((name) => !name.startsWith("run/"));
    return new Map(ours.map((name) => [name, readlinkSync(`${this.root}/${name}`)]));
  }

  leftovers(): string[] {
    const names = readdirSync(this.root, { recursive: true, encoding: "utf8" });
    return names.filter((name) => /\.citadel-agent\.|journal-fallback/.test(name));
  }

  save(): void {
    Bun.spawnSync(["cp", "-a", this.root, `${this.#directory}/saved`]);
  }

  restore(): void {
    rmSync(this.root, { recursive: true, force: true });
    Bun.spawnSync(["cp", "-a", `${this.#directory}/saved`, this.root]);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function setUp(host: CliHost): void {
  const { exitCode, said } = host.run("setup", "--yes");
  if (exitCode !== 0) throw new Error(`setup failed with ${exitCode}: ${said}`);
}

export const cliJobs: Readonly<Record<string, CliJob>> = {
  setup: { arguments: ["setup", "--yes"], prepare: () => {}, done: [0] },
  "links create --force": {
    arguments: ["links", "create", "--force"],
    prepare(host) {
      setUp(host);
      mkdirSync(`${host.root}/elsewhere`);
      for (const name of host.links().keys()) {
        unlinkSync(`${host.root}/${name}`);
        symlinkSync(`${host.root}/elsewhere`, `${host.root}/${name}`);
      }
    },
    done: [0],
  },
  repair: {
    arguments: ["repair", "--yes"],
    prepare(host) {
      setUp(host);
      const links = [...host.links().keys()];
      for (const name of links.slice(0, 6)) unlinkSync(`${host.root}/${name}`);
      for (const name of links.slice(2, 6)) symlinkSync("/nowhere/at/all", `${host.root}/${name}`);
      chmodSync(`${host.root}/mnt/citadel-models/cache`, 0o700);
      rmSync(`${host.root}/mnt/citadel-models/staging`, { recursive: true });
    },
    done: [0],
  },
  rollback: { arguments: ["rollback", "0", "--yes"], prepare: setUp, done: [0] },
};

export interface CliCampaignOptions {
  readonly program: readonly string[];
  readonly job: CliJob;
  readonly limit?: number | undefined;
  readonly errnos?: readonly string[] | undefined;
  readonly onProgress?: ((text: string) => void) | undefined;
}

export function runCliCampaign(options: CliCampaignOptions): CampaignReport {
  using host = new CliHost(options.program);
  options.job.prepare(host);
  host.save();
  const old = { tree: host.tree().join("\n"), links: host.links() };
  const target: CrashTarget = {
    command: [...options.program, "--root", host.root, ...options.job.arguments],
    below: [host.root],
    environment: { HOME: "/nonexistent" },
  };
  const { run, calls } = listCalls(target);
  if (!options.job.done.includes(run.exitCode)) {
    throw new Error(`the undisturbed run ended with ${run.exitCode}: ${run.stdout}${run.stderr}`);
  }
  const campaign = new Campaign(options, host, target, old, {
    tree: host.tree().join("\n"),
    links: host.links(),
  });
  const points = sample(calls, options.limit ?? calls.length);
  for (const point of points) campaign.kill(point);
  for (const errno of options.errnos ?? allErrnos) {
    for (const point of points) campaign.fail(point, errno);
  }
  return { calls: calls.length, ...campaign.counts, failures: campaign.failures };
}

interface State {
  readonly tree: string;
  readonly links: ReadonlyMap<string, string>;
}

class Campaign {
  readonly counts = { kills: 0, errors: 0, missed: 0 };
  readonly failures: string[] = [];

  constructor(
    readonly options: CliCampaignOptions,
    readonly host: CliHost,
    readonly target: CrashTarget,
    readonly old: State,
    readonly final: State,
  ) {}

  kill(point: CallPoint): void {
    const about = `killed before ${point.call} #${point.when} (${point.text.slice(0, 120)})`;
    this.options.onProgress?.(about);
    this.host.restore();
    if (!killAt(this.target, point).hit) return void (this.counts.missed += 1);
    this.counts.kills += 1;
    this.#eachLinkIsOldOrNew(about);
    this.#again(about);
  }

  fail(point: CallPoint, errno: string): void {
    const about = `${errno} at ${point.call} #${point.when} (${point.text.slice(0, 120)})`;
    this.options.onProgress?.(about);
    this.host.restore();
    const run = failAt(this.target, point, errno);
    if (!run.hit) return void (this.counts.missed += 1);
    this.counts.errors += 1;
    const now = this.host.tree().join("\n");
    const said = `${run.stdout}${run.stderr}`.slice(-1500);
    if (this.options.job.done.includes(run.exitCode)) {
      if (now !== this.final.tree) this.#note(about, `exit ${run.exitCode}, not all new: ${said}`);
    } else {
      const wanted = exitCodesOf[errno] ?? [];
      if (!wanted.includes(run.exitCode)) this.#note(about, `exit ${run.exitCode}: ${said}`);
      if (now !== this.old.tree) this.#note(about, `not everything was undone: ${said}`);
      if (!said.includes(this.host.root)) this.#note(about, `names no path: ${said}`);
    }
    this.#again(about);
  }

  #eachLinkIsOldOrNew(about: string): void {
    for (const [name, target] of this.host.links()) {
      if (name.includes(".citadel-agent.")) continue; // a temporary: the next run removes it
      if (target === this.old.links.get(name) || target === this.final.links.get(name)) continue;
      this.#note(about, `the link ${name} is neither old nor new: ${target}`);
    }
    for (const name of this.old.links.keys()) {
      if (!this.final.links.has(name) || existsLink(`${this.host.root}/${name}`)) continue;
      this.#note(about, `the link ${name} is missing`);
    }
  }

  #again(about: string): void {
    const { exitCode, said } = this.host.run(...this.options.job.arguments);
    if (!this.options.job.done.includes(exitCode)) {
      return this.#note(about, `the next run ended with ${exitCode}: ${said.slice(-1500)}`);
    }
    const now = this.host.tree().join("\n");
    if (now !== this.final.tree) this.#note(about, `not new after the next run:\n${now}`);
    const left = this.host.leftovers();
    if (left.length > 0) this.#note(about, `left over: ${left.join(", ")}`);
    const { said: status } = this.host.run("status", "--json");
    if (!status.includes('"pending_transaction":null')) {
      this.#note(about, `a transaction is pending: ${status.slice(0, 300)}`);
    }
  }

  #note(about: string, what: string): void {
    this.failures.push(`${about}: ${what}`);
  }
}

const existsLink = (path: string) =>
  existsSync(path) || lstatSync(path, { throwIfNoEntry: false }) !== undefined;
