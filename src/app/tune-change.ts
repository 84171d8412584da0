// Applies and takes back the tuning of an App: what must be proved first, the transaction, and what it came to.

import { CitadelError, formatTime } from "../core/index.ts";
import type { TunePlan, TuneProfile } from "../host/index.ts";
import { appendLog } from "../system/agent-log.ts";
import { readKernelValue } from "../system/kernel-value.ts";
import { runProcess } from "../system/index.ts";
import { openTransactionEngine } from "./transaction.ts";
import { planHash } from "../transaction/index.ts";
import type { ChangeReport, Engine, Generation, Operation, Plan } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { parseFstab, splitOptions } from "../host/index.ts";
import { readHostFacts, viewTuning, type TuneRequest } from "./host.ts";
import { proveMountOptions } from "./trial-mount.ts";

/** Opens the transaction engine for host tuning. Nothing is read, made or locked yet. */
export function openHostEngine(app: App): Engine {
  const { agent } = app.settings;
  return openTransactionEngine(app.system, {
    stateDir: agent.state_dir,
    keepGenerations: agent.history_keep.generations,
    keepDays: agent.history_keep.days,
  });
}

export interface TuneChangeRequest extends TuneRequest {
  /** As a person typed it. */
  readonly command: string;
  readonly expectedHash?: string | undefined;
  readonly lockTimeoutMs: number;
}

export interface TuneChange {
  readonly report: ChangeReport;
  readonly tune: TunePlan;
  /** What the trial mounts could not prove, in words. */
  readonly unproved: readonly string[];
}

/**
 * Plans under the lock, proves the mount options where the device can be mounted a second time, and applies.
 * @throws TRIAL_MOUNT_FAILED (nothing was touched), and what the engine throws
 */
export async function changeTuning(
  app: App,
  engine: Engine,
  request: TuneChangeRequest,
): Promise<TuneChange> {
  const { command, expectedHash, lockTimeoutMs, signal } = request;
  let tune: TunePlan | undefined;
  let unproved: readonly string[] = [];
  const report = await engine.change({
    command,
    plan: async () => {
      const view = await viewTuning(app, request);
      tune = view.tune;
      const writes = tune.plan.operations.some(({ path }) => path === "/etc/fstab");
      if (writes && tune.plan.conflicts.length === 0) {
        unproved = await proveMountOptions(app, view, signal);
      }
      return tune.plan;
    },
    expectedHash,
    lockTimeoutMs,
    signal,
  });
  if (tune === undefined) throw new TypeError("the engine applied without planning");
  logChange(app, command, report, tune.profile);
  return { report, tune, unproved };
}

export interface TuneHistory {
  /** Generations of `tune apply` that no `tune rollback` took back yet, newest first. */
  readonly applied: readonly Generation[];
  /** Other generations since the oldest of them: they stay. */
  readonly between: readonly Generation[];
}

/** Which generations are the tuning's own. */
export function tuneHistory(engine: Engine): TuneHistory {
  const history = engine.history();
  const lastRollback = history.findIndex(({ command }) => command.startsWith("tune rollback"));
  const since = lastRollback === -1 ? history : history.slice(0, lastRollback);
  const applied = since.filter(({ command }) => command.startsWith("tune apply"));
  const oldest = applied.at(-1);
  if (oldest === undefined) return { applied, between: [] };
  const between = since.filter(({ id, command }) => id > oldest.id && !command.startsWith("tune"));
  return { applied, between };
}

export interface RollbackPreview {
  readonly plan: Plan;
  readonly hash: string;
  readonly history: TuneHistory;
  /** Steps that cannot be taken back because the host changed since, in words. */
  readonly left: readonly string[];
  /** What is taken back in fstab and superblock, and stays in force until the next mount, in words. */
  readonly pending: readonly string[];
}

/** The plan that restores what was there before the tuning, from what is there now. */
export async function previewTuneRollback(
  app: App,
  engine: Engine,
  signal?: AbortSignal,
): Promise<RollbackPreview> {
  const history = tuneHistory(engine);
  const ids = history.applied.map(({ id }) => id);
  const raw = engine.planUndoOf("tune rollback", ids);
  const { operations, left } = await settleExternal(raw.operations, signal);
  const isEmpty = ids.length === 0;
  const { conflicts, kept } = directoriesApart(engine, ids, raw);
  const plan: Plan = {
    ...raw,
    operations,
    conflicts,
    warnings: kept,
    onTheHost: app.system.hostPaths.relocated && !isEmpty ? rollbackOnTheHost(operations) : [],
    ...(isEmpty ? {} : { annotations: { tune: null } }),
  };
  const pending = await pendingDataModes(app, operations, signal);
  return { plan, hash: planHash(plan), history, left, pending };
}

