// Loads the settings: gathers what every source says, judges the strongest saying of each setting, lets paths follow
// their roots, checks the whole, and reports everything that is wrong at once.

import { safeParse } from "valibot";
import { maskedText } from "../core/index.ts";
import { readTrustedFile } from "../system/index.ts";
import { Gathering, rankOf, type Candidate } from "./candidates.ts";
import { checkSettings, type Finding } from "./checks.ts";
import { isUnknownName, suggestName } from "./names.ts";
import { formatOrigin, settingsError, type Origin, type Problem } from "./origin.ts";
import type { SettingsWarning } from "./origin.ts";
import { groups, knownFields, type KnownField, type Settings } from "./schema.ts";
import * as sources from "./sources.ts";

export interface SettingsFlags {
  /** `--config`, `--env-file`: real paths, relative to the working directory. */
  readonly config?: string | undefined;
  readonly envFile?: string | undefined;
  /** Settings given as flags of a command, by `group.key`: `{"monitoring.check_interval": {flag: "--interval", value: "5"}}`. */
  readonly overrides?:
    Readonly<Record<string, { readonly flag: string; readonly value: unknown }>> | undefined;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Where each value came from, by `group.key`. */
  readonly origins: ReadonlyMap<string, Origin>;
  readonly warnings: readonly SettingsWarning[];
}

export interface InspectedSettings extends LoadedSettings {
  /** With problems, `settings` holds the defaults in the places of the wrong values. */
  readonly problems: readonly Problem[];
  readonly envFile: string | undefined;
  readonly configFile: string | undefined;
}

/**
 * Loads the settings from flags, environment, env file, configuration file and defaults, in this order of strength.
 * Reads at most three small files and the files of secrets; validates only what somebody set.
 * @throws kind `settings`, code `SETTINGS_INVALID`, with everything that is wrong
 */
export function loadSettings(options: {
  readonly system: sources.SettingsSystem;
  readonly flags?: SettingsFlags | undefined;
}): LoadedSettings {
  const inspected = inspectSettings(options);
  if (inspected.problems.length > 0) throw settingsError(inspected.problems);
  return inspected;
}

/** As `loadSettings`, but returns the problems: for `config check`. */
export function inspectSettings({
  system,
  flags = {},
}: {
  readonly system: sources.SettingsSystem;
  readonly flags?: SettingsFlags | undefined;
}): InspectedSettings {
  const gathering = new Gathering();
  if (flags.overrides !== undefined) sources.gatherFlags(gathering, flags.overrides);
  sources.gatherEnvironment(gathering, system);
  const envFile = sources.gatherEnvFile(gathering, system, flags.envFile);
  const configFile = sources.gatherConfigFile(gathering, system, flags.config);

  const values = new Map<string, unknown>();
  const origins = new Map<string, Origin>();
  for (const known of knownFields) {
    const candidate = gathering.best(known.key);
    const judged = candidate && judge(known, candidate, gathering, system);
    values.set(known.key, judged === undefined ? known.field.default : judged.value);
    origins.set(known.key, judged?.origin ?? { kind: "default", name: known.field.name });
  }
  derivePaths(values, origins);

  const settings = assemble(values);
  for (const finding of checkSettings(settings)) report(finding, values, origins, gathering);
  reportUnknownNames(gathering, Object.keys(settings.models.convenience_links));
  const { problems, warnings } = gathering;
  return { settings, origins, warnings, problems, envFile, configFile };
}

function judge(
  known: KnownField,
  candidate: Candidate,
  gathering: Gathering,
  system: sources.SettingsSystem,
): { value: unknown; origin: Origin } | undefined {
  let { value, origin } = candidate;
  if (candidate.isSecretFile === true) {
    const secret = readSecret(String(value), candidate, gathering, system);
    if (secret === undefined) return undefined;
    ({ value, origin } = secret);
  }
  const { type } = known.field;
  const parsed = safeParse(type.schema(), value);
  if (parsed.success) return { value: parsed.output, origin };
  const entry = parsed.issues[0].path?.map((part) => String(part.key)).join(".");
  gathering.problems.push({
    name: origin.name,
    value: type.secret === true ? maskedText : showValue(value),
    source: formatOrigin(origin),
    rule: `must be ${type.rule}${entry === undefined ? "" : `; wrong is the entry ${entry}`}`,
  });
  return undefined;
}

