// Taking the agent off a host: units and tuning as they were, the generated script, and (asked) the links. One
// transaction; what holds models, backups or somebody's files stays, and the plan says so.

import { CitadelError, depthOf, isWithin, joinPath, type AbsolutePath } from "../core/index.ts";
import { listDirectory } from "../system/index.ts";
import { removeDatabase } from "../system/database-files.ts";
import { sha256Hex } from "../system/digest.ts";
import { readSmallStored } from "../system/stored-files.ts";
import { survey, type Answer } from "../system/survey/index.ts";
import { planHash, type Engine, type Operation, type Plan } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { planScheduleRemoval } from "./schedule-install.ts";
import { statePlaces } from "./transaction.ts";
import { previewTuneRollback } from "./tune-change.ts";

const maxScriptBytes = 1024 * 1024;

export interface UninstallWish {
  readonly purgeLinks: boolean;
}

export interface UninstallPreview {
  readonly plan: Plan;
  readonly hash: string;
  /** What is left on the host, with the reason, for a person. */
  readonly stays: readonly string[];
}

/** Commands whose generations are taken back whole: they wrote units and nothing else. */
const unitCommands = ["service install"];

/** What uninstalling would do, from what is there now. */
export async function previewUninstall(
  app: App,
  engine: Engine,
  wish: UninstallWish,
  signal?: AbortSignal,
): Promise<UninstallPreview> {
  const tune = await previewTuneRollback(app, engine, signal);
  const units = planUnits(engine);
  const schedule = await planScheduleRemoval(app, engine.state, "uninstall");
  // Units and tuning made links and directories too: what their way back removes is not removed twice.
  const handled = new Set<string>(
    [...schedule.operations, ...units.operations, ...tune.plan.operations].map(({ path }) => path),
  );
  const layout = await planLayoutRemoval(app, engine, wish, handled, signal);
  const refused = [...tune.plan.conflicts, ...units.conflicts];
  const plan: Plan = {
    command: wish.purgeLinks ? "uninstall --purge-links" : "uninstall",
    operations: [
      ...schedule.operations,
      ...units.operations,
      ...tune.plan.operations,
      ...layout.operations,
    ],
    conflicts: [],
    unchanged: 0,
    onTheHost: [...schedule.onTheHost, ...units.onTheHost, ...tune.plan.onTheHost],
    warnings: [...tune.plan.warnings, ...units.warnings, ...schedule.warnings],
    annotations: { ...tune.plan.annotations, ...schedule.annotations },
  };
  const { models_root, backup_root } = app.settings.paths;
  return {
    plan,
    hash: planHash(plan),
    stays: [
      `${app.system.hostPaths.real(models_root)} and ${app.system.hostPaths.real(backup_root)}: models and backups are never removed`,
      ...refused.map(({ message }) => message),
      ...tune.left,
      ...layout.stays,
    ],
  };
}

function planUnits(engine: Engine): Plan {
  const ids = engine
    .history()
    .filter(({ command }) => unitCommands.some((each) => command.startsWith(each)))
    .map(({ id }) => id);
  return engine.planUndoOf("uninstall", ids);
}

interface LayoutRemoval {
  readonly operations: Operation[];
  readonly stays: string[];
}

/** The generated script; links and empty directories of ours where that was asked for. */
async function planLayoutRemoval(
  app: App,
  engine: Engine,
  wish: UninstallWish,
  handled: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<LayoutRemoval> {
  const removal: LayoutRemoval = { operations: [], stays: [] };
  planScript(app, engine, removal);
  if (!wish.purgeLinks) {
    removal.stays.push("the links and directories of the layout: --purge-links removes ours");
    return removal;
  }
  const { state } = engine;
  const ours = state.ownedPaths("link") as AbsolutePath[];
  const links = ours.filter((path) => !handled.has(path));
  const answers = await survey(
    links.map((path) => ({ kind: "state", path })),
    { signal },
  );
  for (const [at, path] of links.entries()) planLink(engine, path, answers[at], removal);
  await planDirectories(engine, removal, handled, signal);
  return removal;
}

function planScript({ system, settings }: App, engine: Engine, removal: LayoutRemoval): void {
  const path = joinPath(system.hostPaths.real(settings.paths.app_configs), "storage-env.sh");
  const content = readScript(path);
  if (content === undefined) return;
  const sha256 = sha256Hex(content);
  if (!engine.state.writtenHashes(path).includes(sha256)) {
    removal.stays.push(`${path}: its content is not what the agent wrote`);
    return;
  }
  removal.operations.push({
    op: "remove_file",
    path,
    why: "the agent generated it",
    before: { type: "file", sha256 },
    after: { type: "absent" },
  });
}

/** What is no small plain file is not what the agent wrote: nothing of it is read, a FIFO is not waited for. */
function readScript(path: string): Uint8Array | undefined {
  try {
    return readSmallStored(path, maxScriptBytes);
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.code === "NOT_A_PLAIN_FILE")
      return new Uint8Array();
    throw thrown;
  }
}

function planLink(
  engine: Engine,
  path: AbsolutePath,
  answer: Answer | undefined,
  { operations, stays }: LayoutRemoval,
): void {
  if (answer === undefined || answer.kind === "absent") return;
  if (answer.kind !== "state") {
    stays.push(`${path}: it cannot be looked at now`);
    return;
  }
  if (answer.type !== "link" || answer.target === undefined) {
    stays.push(`${path}: a ${answer.type} is there now, not our link`);
    return;
  }
  if (!engine.state.ownedTargets(path).includes(answer.target)) {
    stays.push(`${path}: it leads to ${answer.target}; the agent did not make it`);
    return;
  }
  operations.push({
    op: "remove_link",
    path,
    why: "a link of ours",
    before: { type: "link", target: answer.target },
    after: { type: "absent" },
  });
}

/** Deepest first; a directory goes only if all it holds goes before it. */
async function planDirectories(
  engine: Engine,
  removal: LayoutRemoval,
  handled: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ours = (engine.state.ownedPaths("directory") as AbsolutePath[])
    .filter((path) => !handled.has(path))
    .toSorted((a, b) => depthOf(b) - depthOf(a));
  const answers = await survey(
    ours.map((path) => ({ kind: "names", path })),
    { signal },
  );
  const going = new Set<string>([...handled, ...removal.operations.map(({ path }) => path)]);
  const staying: AbsolutePath[] = [];
  for (const [at, path] of ours.entries()) {
    const answer = answers[at];
    if (answer?.kind === "absent") continue;
    const isEmpty =
      answer?.kind === "names" && answer.names.every((name) => going.has(joinPath(path, name)));
    if (!isEmpty) {
      staying.push(path);
      continue;
    }
    going.add(path);
    removal.operations.push({
      op: "remove_dir",
      path,
      why: "an empty directory of ours",
      before: { type: "directory" },
      after: { type: "absent" },
    });
  }
  const outermost = staying.filter(
    (path) => !staying.some((other) => other !== path && isWithin(path, other)),
  );
  if (outermost.length > 0) {
    removal.stays.push(`${outermost.join(", ")}: directories that hold something`);
  }
}

/**
 * Removes the agent's databases. The last step: nothing can be taken back after it.
 * @returns the state directory, or undefined where there was none
 */
export function removeState(app: App): AbsolutePath | undefined {
  const { stateDir } = statePlaces(app.system, app.settings.agent.state_dir);
  const names = listDirectory(stateDir);
  if (names === undefined) return undefined;
  for (const name of names.filter((each) => each.endsWith(".db"))) {
    removeDatabase(joinPath(stateDir, name));
  }
  return stateDir;
}
