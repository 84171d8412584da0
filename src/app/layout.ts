// Opens the layout of an App: settings become options, the owner is looked up, the mounts are judged, the host is
// surveyed. What comes out is data for the planner and for verify; nothing is changed here.

import { isWithin, type AbsolutePath } from "../core/index.ts";
// by file, not by index: a command that only looks should not load the planner
import { parseActivation } from "../layout/activation.ts";
import {
  layoutQuestions,
  toActualLayout,
  withoutMissingHome,
  type ActualLayout,
  type SurveyScope,
} from "../layout/actual.ts";
import { desiredLayout, type DesiredLayout, type ServiceUser } from "../layout/desired.ts";
import type { LayoutHistory } from "../layout/history.ts";
import { judgeRoot, recordRoots } from "../layout/mounts.ts";
import type { MountsContext, RecordedRoot, StorageRoot } from "../layout/mounts.ts";
import type { LayoutOptions, LayoutPaths } from "../layout/options.ts";
import { linkText, readFileSystemUuid } from "../system/disk-identity.ts";
import { readMounts, type Mount } from "../system/mountinfo.ts";
import { survey } from "../system/survey/survey.ts";
import { lookupGroup, lookupUser, parseId } from "../system/users.ts";
import type { EngineState } from "../transaction/journal-view.ts";
import type { App } from "./app.ts";

export interface LayoutView {
  readonly options: LayoutOptions;
  readonly desired: DesiredLayout;
  readonly actual: ActualLayout;
  readonly roots: readonly StorageRoot[];
  readonly history: LayoutHistory;
  readonly user: ServiceUser;
  /** Owners count in verify: on a real host for everybody, below `--root` only for root. */
  readonly ownersMatter: boolean;
  /** Paths that differ from those of the last generation. */
  readonly changedPaths: readonly ChangedPath[];
  /** The planner's own record for the next generation. */
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
}

export interface ChangedPath {
  readonly name: string;
  readonly recorded: string;
  readonly now: string;
}

