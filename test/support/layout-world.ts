// A host in memory for the planner: paths with states, the answers a survey would give, and the effect of a step.
// The real file system is used in test/cli; here the planner alone is under test.

import { normalizePath, parentOf, type AbsolutePath } from "../../src/core/index.ts";
import {
  desiredLayout,
  judgeRoot,
  layoutQuestions,
  noActivation,
  noHistory,
  planLayout,
  toActualLayout,
  withoutMissingHome,
  type Activation,
  type DesiredLayout,
  type LayoutHistory,
  type LayoutOptions,
  type LayoutPlan,
  type PlanRequest,
  type ServiceUser,
  type StorageRoot,
} from "../../src/layout/index.ts";
import type { Answer, FoundEntry, Question } from "../../src/system/survey/index.ts";
import type { Operation } from "../../src/transaction/index.ts";

export type Node =
  | { type: "directory"; mode: number; uid: number; gid: number }
  | { type: "link"; target: string; uid: number; gid: number; mtimeMs?: number }
  | { type: "file"; text: string; mode: number; uid: number; gid: number; mtimeMs?: number };

export type World = Map<string, Node>;

export const directory = (mode = 0o755, uid = 0, gid = 0): Node => ({
  type: "directory",
  mode,
  uid,
  gid,
});
export const link = (target: string, uid = 0, gid = 0): Node => ({
  type: "link",
  target,
  uid,
  gid,
});
export const file = (text: string, mode = 0o644): Node => ({
  type: "file",
  text,
  mode,
  uid: 0,
  gid: 0,
});

/** A fresh host: the storage is mounted, the service user has a home, nothing else is there. */
export function freshWorld(): World {
  return new Map<string, Node>(
    [
      "/",
      "/opt",
      "/mnt",
      "/mnt/citadel-models",
      "/mnt/citadel-backup",
      "/home",
      "/home/agent0",
    ].map((path) => [path, directory()]),
  );
}

export const agent: ServiceUser = {
  ownership: { uid: 1000, gid: 1000 },
  home: "/home/agent0",
  problem: undefined,
};

export function defaultOptions(overrides: Partial<LayoutOptions> = {}): LayoutOptions {
  const models = "/mnt/citadel-models";
  const backup = "/mnt/citadel-backup";
  return {
    paths: {
      appRoot: "/opt/citadel",
      appModels: "/opt/citadel/models",
      appScripts: "/opt/citadel/scripts",
      appConfigs: "/opt/citadel/configs",
      appLogs: "/opt/citadel/logs",
      modelsRoot: models,
      modelsActive: `${models}/active`,
      modelsArchive: `${models}/archive`,
      modelsCache: `${models}/cache`,
      modelsDownloads: `${models}/downloads`,
      modelsStaging: `${models}/staging`,
      backupRoot: backup,
      backupModels: `${backup}/models`,
      backupSystem: `${backup}/system`,
      hfCache: `${models}/cache`,
      torchCache: `${models}/cache/torch`,
      vllmCache: `${models}/cache/vllm`,
      transformersCache: `${models}/cache/transformers`,
    },
    modelDirectories: { "mixtral-key": "Mixtral-8x7B", "yi-key": "Yi-34B" },
    convenienceLinks: { mixtral: "mixtral-key", yi34b: "yi-key" },
    links: {
      forceRecreate: false,
      verifyTargets: true,
      createMissingTargets: true,
      directoryMode: 0o755,
      owner: "agent0",
      group: "agent0",
    },
    requireMounts: false,
    linksInside: false,
    ...overrides,
  };
}

export function desiredOf(
  options = defaultOptions(),
  user = agent,
  activation: Activation = noActivation,
): DesiredLayout {
  const same = (path: string) => normalizePath(path) as AbsolutePath;
  return desiredLayout(options, { real: same, host: same, user, activation });
}

function resolvedType(world: World, path: string): "directory" | "file" | "missing" | "loop" {
  let at = path;
  for (let hops = 0; hops < 40; hops += 1) {
    const node = world.get(at);
    if (node === undefined) return "missing";
    if (node.type !== "link") return node.type;
    at = normalizePath(
      node.target.startsWith("/") ? node.target : `${parentOf(at)}/${node.target}`,
    );
  }
  return "loop";
}