/** A mount that took `data=writeback` since keeps it: ext4 changes its data mode only with the next mount. */
async function pendingDataModes(
  app: App,
  operations: readonly Operation[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const fstab = operations.find(({ path }) => path.endsWith("/etc/fstab"));
  if (fstab === undefined || app.system.hostPaths.relocated) return [];
  const { storages } = await readHostFacts(app, { signal });
  return storages.flatMap(({ mountpoint, ext4, backing }) => {
    const [holder] = backing.holders;
    const isWriteback = ext4?.options?.includes("data=writeback") === true;
    const isReplaced = operations.some(({ path }) => path === `/sys/fs/ext4/${holder?.name}`);
    if (mountpoint === undefined || !isWriteback || isReplaced) return [];
    if (optionsInFstab(fstab, mountpoint).includes("data=writeback")) return [];
    return [`${mountpoint}: data=writeback stays in force until the next mount`];
  });
}

/** The option field that a step which writes fstab gives to a mount point. */
function optionsInFstab({ content, contentEncoding }: Operation, mountpoint: string): string[] {
  const bytes = Buffer.from(content ?? "", contentEncoding === "base64" ? "base64" : "utf8");
  const entry = parseFstab(bytes).entries.find((each) => each.mountpoint === mountpoint);
  return splitOptions(entry?.options ?? "");
}

/** A directory that we made and that others use by now stays, which hurts nobody: no reason to refuse the rest. */
function directoriesApart(engine: Engine, generations: readonly number[], plan: Plan) {
  const made = new Set<string>(
    generations
      .flatMap((id) => engine.stepsOf(id))
      .filter(({ operation }) => operation.op === "make_dir")
      .map(({ operation }) => operation.path),
  );
  const isKept = ({ path }: { readonly path: string }) => made.has(path);
  return {
    conflicts: plan.conflicts.filter((conflict) => !isKept(conflict)),
    kept: plan.conflicts.filter(isKept).map(({ path }) => `${path} stays: others use it by now`),
  };
}

/** Steps below `--root` that only the booted host can do after files were restored. */
function rollbackOnTheHost(operations: readonly Operation[]): string[] {
  const touches = (part: string) => operations.some(({ path }) => path.endsWith(part));
  return [
    ...(touches("/etc/fstab") ? ["systemctl daemon-reload"] : []),
    ...(touches(".rules") ? ["udevadm control --reload"] : []),
  ];
}

/** Leaves out steps whose value is already back, or is neither ours nor the former one (after a reboot, say). */
async function settleExternal(
  operations: readonly Operation[],
  signal: AbortSignal | undefined,
): Promise<{ operations: Operation[]; left: string[] }> {
  const kept: Operation[] = [];
  const left: string[] = [];
  for (const operation of operations) {
    const found = await readExternal(operation, signal);
    const { before, after, path } = operation;
    const value = (state: Operation["before"]) => ("value" in state ? state.value : undefined);
    if (found === undefined || found === value(before)) kept.push(operation);
    else if (found !== value(after)) {
      const text = found === "" ? "nothing" : found;
      left.push(`${path} is ${text} now, not ${value(before) ?? "?"} as we left it: not touched`);
    }
  }
  return { operations: kept, left };
}

/** The present value of a step that no file shows; undefined for files and for steps without a reading command. */
async function readExternal(
  { op, path, command }: Operation,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (op === "set_value") return readKernelValue(path) ?? "";
  if (op !== "run_command" || command?.read === undefined) return undefined;
  const run = await runProcess(command.read, { timeoutMs: command.timeoutMs, signal });
  return run.stdout.trim();
}

/** Takes the tuning back as one transaction. */
export async function rollBackTuning(
  app: App,
  engine: Engine,
  request: TuneChangeRequest,
): Promise<{ report: ChangeReport; preview: RollbackPreview }> {
  let preview: RollbackPreview | undefined;
  const { command, expectedHash, lockTimeoutMs, signal } = request;
  const report = await engine.change({
    command,
    plan: async () => {
      preview = await previewTuneRollback(app, engine, signal);
      return preview.plan;
    },
    expectedHash,
    lockTimeoutMs,
    signal,
  });
  if (preview === undefined) throw new TypeError("the engine applied without planning");
  logChange(app, command, report, undefined);
  return { report, preview };
}

/** @throws kind `permission`, code PERMISSION: nothing was changed */
export function needsRoot(command: string): CitadelError {
  return new CitadelError({
    kind: "permission",
    code: "PERMISSION",
    message: `${command} changes fstab, schedulers and units, which only root may do; nothing was changed`,
    hint: `run it as root (sudo citadel-agent ${command}); \`citadel-agent tune plan\` shows the plan without`,
  });
}

/** The seed's set-up log, in the application's logs. Failing to log never decides success. */
function logChange(
  app: App,
  command: string,
  report: ChangeReport,
  profile: TuneProfile | undefined,
): void {
  const { clock, environment, hostPaths } = app.system;
  const directory = hostPaths.real(app.settings.paths.app_logs);
  const time = formatTime(clock.nowMs());
  const about = `${command}${profile === undefined ? "" : ` profile=${profile}`} user=${environment.user}`;
  const generation = report.generation === null ? "" : ` generation=${report.generation}`;
  const lines = [
    `${time} ${about} outcome=${report.outcome}${generation} plan=${report.planHash.slice(0, 12)}`,
    ...report.plan.operations.map(
      ({ op, path, why }, at) =>
        `${time}   ${report.steps[at]?.done === true ? "done" : "not done"} ${op} ${path}: ${why}`,
    ),
  ];
  for (const line of lines) appendLog(directory, setupLogName, line.replaceAll("\n", " "));
}

export const setupLogName = "planb-02-setup.log";
