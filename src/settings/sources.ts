// Reads the sources of settings into a Gathering: flags, process environment, env file, configuration file.

import { environmentId, generatedPathNames } from "../core/index.ts";
import { lstat, readTrustedFile, stat, type System } from "../system/index.ts";
import type { Gathering } from "./candidates.ts";
import { isMapping, parseConfig, type ConfigGroup, type ConfigValue } from "./config-file.ts";
import { parseEnvFile } from "./env-syntax.ts";
import {
  foreignGroups,
  groupAliases,
  isForeignKey,
  isUnknownName,
  meaningInEnvFile,
  meaningOf,
  strengths,
  suggestGroup,
  suggestKey,
  type NameMeaning,
} from "./names.ts";
import { formatOrigin, type Origin } from "./origin.ts";
import { groups, knownFields, type Group } from "./schema.ts";
import { octalMode } from "./types.ts";

export type SettingsSystem = Pick<System, "environment" | "hostPaths">;

/** Larger files are no settings files. */
const maxFileBytes = 1024 * 1024;

/** Values from the command line, by `group.key`. */
export function gatherFlags(
  gathering: Gathering,
  overrides: Readonly<Record<string, { readonly flag: string; readonly value: unknown }>>,
): void {
  for (const known of knownFields) {
    const override = overrides[known.key];
    if (override === undefined) continue;
    const origin: Origin = { kind: "flag", name: override.flag };
    gathering.add(known, { value: override.value, origin, strength: strengths.name });
  }
}

/** The process environment. A variable of a sourced storage-env.sh ranks as a default. */
export function gatherEnvironment(gathering: Gathering, system: SettingsSystem): void {
  const { variables } = system.environment;
  const fromScript = isScriptEnvironment(variables);
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(variables)) {
    const upper = name.toUpperCase();
    if (value === undefined || (name !== upper && variables[upper] !== undefined)) continue;
    const meaning = meaningOf(upper);
    const generated = fromScript && generatedPathNames.includes(upper);
    const origin: Origin = { kind: generated ? "script" : "environment", name };
    if (meaning !== undefined && !seen.has(upper)) {
      seen.add(upper);
      addNamed(gathering, meaning, value, origin);
    } else if (isUnknownName(upper, [])) gathering.unknown.push({ name: upper, origin });
  }
  gatherCredentials(gathering, variables["CREDENTIALS_DIRECTORY"]);
}

function isScriptEnvironment(variables: Readonly<Record<string, string | undefined>>): boolean {
  const id = variables["CITADEL_ENV_ID"];
  return id !== undefined && id === environmentId(variables);
}

/** Secrets that the service manager passes as files (systemd.exec(5), LoadCredential=), named as the variable. */
function gatherCredentials(gathering: Gathering, directory: string | undefined): void {
  if (directory === undefined || !directory.startsWith("/")) return;
  for (const known of knownFields) {
    const path = `${directory}/${known.field.name}`;
    if (known.field.type.secret !== true || lstat(path) === undefined) continue;
    gathering.add(known, {
      value: path,
      origin: { kind: "environment", name: "CREDENTIALS_DIRECTORY" },
      strength: strengths.credential,
      isSecretFile: true,
    });
  }
}

function addNamed(gathering: Gathering, meaning: NameMeaning, value: string, origin: Origin): void {
  if (meaning.what === "group") {
    addGroupText(gathering, meaning.group, value, origin);
    return;
  }
  const { known, strength } = meaning;
  const isSecretFile = meaning.what === "secret-file";
  gathering.add(known, { value, origin, strength, isSecretFile });
}