function answerOf(world: World, question: Question): Answer {
  const node = world.get(question.path);
  if (question.kind === "entries") {
    const entries: FoundEntry[] = [];
    for (const [path, each] of world) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      if (parentOf(path) !== question.path || path === "/" || question.known.includes(name))
        continue;
      if (
        each.type === "directory" ||
        (each.type === "file" && !name.startsWith(".citadel-agent."))
      )
        continue;
      const target = each.type === "link" ? each.target : undefined;
      entries.push({ name, type: each.type, mtimeMs: each.mtimeMs ?? 0, target });
    }
    return { kind: "entries", entries };
  }
  if (node === undefined) return { kind: "absent" };
  if (question.kind === "text") {
    return node.type === "file"
      ? { kind: "text", text: node.text, mode: node.mode }
      : { kind: "error", errno: "EISDIR", text: "not a file" };
  }
  const { type, uid, gid } = node;
  const mode = node.type === "link" ? 0o777 : node.mode;
  const state = { kind: "state", type, mode, uid, gid, mtimeMs: 0 } as const;
  if (node.type !== "link") return state;
  return { ...state, target: node.target, resolves: resolvedType(world, question.path) };
}

/** Plans against the world as a command would. */
export function planOn(
  world: World,
  overrides: Partial<PlanRequest> & { roots?: StorageRoot[] } = {},
): LayoutPlan {
  const history: LayoutHistory = overrides.history ?? noHistory;
  const desired = overrides.desired ?? desiredOf();
  const scope = overrides.scope ?? { directories: true, links: true, files: true };
  const roots =
    overrides.roots ??
    desired.storageRoots.map((path) =>
      judgeRoot(path, {
        required: false,
        hostRoot: "/" as AbsolutePath,
        host: (each) => each as AbsolutePath,
        mounts: [],
        uuidOf: () => undefined,
        recorded: [],
        linkAt: () => undefined,
      }),
    );
  const all = { directories: true, links: scope.links, files: scope.files };
  const questions = layoutQuestions(desired, all, roots, history.linkPaths);
  const answers = questions.map((question) => answerOf(world, question));
  const actual = toActualLayout(questions, answers, roots);
  return planLayout({
    command: "setup",
    manner: "strict",
    adopt: false,
    moveAside: false,
    force: false,
    verifyTargets: true,
    createMissingTargets: true,
    setOwners: true,
    annotations: {},
    ...overrides,
    desired: withoutMissingHome(desired, actual),
    actual,
    history,
    scope,
  });
}

/** Does one step in memory; throws where the world is not in the state that the step expects. */
export function applyStep(world: World, step: Operation): void {
  const node = world.get(step.path);
  if ((node?.type ?? "absent") !== step.before.type) {
    throw new Error(`${step.op} ${step.path}: expected ${step.before.type}, found ${node?.type}`);
  }
  if (step.op === "make_dir" && world.get(parentOf(step.path))?.type !== "directory") {
    throw new Error(`${step.path} has no parent`);
  }
  const { after } = step;
  if (step.op === "move_aside" && node !== undefined && step.to !== undefined) {
    const before = Array.from(world);
    for (const [path, each] of before) {
      if (path !== step.path && !path.startsWith(`${step.path}/`)) continue;
      world.delete(path);
      world.set(step.to + path.slice(step.path.length), each);
    }
    return;
  }
  if (step.op === "adopt" && step.to !== undefined) {
    const before = Array.from(world);
    for (const [path, each] of before) {
      if (!path.startsWith(`${step.path}/`)) continue;
      world.delete(path);
      world.set(step.to + path.slice(step.path.length), each);
    }
  }
  const owner = { uid: 0, gid: 0, ...(node && { uid: node.uid, gid: node.gid }) };
  if (after.type === "absent") world.delete(step.path);
  if (after.type === "directory") {
    const { mode = node?.type === "directory" ? node.mode : 0, uid, gid } = after;
    world.set(step.path, directory(mode, uid ?? owner.uid, gid ?? owner.gid));
  }
  if (after.type === "link") {
    world.set(step.path, link(after.target, after.uid ?? owner.uid, after.gid ?? owner.gid));
  }
  if (after.type === "file") {
    const text = step.content ?? (node?.type === "file" ? node.text : "");
    world.set(step.path, file(text, after.mode));
  }
}

/** A history in which `made` are the links that generations wrote. */
export function historyOf(made: Readonly<Record<string, readonly string[]>>): LayoutHistory {
  return {
    ...noHistory,
    linkPaths: Object.keys(made) as AbsolutePath[],
    ownedTargets: (path) => new Set(made[path] ?? []),
  };
}
