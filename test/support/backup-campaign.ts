// The crash campaign over backups: a small repository below --root, one command, a kill before each call that changes
// something (of the main thread and of the workers) and each error at each of them; then what an operator would do next.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { listSnapshots, readSnapshot } from "../../src/backup/repository.ts";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import { systemClock } from "../../src/system/index.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { allErrnos, type CampaignReport } from "./campaign.ts";
import {
  failAt,
  killAt,
  listCalls,
  listThreadCalls,
  sample,
  type CallPoint,
  type CrashTarget,
} from "./crash.ts";
import { scrubbedEnvironment } from "./run-cli.ts";
import { buildSnapshot } from "./snapshot-builder.ts";

export const backupJobs = [
  "backup create",
  "backup create --type full",
  "backup restore",
  "backup restore --in-place",
  "backup cleanup",
  "backup repair",
] as const;
export type BackupJob = (typeof backupJobs)[number];

const wordsOf: Readonly<Record<BackupJob, readonly string[]>> = {
  "backup create": ["backup", "create", "--type", "incremental", "--no-verify"],
  "backup create --type full": ["backup", "create", "--type", "full", "--no-verify"],
  "backup restore": ["backup", "restore", "latest", "--to", "/restored"],
  "backup restore --in-place":
    "backup restore latest --in-place --force --yes --to /in-place".split(" "),
  "backup cleanup": ["backup", "cleanup", "30", "--force", "--yes"],
  "backup repair": ["backup", "repair", "latest"],
};

/** An error of one file is exit 4, of a device 1; what a full or read-only disk gives is 7. 75: try again. */
const exitCodes: Readonly<Record<string, readonly number[]>> = {
  EIO: [1, 4],
  EACCES: [1, 4],
  ENOSPC: [7],
  EROFS: [7],
};

const quick = {
  mode: "quick",
  cached: true,
  sampleRate: 1,
  seed: 0,
  cores: 1,
  workers: 0,
} as const;

export interface BackupCampaignOptions {
  readonly program: readonly string[];
  readonly job: BackupJob;
  readonly limit?: number | undefined;
  readonly errnos?: readonly string[] | undefined;
  readonly onProgress?: ((text: string) => void) | undefined;
}

/** A call, and which threads strace is to look at: its counters are those of each thread. */
interface Point extends CallPoint {
  readonly inWorkers: boolean;
}

class BackupHost implements Disposable {
  readonly #directory = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-backup-crash-`));
  readonly root = `${this.#directory}/host`;
  readonly source = `${this.root}/mnt/citadel-models/active`;
  readonly repository = `${this.root}/mnt/citadel-backup`;
  readonly models = `${this.repository}/models`;
  /** Everything that a run may change; the source stays, so that its inodes do. */
  readonly #changing = ["mnt/citadel-backup", "var", "run", "opt", "in-place", "restored"];

  constructor(readonly program: readonly string[]) {
    fs.mkdirSync(`${this.source}/sub`, { recursive: true });
    fs.mkdirSync(this.repository, { recursive: true });
    fs.writeFileSync(`${this.source}/kept`, "unchanged");
    fs.writeFileSync(`${this.source}/sub/changing`, "first");
    const large = new Uint8Array(1_200_000); // not to be packed
    for (let at = 0; at < large.length; at += 60_000)
      crypto.getRandomValues(large.subarray(at, at + 60_000));
    fs.writeFileSync(`${this.source}/large`, large);
    // as many as go to a worker at once when they are unchanged
    fs.mkdirSync(`${this.source}/many`);
    for (let at = 0; at < 16; at += 1) fs.writeFileSync(`${this.source}/many/${at}`, `file ${at}`);
    fs.symlinkSync("sub/changing", `${this.source}/link`);
    fs.linkSync(`${this.source}/kept`, `${this.source}/sub/twin`);
  }

