// Opens the host engine of an App: what is read for tuning, and the plan from it.

import { parentOf, type AbsolutePath } from "../core/index.ts";
import { discoverHost, planTune, type HostFacts } from "../host/index.ts";
import type { TunePlan, TuneProfile } from "../host/index.ts";
import { lstat } from "../system/index.ts";
import type { App } from "./app.ts";

export interface TuneRequest {
  /** Default: the setting CITADEL_TUNE_PROFILE. */
  readonly profile?: TuneProfile | undefined;
  readonly remountNow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface TuneView {
  readonly facts: HostFacts;
  readonly tune: TunePlan;
}

/** Reads the host and plans its tuning. Takes no lock, changes nothing, needs no privilege. */
export async function viewTuning(app: App, request: TuneRequest = {}): Promise<TuneView> {
  const { hostPaths } = app.system;
  const facts = await readHostFacts(app, request);
  const tune = planTune(facts, {
    profile: request.profile ?? app.settings.agent.tune_profile,
    remountNow: request.remountNow ?? false,
    paths: { real: hostPaths.real, missingAbove: (path) => missingAncestors(app, path) },
  });
  return { facts, tune };
}

/** The facts for the configured storage roots. */
export function readHostFacts(app: App, request: TuneRequest = {}): Promise<HostFacts> {
  const { hostPaths } = app.system;
  const { paths } = app.settings;
  return discoverHost(app.system, {
    roots: { models: hostPaths.real(paths.models_root), backup: hostPaths.real(paths.backup_root) },
    lookForUsers: request.remountNow,
    signal: request.signal,
  });
}

/** Host paths of the directories above `path` that are not there, outermost first. */
function missingAncestors(app: App, path: string): string[] {
  const missing: string[] = [];
  let parent: AbsolutePath = parentOf(path);
  while (parent !== "/" && lstat(app.system.hostPaths.real(parent)) === undefined) {
    missing.unshift(parent);
    parent = parentOf(parent);
  }
  return missing;
}