/** `PATHS={"app_root": …}`. On a host such a name may be anybody's: other text is left alone. */
function addGroupText(gathering: Gathering, group: Group, text: string, origin: Origin): void {
  const parsed = parseJson(text);
  if (!isMapping(parsed)) {
    gathering.warn(
      `${origin.name} (${formatOrigin(origin)}) is no JSON object and was ignored; as a JSON object it would set the group ${group.name}`,
    );
    return;
  }
  for (const [key, value] of Object.entries(parsed)) {
    const known = knownFields.find((each) => each.key === `${group.name}.${key}`);
    const named = { ...origin, name: `${origin.name}.${key}` };
    if (known === undefined) {
      gathering.warn(
        `unknown setting ${named.name} (${formatOrigin(origin)}) was ignored${suggestKey(group, key)}`,
        { failsCheck: origin.kind !== "environment" },
      );
    } else gathering.add(known, { value, origin: named, strength: strengths.group });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Who may own a file that steers us: as root (also under sudo) root alone, else the caller, too. */
export function trustedOwners(system: SettingsSystem): readonly number[] {
  const { isRoot, uid } = system.environment;
  return isRoot ? [0] : [0, uid];
}

interface SettingsFile {
  readonly path: string;
  readonly text: string;
  readonly worldReadable: boolean;
}

/**
 * Reads a file that is meant for us. As root it is refused where somebody else may write it.
 * @returns undefined where it is there and was not read; that is among the problems or warnings then
 */
function readSettingsFile(
  gathering: Gathering,
  system: SettingsSystem,
  path: string,
  how: { readonly what: string; readonly named: boolean },
): SettingsFile | "absent" | undefined {
  const owners = system.environment.isRoot ? trustedOwners(system) : undefined;
  const read = readTrustedFile(path, { owners, maxBytes: maxFileBytes });
  if (read.state === "read") return { path, text: read.text, worldReadable: read.worldReadable };
  if (read.state === "refused") {
    gathering.problems.push({
      name: how.what,
      value: undefined,
      source: path,
      rule: `refused: ${read.reason}; it must be a regular file of root that nobody else can write`,
    });
  } else if (how.named) {
    const why = read.state === "absent" ? "No such file or directory" : read.error.message;
    gathering.problems.push({ name: how.what, value: undefined, source: path, rule: why });
  } else if (read.state === "unreadable") {
    gathering.warn(
      `the ${how.what} ${path} cannot be read and was left out: ${read.error.message}`,
    );
  } else return "absent";
  return undefined;
}

/** Makes a path from the command line absolute, by text. These mean real paths, also with `--root`. */
function fromWorkingDirectory(system: SettingsSystem, path: string): string {
  return path.startsWith("/") ? path : `${system.environment.workingDirectory}/${path}`;
}

/** The env file: the named one, else `/etc/citadel/agent.env`, else a `.env` here that can be trusted. */
export function gatherEnvFile(
  gathering: Gathering,
  system: SettingsSystem,
  named: string | undefined,
): string | undefined {
  const path =
    named === undefined
      ? `${system.hostPaths.etc}/citadel/agent.env`
      : fromWorkingDirectory(system, named);
  const how = { what: "env file", named: named !== undefined };
  const found = readSettingsFile(gathering, system, path, how);
  const file = found === "absent" ? readLocalEnvFile(gathering, system) : found;
  if (file === undefined) return undefined;
  const { entries, brokenLines } = parseEnvFile(file.text, system.environment.variables);
  for (const { name, value, line } of entries) {
    const upper = name.toUpperCase();
    const origin: Origin = { kind: "env-file", name, file: file.path, line };
    const meaning = meaningInEnvFile(upper);
    if (meaning === undefined) {
      if (isUnknownName(upper, [])) gathering.unknown.push({ name: upper, origin });
      continue;
    }
    if (file.worldReadable) warnOfSecret(gathering, meaning, value, file.path);
    addNamed(gathering, meaning, value, origin);
  }
  for (const line of brokenLines) {
    gathering.warn(`${file.path}:${line}: not of the form NAME=value; the line was ignored`, {
      failsCheck: true,
    });
  }
  return file.path;
}

function warnOfSecret(
  gathering: Gathering,
  meaning: NameMeaning,
  value: unknown,
  path: string,
): void {
  if (meaning.what !== "value" || meaning.known.field.type.secret !== true || value === "") return;
  gathering.warn(
    `${path} holds ${meaning.known.field.name} and everybody can read it; make it 0600, or use ${meaning.known.field.name}_FILE`,
  );
}

/** `.env` in the working directory, if it belongs to root or the caller and nobody else can write it. */
function readLocalEnvFile(gathering: Gathering, system: SettingsSystem): SettingsFile | undefined {
  const directory = system.environment.workingDirectory;
  const path = `${directory}/.env`;
  const read = readTrustedFile(path, { owners: trustedOwners(system), maxBytes: maxFileBytes });
  if (read.state === "read" && system.environment.isRoot && !isOwnDirectory(directory)) {
    // Root's own file, but somebody else decides that it lies here.
    gathering.warn(`${path} was ignored: others may put files into its directory`);
    return undefined;
  }
  if (read.state === "read") return { path, text: read.text, worldReadable: read.worldReadable };
  if (read.state !== "absent") {
    const why = read.state === "refused" ? read.reason : read.error.message;
    gathering.warn(`${path} was ignored: ${why}`);
  }
  return undefined;
}

/** Whether only root can move a file of root in or out: its own directory, or one with the sticky bit (/tmp). */
function isOwnDirectory(path: string): boolean {
  const found = stat(path);
  return found?.uid === 0 && ((found.mode & 0o022) === 0 || (found.mode & 0o1000) !== 0);
}

/** The configuration file: the named one, else `/etc/citadel/agent.yml`. */
export function gatherConfigFile(
  gathering: Gathering,
  system: SettingsSystem,
  named: string | undefined,
): string | undefined {
  const path =
    named === undefined
      ? `${system.hostPaths.etc}/citadel/agent.yml`
      : fromWorkingDirectory(system, named);
  const what = "configuration file";
  const file = readSettingsFile(gathering, system, path, { what, named: named !== undefined });
  if (file === undefined || file === "absent") return undefined;
  const problem = (name: string, line: number | undefined, rule: string) => {
    const source = `${what} ${path}${line === undefined ? "" : `:${line}`}`;
    gathering.problems.push({ name, value: undefined, source, rule });
  };
  const parsed = parseConfig(path, file.text);
  if (!parsed.ok) {
    problem(what, parsed.line, parsed.message);
    return path;
  }
  for (const { key, line } of parsed.twice) problem(key, line, "is said twice");
  for (const found of parsed.groups) {
    const group = groups.find((each) => each.name === (groupAliases[found.name] ?? found.name));
    if (group !== undefined) gatherGroup(gathering, file, group, found, problem);
    else if (!foreignGroups.includes(found.name)) {
      problem(found.name, found.line, `unknown group${suggestGroup(found.name)}`);
    }
  }
  return path;
}

function gatherGroup(
  gathering: Gathering,
  file: SettingsFile,
  group: Group,
  found: ConfigGroup,
  problem: (name: string, line: number | undefined, rule: string) => void,
): void {
  if (found.values === undefined) {
    problem(found.name, found.line, "must be a mapping of keys to values");
    return;
  }
  for (const [key, entry] of found.values) {
    const name = `${found.name}.${key}`;
    const secretKey = key.replace(/_file$/, "");
    const isSecretFile = secretKey !== key && group.fields[secretKey]?.type.secret === true;
    const fieldName = isSecretFile ? secretKey : key;
    const known = knownFields.find((each) => each.key === `${group.name}.${fieldName}`);
    if (known === undefined) {
      if (isForeignKey(group, key)) gathering.warn(`${name} has no effect`, { verboseOnly: true });
      else problem(name, entry.line, `unknown setting${suggestKey(group, key)}`);
      continue;
    }
    const strength = isSecretFile ? strengths.secretFile : strengths.name;
    const origin: Origin = { kind: "config-file", name, file: file.path, line: entry.line };
    if (file.worldReadable && !isSecretFile) {
      warnOfSecret(gathering, { what: "value", known, strength }, entry.value ?? "", file.path);
    }
    const value = known.field.type === octalMode ? unmangle(entry) : entry.value;
    gathering.add(known, { value, origin, strength, isSecretFile });
  }
}

/**
 * Takes back what YAML and TOML do to octal numbers: they read an unquoted 0755 as 755 and 0o755 as 493, which only
 * the written text tells apart.
 */
function unmangle({ value, written }: ConfigValue): unknown {
  if (typeof value !== "number" || written === undefined) return value;
  const octal = /^(?:0o)?([0-7]{3,4})$/.exec(written);
  return octal?.[1]?.padStart(4, "0") ?? value;
}
