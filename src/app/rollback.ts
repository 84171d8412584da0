// Going back to an earlier generation: the engine's plan, and what must hold before it may be applied.

import { isWithin, nameOf, parentOf } from "../core/index.ts";
import { judgeRoot } from "../layout/index.ts";
import type { Engine, Plan } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { mountsContext, toLayoutOptions } from "./layout.ts";
import { notMounted } from "./layout-change.ts";

/**
 * The plan back to the state after `generation`.
 * @throws NOT_MOUNTED (7) if it touches a storage root that is not there, and as `Engine.planRollback`
 */
export function previewRollback(app: App, engine: Engine, generation: number): Plan {
  const logs = app.system.hostPaths.real(app.settings.paths.app_logs);
  // The record of what was done outlives what was done: agent.log, the set-up log and their predecessors stay.
  const stays = (path: string) =>
    parentOf(path) === logs && /^(?:agent|planb-02-setup)\.log(?:\.\d)?$/.test(nameOf(path));
  const plan = engine.planRollback(generation, stays);
  assertRootsUsable(app, engine, plan);
  return plan;
}

/** Below a root that should be mounted and is not, nothing is removed or put back: it is the wrong disk. */
export function assertRootsUsable(app: App, engine: Engine, plan: Plan): void {
  const options = toLayoutOptions(app);
  const context = mountsContext(app, options, engine.state.latestAnnotations());
  const { real } = app.system.hostPaths;
  const { modelsRoot, backupRoot } = options.paths;
  const roots = new Set(
    [modelsRoot, backupRoot, ...context.recorded.map(({ path }) => path)].map(real),
  );
  const lost = [...roots]
    .filter((root) => plan.operations.some(({ path }) => isWithin(path, root)))
    .map((root) => judgeRoot(root, context))
    .filter(({ state }) => state !== "ok");
  if (lost.length > 0) throw notMounted(lost);
}
