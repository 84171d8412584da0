// Paths (CITADEL_…): where the application, the models and the backups lie. Host paths: below `--root` the app maps
// them. A path that nobody set follows the root it belongs to.

import { field, type ValuesOf } from "../field.ts";
import { storagePath } from "../types.ts";

const roots: Readonly<Record<string, string>> = {
  app_root: "/opt/citadel",
  models_root: "/mnt/citadel-models",
  models_cache: "/mnt/citadel-models/cache",
  backup_root: "/mnt/citadel-backup",
};

function below(name: string, from: string, suffix: string, meaning: string) {
  const defaultPath = `${roots[from] ?? ""}${suffix}`;
  return field(`CITADEL_${name}`, storagePath, defaultPath, meaning, {
    derived: { from, suffix },
  });
}

export const pathsFields = {
  app_root: field("CITADEL_APP_ROOT", storagePath, "/opt/citadel", "application root"),
  app_models: below("APP_MODELS", "app_root", "/models", "primary link to the active models"),
  app_scripts: below("APP_SCRIPTS", "app_root", "/scripts", "scripts"),
  app_configs: below(
    "APP_CONFIGS",
    "app_root",
    "/configs",
    "configuration; storage-env.sh is written here",
  ),
  app_logs: below("APP_LOGS", "app_root", "/logs", "logs and reports"),
  models_root: field(
    "CITADEL_MODELS_ROOT",
    storagePath,
    "/mnt/citadel-models",
    "model store root (mount point)",
  ),
  models_active: below("MODELS_ACTIVE", "models_root", "/active", "active models"),
  models_archive: below("MODELS_ARCHIVE", "models_root", "/archive", "archived models"),
  models_cache: below("MODELS_CACHE", "models_root", "/cache", "cache root"),
  models_downloads: below("MODELS_DOWNLOADS", "models_root", "/downloads", "download area"),
  models_staging: below("MODELS_STAGING", "models_root", "/staging", "staging area"),
  backup_root: field(
    "CITADEL_BACKUP_ROOT",
    storagePath,
    "/mnt/citadel-backup",
    "backup root (mount point)",
  ),
  backup_models: below("BACKUP_MODELS", "backup_root", "/models", "model backups"),
  backup_system: below("BACKUP_SYSTEM", "backup_root", "/system", "system backups"),
  hf_cache: below("HF_CACHE", "models_cache", "", "Hugging Face cache (the cache root itself)"),
  torch_cache: below("TORCH_CACHE", "models_cache", "/torch", "PyTorch cache"),
  vllm_cache: below("VLLM_CACHE", "models_cache", "/vllm", "vLLM cache"),
  transformers_cache: below(
    "TRANSFORMERS_CACHE",
    "models_cache",
    "/transformers",
    "Transformers cache",
  ),
};

export type PathsSettings = ValuesOf<typeof pathsFields>;