function readSecret(
  path: string,
  { origin }: Candidate,
  gathering: Gathering,
  system: sources.SettingsSystem,
): { value: string; origin: Origin } | undefined {
  const isCredential = origin.name === "CREDENTIALS_DIRECTORY";
  const problem = (rule: string) => {
    gathering.problems.push({ name: origin.name, value: path, source: formatOrigin(origin), rule });
    return undefined;
  };
  if (!path.startsWith("/")) return problem("must be the absolute path of a file with the secret");
  const real = isCredential ? path : system.hostPaths.real(path);
  const owners = system.environment.isRoot ? sources.trustedOwners(system) : undefined;
  const read = readTrustedFile(real, { owners, maxBytes: 65_536 });
  if (read.state === "absent") return problem("No such file or directory");
  if (read.state === "refused") return problem(`refused: ${read.reason}`);
  if (read.state === "unreadable") return problem(read.error.message);
  if (read.worldReadable && !isCredential) {
    gathering.warn(`everybody can read the secret in ${real}; make it 0600`);
  }
  return { value: read.text, origin: { ...origin, secretFile: real } };
}

/** A value for an error message, on one line and short; of an address only the part without secrets. */
function showValue(value: unknown): string {
  const text = typeof value === "number" ? String(value) : textOf(value);
  const masked = text.replace(/(\/\/)[^/@\s]*@/g, `$1${maskedText}@`);
  return masked.length > 200 ? `${masked.slice(0, 200)}…` : masked;
}

/** YAML can make a value that holds itself, which JSON cannot say. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return "(a value that holds itself)";
  }
}

/** A path that nobody set is its root's path and a suffix. Roots come before what lies below them. */
function derivePaths(values: Map<string, unknown>, origins: Map<string, Origin>): void {
  for (const { key, group, field } of knownFields) {
    const { derived } = field;
    if (derived === undefined) continue;
    const rootKey = `${group}.${derived.from}`;
    const rootKind = origins.get(rootKey)?.kind ?? "default";
    const ownRank = rankOf(origins.get(key)?.kind ?? "default");
    // A path of the sourced script gives way to a root that somebody set since.
    const followsRoot = ownRank === 0 || (ownRank === 1 && effectiveRank(rootKey, origins) > 1);
    if (!followsRoot || rootKind === "default") continue;
    values.set(key, `${String(values.get(rootKey))}${derived.suffix}`);
    origins.set(key, { kind: "derived", name: rootKey });
  }
}

/** The rank of what a path goes back to: a derived one has that of the root it follows. */
function effectiveRank(key: string, origins: ReadonlyMap<string, Origin>): number {
  let origin = origins.get(key);
  for (let depth = 0; origin?.kind === "derived" && depth < 3; depth += 1) {
    origin = origins.get(origin.name);
  }
  return rankOf(origin?.kind ?? "default");
}

function assemble(values: ReadonlyMap<string, unknown>): Settings {
  const settings: Record<string, Record<string, unknown>> = {};
  for (const group of groups) settings[group.name] = {};
  for (const { key, group, fieldName } of knownFields) {
    (settings[group] ??= {})[fieldName] = values.get(key);
  }
  // Every value is a default or was parsed by the schema of its field; the fields make up the type.
  return settings as unknown as Settings;
}

function report(
  { keys, rule, severity }: Finding,
  values: ReadonlyMap<string, unknown>,
  origins: ReadonlyMap<string, Origin>,
  gathering: Gathering,
): void {
  const setBy = keys.map((key) => ({ key, origin: origins.get(key) }));
  const set = setBy.filter(({ origin }) => origin !== undefined && origin.kind !== "default");
  if (severity === "warning") {
    // Defaults that no longer fit what somebody set are no news to that person.
    if (set[0]?.key === keys[0]) gathering.warn(`${keys[0]}: ${rule}`);
    return;
  }
  const shown = setBy[0];
  const where = (set.length > 0 ? set : setBy)
    .map(({ key, origin }) => `${key}: ${origin === undefined ? "default" : formatOrigin(origin)}`)
    .join("; ");
  gathering.problems.push({
    name: shown?.origin?.kind === "default" ? keys[0] : (shown?.origin?.name ?? keys[0]),
    value: showValue(values.get(keys[0])),
    source: where,
    rule,
  });
}

function reportUnknownNames(gathering: Gathering, aliases: readonly string[]): void {
  const inEnvironment: string[] = [];
  for (const { name, origin } of gathering.unknown) {
    if (!isUnknownName(name, aliases)) continue;
    const text = `unknown setting ${origin.name} (${formatOrigin(origin)}) was ignored${suggestName(name)}`;
    if (origin.kind === "environment") inEnvironment.push(`${origin.name}${suggestName(name)}`);
    else gathering.warn(text, { failsCheck: true });
  }
  if (inEnvironment.length > 0) {
    gathering.warn(
      `unknown settings in the environment were ignored: ${inEnvironment.join(", ")}`,
      {
        verboseOnly: true,
      },
    );
  }
}