export interface ViewOptions {
  readonly scope: SurveyScope;
  /** `--links inside`. */
  readonly linksInside?: boolean | undefined;
  /** `--accept-disk`: what is mounted now counts as the right disk. */
  readonly acceptDisk?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Settings as the layout engine takes them. */
export function toLayoutOptions(app: App, linksInside = false): LayoutOptions {
  const { agent, models, paths, symlinks } = app.settings;
  const { host, real, relocated } = app.system.hostPaths;
  const own: LayoutPaths = {
    appRoot: paths.app_root,
    appModels: paths.app_models,
    appScripts: paths.app_scripts,
    appConfigs: paths.app_configs,
    appLogs: paths.app_logs,
    modelsRoot: paths.models_root,
    modelsActive: paths.models_active,
    modelsArchive: paths.models_archive,
    modelsCache: paths.models_cache,
    modelsDownloads: paths.models_downloads,
    modelsStaging: paths.models_staging,
    backupRoot: paths.backup_root,
    backupModels: paths.backup_models,
    backupSystem: paths.backup_system,
    hfCache: paths.hf_cache,
    torchCache: paths.torch_cache,
    vllmCache: paths.vllm_cache,
    transformersCache: paths.transformers_cache,
  };
  // a shell that sourced the script of a tree below --root hands over its real paths: the same places, named so
  const named = Object.entries(own).map(([name, path]) => [name, host(real(path as string))]);
  return {
    paths: Object.fromEntries(named) as LayoutPaths,
    modelDirectories: models.model_directories,
    convenienceLinks: models.convenience_links,
    links: {
      forceRecreate: symlinks.force_recreate,
      verifyTargets: symlinks.verify_targets,
      createMissingTargets: symlinks.create_missing_targets,
      directoryMode: Number.parseInt(symlinks.directory_mode, 8),
      owner: symlinks.symlink_owner,
      group: symlinks.symlink_group,
    },
    requireMounts: agent.require_mounts === "auto" ? !relocated : agent.require_mounts,
    linksInside: linksInside && relocated,
  };
}

/** Looks at the host as far as `scope` says. Takes no lock and changes nothing. */
export async function viewLayout(
  app: App,
  state: EngineState,
  { scope, linksInside = false, acceptDisk = false, signal }: ViewOptions,
): Promise<LayoutView> {
  const { environment, hostPaths } = app.system;
  const options = toLayoutOptions(app, linksInside);
  const annotations = state.latestAnnotations();
  const user = await findServiceUser(app, options);
  const wanted = desiredLayout(options, {
    real: hostPaths.real,
    host: hostPaths.host,
    user,
    activation: parseActivation(annotations),
  });
  const mounts = mountsContext(app, options, acceptDisk ? {} : annotations);
  const roots = wanted.storageRoots.map((path) => judgeRoot(path, mounts));
  const history = toHistory(state, hostPaths.etc);
  const questions = layoutQuestions(wanted, scope, roots, history.linkPaths);
  const actual = toActualLayout(
    questions,
    await survey(questions, { signal, noteDir: hostPaths.runtimeDir }),
    roots,
  );
  const desired = withoutMissingHome(wanted, actual);
  return {
    options,
    desired,
    actual,
    roots,
    history,
    user,
    ownersMatter: environment.isRoot || !hostPaths.relocated,
    changedPaths: changedPaths(options.paths, annotations),
    annotations: {
      layout: { paths: { ...options.paths }, roots: recordRoots(roots, mounts) },
    },
    warnings: user.problem === undefined ? [] : [user.problem],
  };
}

function toHistory(state: EngineState, etc: AbsolutePath): LayoutHistory {
  const { pending } = state;
  return {
    ownedTargets: (path) => new Set(state.ownedTargets(path)),
    writtenHashes: (path) => new Set(state.writtenHashes(path)),
    // Links below /etc are the tuning's and the services' (units): no layout has any there.
    linkPaths: (state.ownedPaths("link") as AbsolutePath[]).filter((path) => !isWithin(path, etc)),
    pendingSinceMs: pending === null ? undefined : Date.parse(pending.started),
  };
}

/** The service user by name or number, its group and its home. */
export async function findServiceUser(app: App, options: LayoutOptions): Promise<ServiceUser> {
  const { hostPaths } = app.system;
  const { owner, group } = options.links;
  const [user, members] = await Promise.all([
    lookupUser(owner, hostPaths),
    lookupGroup(group, hostPaths),
  ]);
  const uid = user?.uid ?? parseId(owner);
  const gid = members?.gid ?? parseId(group);
  const home = user?.home.startsWith("/") === true ? user.home : undefined;
  if (uid === undefined || gid === undefined) {
    const what = uid === undefined ? `user ${owner}` : `group ${group}`;
    return { ownership: undefined, home, problem: `the ${what} does not exist on this host` };
  }
  const problem = home === undefined ? `the user ${owner} has no home directory` : undefined;
  return { ownership: { uid, gid }, home, problem };
}

interface RecordedLayout {
  readonly paths: Readonly<Record<string, unknown>>;
  readonly roots: readonly RecordedRoot[];
}

function recordedLayout(annotations: Readonly<Record<string, unknown>>): RecordedLayout {
  const found = annotations["layout"] as Partial<RecordedLayout> | undefined;
  return { paths: found?.paths ?? {}, roots: found?.roots ?? [] };
}

/** What judging the storage roots needs: the mounts of the host (below `--root`: of that tree, if it has any). */
export function mountsContext(
  app: App,
  options: LayoutOptions,
  annotations: Readonly<Record<string, unknown>>,
): MountsContext {
  const { hostPaths } = app.system;
  return {
    required: options.requireMounts,
    hostRoot: hostPaths.root,
    host: hostPaths.host,
    mounts: hostMounts(app, options.requireMounts),
    uuidOf: (mount) => readFileSystemUuid(mount, hostPaths),
    recorded: recordedLayout(annotations).roots,
    linkAt: linkText,
  };
}

/** Mounts by real path. Where DIR holds no /proc but mounts are demanded, the kernel's own table is asked. */
function hostMounts(app: App, required: boolean): readonly Mount[] | undefined {
  const { hostPaths } = app.system;
  const { proc, relocated, real } = hostPaths;
  if (!relocated) return readMounts(proc);
  if (proc === undefined) return required ? readMounts() : undefined;
  return readMounts(proc).map((mount) => ({ ...mount, mountpoint: real(mount.mountpoint) }));
}

function changedPaths(
  paths: LayoutPaths,
  annotations: Readonly<Record<string, unknown>>,
): ChangedPath[] {
  const recorded = recordedLayout(annotations).paths;
  return Object.entries(paths).flatMap(([name, now]) => {
    const before = recorded[name];
    return typeof before !== "string" || before === now
      ? []
      : [{ name, recorded: before, now: now as string }];
  });
}
