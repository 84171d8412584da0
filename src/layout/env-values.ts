// The environment for vLLM and the Hugging Face tools: exactly the names of spec/settings.md section 2, once each,
// and CITADEL_MODELS_STAGING, which the original list lacks.

import { CitadelError, environmentId, modelVariableName } from "../core/index.ts";
import { type AliasChoice } from "./activation.ts";
import type { LayoutPaths } from "./options.ts";

/** Name to value in the order in which they are written; CITADEL_ENV_ID is the last. */
export type EnvironmentValues = Readonly<Record<string, string>>;

/**
 * Builds the environment.
 * @param paths as they are to appear: real paths, or host paths with `--links inside`
 * @param directoryOf the path of a model's directory
 * @throws kind `settings`, code `ALIAS_COLLISION`, where two aliases map to one name
 */
export function environmentValues(
  paths: LayoutPaths,
  aliases: readonly AliasChoice[],
  directoryOf: (choice: AliasChoice) => string,
): EnvironmentValues {
  const values: Record<string, string> = {
    CITADEL_MODELS_ROOT: paths.modelsRoot,
    CITADEL_MODELS_ACTIVE: paths.modelsActive,
    CITADEL_MODELS_ARCHIVE: paths.modelsArchive,
    CITADEL_MODELS_CACHE: paths.modelsCache,
    CITADEL_MODELS_DOWNLOADS: paths.modelsDownloads,
    CITADEL_MODELS_STAGING: paths.modelsStaging,
    CITADEL_BACKUP_ROOT: paths.backupRoot,
    CITADEL_BACKUP_MODELS: paths.backupModels,
    CITADEL_BACKUP_SYSTEM: paths.backupSystem,
    CITADEL_APP_ROOT: paths.appRoot,
    CITADEL_APP_MODELS: paths.appModels,
    CITADEL_APP_CONFIGS: paths.appConfigs,
    CITADEL_APP_SCRIPTS: paths.appScripts,
    CITADEL_APP_LOGS: paths.appLogs,
    HF_HOME: paths.hfCache,
    HUGGINGFACE_HUB_CACHE: paths.hfCache,
    TRANSFORMERS_CACHE: paths.transformersCache,
    TORCH_HOME: paths.torchCache,
    VLLM_CACHE_ROOT: paths.vllmCache,
  };
  const from: Record<string, string> = {};
  for (const choice of aliases) {
    const name = modelVariableName(choice.alias);
    const other = from[name];
    if (other !== undefined) throw collision(name, other, choice.alias);
    from[name] = choice.alias;
    values[name] = directoryOf(choice);
  }
  return { ...values, CITADEL_ENV_ID: environmentId(values) };
}

function collision(name: string, first: string, second: string): CitadelError {
  return new CitadelError({
    kind: "settings",
    code: "ALIAS_COLLISION",
    message: `the aliases ${JSON.stringify(first)} and ${JSON.stringify(second)} both become ${name}`,
    hint: "rename one of them in MODEL_CONVENIENCE_LINKS: everything but letters and digits becomes _",
  });
}
