// Which variable names are ours, which are known and mean nothing to us, and what an unknown one was meant to be.

import { modelVariableName, nearestName } from "../core/index.ts";
import { groups, knownFields, type Group, type KnownField } from "./schema.ts";

/** What a name says: the value of a field, the name of a file with a secret, or a whole group as JSON. */
export type NameMeaning =
  | { readonly what: "value"; readonly known: KnownField; readonly strength: number }
  | { readonly what: "secret-file"; readonly known: KnownField; readonly strength: number }
  | { readonly what: "group"; readonly group: Group };

/** Within one source: a whole group beats a name, the name its alias, a value the file it could be in. */
export const strengths = {
  group: 4,
  name: 3,
  alias: 2,
  secretFile: 1,
  credential: 0,
} as const;

function buildMeanings(): Map<string, NameMeaning> {
  const meanings = new Map<string, NameMeaning>();
  for (const known of knownFields) {
    const { name, type, aliases = [] } = known.field;
    meanings.set(name, { what: "value", known, strength: strengths.name });
    for (const alias of aliases) {
      meanings.set(alias, { what: "value", known, strength: strengths.alias });
    }
    if (type.secret === true) {
      meanings.set(`${name}_FILE`, {
        what: "secret-file",
        known,
        strength: strengths.secretFile,
      });
    }
  }
  for (const group of groups) {
    if (group.variable !== undefined) meanings.set(group.variable, { what: "group", group });
  }
  return meanings;
}

const meanings = buildMeanings();

/** @param name in upper case */
export function meaningOf(name: string): NameMeaning | undefined {
  return meanings.get(name);
}

const envFileMeanings = new Map<string, NameMeaning>(
  knownFields.flatMap((known) =>
    (known.field.envFileAliases ?? []).map((alias): [string, NameMeaning] => [
      alias,
      { what: "value", known, strength: strengths.alias },
    ]),
  ),
);

/** As `meaningOf`, with the generic names (PORT, HOST) that count where somebody wrote them for us. */
export function meaningInEnvFile(name: string): NameMeaning | undefined {
  return meanings.get(name) ?? envFileMeanings.get(name);
}

const prefixes = /^(?:CITADEL|MODEL|SYMLINK|STORAGE_MONITOR|BACKUP)_/;

/**
 * Names that begin as ours do and are known to be something else: of the original's example file, of the photo
 * service and of the generated script.
 */
const knownOthers = new Set(["MODEL_STORAGE_PATH", "BACKUP_INTERVAL", "CITADEL_ENV_ID"]);

/**
 * Whether a name looks like one of ours and is none.
 * @param name in upper case
 * @param aliases the model aliases in effect: `CITADEL_MODEL_<ALIAS>` is exported by the generated script
 */
export function isUnknownName(name: string, aliases: readonly string[]): boolean {
  if (!prefixes.test(name) || meanings.has(name) || knownOthers.has(name)) return false;
  return !aliases.some((alias) => name === modelVariableName(alias));
}

/** `; did you mean X?`, or nothing. */
export function suggestName(name: string): string {
  const near = nearestName(name, meanings.keys());
  return near === undefined ? "" : `; did you mean ${near}?`;
}

/** Names of groups in files: `monitor` is the other name of `monitoring`, `storage` is read by the object store. */
export const groupAliases: Readonly<Record<string, string>> = { monitor: "monitoring" };
export const foreignGroups: readonly string[] = ["storage"];

/** The settings of the original's storage service, by their keys. */
const serviceKeys =
  /^(?:sqlite_path|backup_interval|minio_\w+|cache_(?:enabled|ttl|max_size)|batch_size|db_pool_size|cors_origins|log_(?:level|format)|node_env)$/;

/** Whether a key of a file is known to be something that this agent does not read. */
export function isForeignKey(group: Group, key: string): boolean {
  return group.name === "service" && serviceKeys.test(key);
}

export function suggestGroup(name: string): string {
  const near = nearestName(name, [...groups.map((group) => group.name), ...foreignGroups]);
  return near === undefined ? "" : `; did you mean ${near}?`;
}

export function suggestKey(group: Group, name: string): string {
  const near = nearestName(name, Object.keys(group.fields));
  return near === undefined ? "" : `; did you mean ${near}?`;
}
