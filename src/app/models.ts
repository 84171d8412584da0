// The models of an App: which are configured, where they lie, and the quick look at each.

import { CitadelError, joinPath, type AbsolutePath } from "../core/index.ts";
import { verifyModelQuick, type ModelReport } from "../models/verify-quick.ts";
import { survey } from "../system/survey/index.ts";
import type { App } from "./app.ts";

export interface ModelsReport {
  readonly mode: "quick";
  readonly models: readonly ModelReport[];
  readonly total: number;
  readonly bytes: number;
  /** What the service may still write there; null where it could not be asked. */
  readonly free_bytes: number | null;
  readonly warnings: readonly string[];
}

/** Seed 002: verify-models.sh warned below 100 GB. */
const lowFreeBytes = 100 * 1024 ** 3;

/**
 * Looks at the configured models, or at one of them.
 * @param wanted alias, key, directory name, or the absolute path of any directory
 * @throws kind `not-found`, code MODEL_UNKNOWN
 */
export async function verifyModelsQuick(
  app: App,
  wanted: string | undefined,
  signal: AbortSignal | undefined,
): Promise<ModelsReport> {
  const { real } = app.system.hostPaths;
  const isPath = wanted?.startsWith("/") === true;
  const active = real(isPath ? wanted : app.settings.paths.models_active);
  const places = isPath ? [{ name: wanted, path: active }] : modelPlaces(app, active, wanted);
  // The storage is asked through a child first: a mount that hangs must not hang us.
  const [state, usage] = await survey(
    [
      { kind: "state", path: active },
      { kind: "usage", path: active },
    ],
    { signal },
  );
  const answers = state?.kind === "state" || state?.kind === "absent";
  const models = places.map(({ name, path }) =>
    answers ? verifyModelQuick(name, path, signal) : unanswered(name, path),
  );
  const free = usage?.kind === "usage" ? usage.availableBytes : null;
  const warnings: string[] = [];
  if (free !== null && free < lowFreeBytes) {
    warnings.push(`less than 100 GiB free for models below ${active}`);
  }
  const bytes = models.reduce((sum, model) => sum + model.bytes, 0);
  return { mode: "quick", models, total: models.length, bytes, free_bytes: free, warnings };
}

const unanswered = (name: string, path: string): ModelReport => ({
  name,
  path,
  state: "unknown",
  bytes: 0,
  files: 0,
  checked: 0,
  problems: ["not answering: the storage did not say within its deadline what is there"],
});

function modelPlaces(
  app: App,
  active: AbsolutePath,
  wanted: string | undefined,
): { name: string; path: AbsolutePath }[] {
  const { model_directories, convenience_links } = app.settings.models;
  const all = Object.entries(model_directories).map(([name, directory]) => ({
    name,
    directory,
    path: joinPath(active, directory),
  }));
  if (wanted === undefined) return all;
  const isAlias = Object.hasOwn(convenience_links, wanted);
  const key = isAlias ? (convenience_links[wanted] ?? wanted) : wanted;
  const chosen = all.filter(({ name, directory }) => name === key || directory === key);
  if (chosen.length > 0) return chosen;
  throw new CitadelError({
    kind: "not-found",
    code: "MODEL_UNKNOWN",
    message: `no configured model is called ${JSON.stringify(wanted)}`,
    hint: `known are ${all.map(({ name }) => name).join(", ")} and their aliases`,
  });
}