  run(words: readonly string[]) {
    const run = Bun.spawnSync(["timeout", "60", ...this.command(words)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...scrubbedEnvironment, ...this.environment },
    });
    return { exitCode: run.exitCode, said: run.stdout.toString() + run.stderr.toString() };
  }

  command = (words: readonly string[]) => [...this.program, "--root", this.root, ...words];

  // no second try, which would hide that the first one failed, and no reserve file
  readonly environment = { BACKUP_MAX_RETRY_ATTEMPTS: "1", BACKUP_RESERVE_BYTES: "0" };

  mustRun(words: readonly string[]): void {
    const { exitCode, said } = this.run(words);
    if (exitCode !== 0) throw new Error(`${words.join(" ")} ended with ${exitCode}: ${said}`);
  }

  save(): void {
    fs.mkdirSync(`${this.#directory}/saved`);
    for (const name of this.#changing.filter((name) => fs.existsSync(`${this.root}/${name}`))) {
      fs.mkdirSync(dirname(`${this.#directory}/saved/${name}`), { recursive: true });
      copyTree(`${this.root}/${name}`, `${this.#directory}/saved/${name}`);
    }
  }

  reset(): void {
    for (const name of this.#changing) {
      fs.rmSync(`${this.root}/${name}`, { recursive: true, force: true });
      const saved = `${this.#directory}/saved/${name}`;
      if (fs.existsSync(saved)) copyTree(saved, `${this.root}/${name}`);
    }
  }

  /** What is not as it should be in the repository, whatever happened. */
  async unsound(): Promise<string[]> {
    const wrong: string[] = [];
    for (const { state, directory, id } of listSnapshots(this.repository)) {
      if (state === "partial") continue;
      const snapshot = readSnapshot(directory as AbsolutePath, "models");
      const report = snapshot && (await verifySnapshot(snapshot, quick, { clock: systemClock }));
      if (report?.valid !== true) wrong.push(`${id} has its final name and does not verify`);
    }
    const latest = `${this.models}/latest`;
    const hasLatest = fs.lstatSync(latest, { throwIfNoEntry: false }) !== undefined;
    if (hasLatest && !fs.existsSync(latest)) wrong.push("latest leads nowhere");
    return wrong;
  }

  leftovers(): string[] {
    const below = (path: string) =>
      fs.existsSync(path) ? fs.readdirSync(path, { recursive: true, encoding: "utf8" }) : [];
    const names = [
      ...below(this.repository).filter((name) => !name.endsWith(".citadel-agent.reserve")),
      ...below(`${this.root}/in-place`),
      ...below(`${this.root}/restored`),
      ...fs.readdirSync(this.root),
    ];
    return names.filter((name) => /\.citadel-|\.partial$|\.before-|\.work$/.test(name));
  }

  differs(path: string): string {
    const run = Bun.spawnSync(["diff", "-r", "--no-dereference", this.source, path]);
    return run.exitCode === 0 ? "" : run.stdout.toString() + run.stderr.toString();
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

function copyTree(from: string, to: string): void {
  const run = Bun.spawnSync(["cp", "-a", "--sparse=never", from, to]);
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
}

function prepare(host: BackupHost, job: BackupJob): void {
  host.mustRun(["backup", "create", "--no-verify"]);
  if (job === "backup cleanup") {
    const [newest] = listSnapshots(host.repository);
    if (newest?.record === undefined) throw new Error("no snapshot was made");
    const { source, source_identity } = newest.record;
    for (const day of [1, 2]) {
      const record = { source, source_identity };
      buildSnapshot(host.repository, host.source, { atMs: Date.UTC(2025, 1, day), record });
    }
  }
  if (job === "backup restore --in-place") {
    host.mustRun(["backup", "restore", "latest", "--to", "/in-place"]);
    fs.writeFileSync(`${host.root}/in-place/large`, "old");
    fs.writeFileSync(`${host.root}/in-place/sub/changing`, "old");
    fs.rmSync(`${host.root}/in-place/link`);
  }
  if (job === "backup repair") damage(host);
  if (job.startsWith("backup create")) {
    fs.writeFileSync(`${host.source}/sub/changing`, "second");
    fs.writeFileSync(`${host.source}/sub/new`, "third");
  }
  host.save();
}

/** Harms a snapshot that shares its files with another: content, the two names of one inode, a link. */
function damage(host: BackupHost): void {
  host.mustRun(["backup", "create", "--no-verify"]);
  const data = `${host.models}/latest/data`;
  for (const name of ["large", "kept"]) {
    const fd = fs.openSync(`${data}/${name}`, "r+");
    fs.writeSync(fd, "X", 3);
    fs.closeSync(fd);
  }
  fs.rmSync(`${data}/link`);
}

/** Runs the campaign. `calls` of the report: those of the main thread and of the workers together. */
export async function runBackupCampaign(options: BackupCampaignOptions): Promise<CampaignReport> {
  using host = new BackupHost(options.program);
  prepare(host, options.job);
  const campaign = new BackupCampaign(options, host);
  const points = campaign.points();
  const chosen = sample(points, options.limit ?? points.length);
  for (const point of chosen) await campaign.kill(point);
  for (const errno of options.errnos ?? allErrnos) {
    for (const point of chosen) await campaign.fail(point, errno);
  }
  return { calls: points.length, ...campaign.counts, failures: campaign.failures };
}

class BackupCampaign {
  readonly counts = { kills: 0, errors: 0, missed: 0 };
  readonly failures: string[] = [];
  readonly #words: readonly string[];

  constructor(
    readonly options: BackupCampaignOptions,
    readonly host: BackupHost,
  ) {
    this.#words = wordsOf[options.job];
  }

  points(): Point[] {
    const { run, calls } = listCalls(this.#target(false));
    if (run.exitCode !== 0) throw new Error(`undisturbed: ${run.exitCode} ${run.stderr}`);
    this.host.reset();
    const ofWorkers = listThreadCalls(this.#target(true));
    return [
      ...calls.map((point) => ({ ...point, inWorkers: false })),
      ...ofWorkers.map((point) => ({ ...point, inWorkers: true })),
    ];
  }

  #target(inWorkers: boolean): CrashTarget {
    return {
      command: this.host.command(this.#words),
      below: [this.host.root],
      environment: { ...scrubbedEnvironment, ...this.host.environment },
      follow: inWorkers,
    };
  }

  async kill(point: Point): Promise<void> {
    const about = aboutPoint("killed before", point);
    this.options.onProgress?.(about);
    this.host.reset();
    if (!killAt(this.#target(point.inWorkers), point).hit) {
      this.counts.missed += 1;
      return;
    }
    this.counts.kills += 1;
    await this.#afterwards(about, undefined);
  }

  async fail(point: Point, errno: string): Promise<void> {
    const about = aboutPoint(`${errno} at`, point);
    this.options.onProgress?.(about);
    this.host.reset();
    const run = failAt(this.#target(point.inWorkers), point, errno);
    if (!run.hit) {
      this.counts.missed += 1;
      return;
    }
    this.counts.errors += 1;
    const said = `${run.stdout}${run.stderr}`.slice(-1200);
    if (run.exitCode !== 0) {
      // a clean-up of several that could not remove one is done in part
      const inPart = this.options.job === "backup cleanup" ? [4] : [];
      const wanted = [...(exitCodes[errno] ?? []), ...inPart];
      // SQLite keeps the error of the system to itself; a lost file of the snapshot is exit 4, whatever it was
      if (/SQLITE_(?:IOERR|CANTOPEN)/.test(said)) wanted.push(1);
      if (said.includes("SQLITE_READONLY")) wanted.push(7); // it opens what it may not write for reading
      const isTold = /\n  lost |still damaged/.test(said);
      if (isTold) wanted.push(this.options.job === "backup repair" ? 3 : 4);
      if (!wanted.includes(run.exitCode)) this.#note(about, `exit ${run.exitCode}: ${said}`);
      if (!said.includes(this.host.root) && !isTold) this.#note(about, `names no path: ${said}`);
    }
    await this.#afterwards(about, run.exitCode);
  }

  /** What must hold now; then the same command again, and what must hold then. @param exitCode undefined: killed */
  async #afterwards(about: string, exitCode: number | undefined): Promise<void> {
    const { host } = this;
    const isRepair = this.options.job === "backup repair";
    if (!isRepair || exitCode === 0) {
      for (const wrong of await host.unsound()) this.#note(about, wrong);
    }
    if (isRepair) await this.#repairEach(about);
    this.#targetIsOldOrNew(about, exitCode);
    fs.rmSync(`${host.root}/restored`, { recursive: true, force: true });
    const { exitCode: next, said } = host.run(this.#words);
    if (next !== 0) this.#note(about, `the next run ended with ${next}: ${said.slice(-1200)}`);
    for (const wrong of await host.unsound()) this.#note(about, `then ${wrong}`);
    this.#isDone(about, "then ");
    // what could not be gone on with is removed by clean-up
    if (this.options.job.startsWith("backup create")) host.mustRun(["backup", "cleanup", "--yes"]);
    const left = host.leftovers();
    if (left.length > 0) this.#note(about, `left over: ${left.join(", ")}`);
  }

  /** A repair that was cut short is gone on with snapshot by snapshot: those that share what was damaged too. */
  async #repairEach(about: string): Promise<void> {
    const { host } = this;
    for (const { id } of listSnapshots(host.repository).reverse()) {
      const { exitCode, said } = host.run(["backup", "repair", id]);
      if (exitCode !== 0) this.#note(about, `repair of ${id} ended with ${exitCode}: ${said}`);
    }
  }

  /** What the command is there for is done. */
  #isDone(about: string, when: string): void {
    const { host, options } = this;
    if (options.job === "backup cleanup") {
      const count = listSnapshots(host.repository).length;
      if (count !== 1) this.#note(about, `${when}${count} snapshots are left`);
      return;
    }
    const trees = {
      "backup repair": `${host.models}/latest/data`,
      "backup create": `${host.models}/latest/data`,
      "backup create --type full": `${host.models}/latest/data`,
      "backup restore": `${host.root}/restored`,
      "backup restore --in-place": `${host.root}/in-place`,
    };
    const difference = host.differs(`${fs.realpathSync(trees[options.job])}`);
    if (difference !== "") this.#note(about, `${when}not as the source: ${difference}`);
  }

  #targetIsOldOrNew(about: string, exitCode: number | undefined): void {
    const { host, options } = this;
    if (exitCode === 0) return this.#isDone(about, "exit 0 but ");
    if (options.job === "backup restore") {
      if (fs.existsSync(`${host.root}/restored`) && exitCode !== 4)
        this.#isDone(about, "the target is there and ");
      const stages = fs.readdirSync(host.root).filter((name) => name.startsWith(".citadel"));
      const isTold = exitCode !== undefined && stages.length > 0;
      if (isTold)
        this.#note(about, `exit ${exitCode} and the stage was left: ${stages.join(", ")}`);
    }
    if (options.job !== "backup restore --in-place") return;
    for (const name of ["large", "sub/changing", "kept"]) {
      const found = fs.readFileSync(`${host.root}/in-place/${name}`);
      const isNew = found.equals(fs.readFileSync(`${host.source}/${name}`));
      if (!isNew && found.toString() !== "old") this.#note(about, `${name} is neither old nor new`);
    }
  }

  #note(about: string, what: string): void {
    this.failures.push(`${about}: ${what}`);
  }
}

const aboutPoint = (what: string, { call, when, text, inWorkers }: Point) =>
  `${what} ${call} #${when}${inWorkers ? " of a worker" : ""} (${text.slice(0, 160)})`;
