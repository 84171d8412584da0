// The identity of the values that the generated `storage-env.sh` exports. A shell that sourced the script hands
// them to every later command; by CITADEL_ENV_ID the settings tell them from what an operator set by hand.

/** The path names that the script exports and that are settings at the same time. */
export const generatedPathNames: readonly string[] = [
  "CITADEL_MODELS_ROOT",
  "CITADEL_MODELS_ACTIVE",
  "CITADEL_MODELS_ARCHIVE",
  "CITADEL_MODELS_CACHE",
  "CITADEL_MODELS_DOWNLOADS",
  "CITADEL_MODELS_STAGING",
  "CITADEL_BACKUP_ROOT",
  "CITADEL_BACKUP_MODELS",
  "CITADEL_BACKUP_SYSTEM",
  "CITADEL_APP_ROOT",
  "CITADEL_APP_MODELS",
  "CITADEL_APP_CONFIGS",
  "CITADEL_APP_SCRIPTS",
  "CITADEL_APP_LOGS",
];

/**
 * Computes the value of CITADEL_ENV_ID: SHA-256 over `NAME=VALUE\0` of those names of `generatedPathNames` that
 * have a value, in that order; the first 16 hex digits. Other names in `values` do not count.
 */
export function environmentId(values: Readonly<Record<string, string | undefined>>): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const name of generatedPathNames) {
    const value = values[name];
    if (value !== undefined) hash.update(`${name}=${value}\0`);
  }
  return hash.digest("hex").slice(0, 16);
}

/** The variable of a model's alias: `yi-34b.chat` is `CITADEL_MODEL_YI_34B_CHAT`. Letters and digits of ASCII stay, all else is `_`. */
export function modelVariableName(alias: string): string {
  return `CITADEL_MODEL_${alias.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
}
