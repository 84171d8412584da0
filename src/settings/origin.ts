// Where a value came from, and what is said about a wrong one.

import { CitadelError } from "../core/index.ts";

/** From strongest to weakest; `script` is the environment of a sourced storage-env.sh, `derived` follows a root. */
export type OriginKind =
  "flag" | "environment" | "env-file" | "config-file" | "script" | "derived" | "default";

export interface Origin {
  readonly kind: OriginKind;
  /** The variable, flag or file key that was used; of a derived path the key it follows; of a default its variable. */
  readonly name: string;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  /** The file or credential that `<NAME>_FILE` or the service manager pointed to. */
  readonly secretFile?: string | undefined;
}

/** `environment`, `env file /etc/citadel/agent.env:3`, `default`… */
export function formatOrigin(origin: Origin): string {
  const place = origin.file === undefined ? "" : ` ${origin.file}${lineOf(origin)}`;
  const secret = origin.secretFile === undefined ? "" : `, secret from ${origin.secretFile}`;
  return `${words[origin.kind]}${origin.kind === "derived" ? ` ${origin.name}` : place}${secret}`;
}

function lineOf(origin: Origin): string {
  return origin.line === undefined ? "" : `:${origin.line}`;
}

const words: Readonly<Record<OriginKind, string>> = {
  flag: "flag",
  environment: "environment",
  "env-file": "env file",
  "config-file": "configuration file",
  script: "storage-env.sh",
  derived: "follows",
  default: "default",
};

/** One thing that is wrong: which setting, what it was, where it was said, and the rule it breaks. */
export interface Problem {
  /** The variable, flag or file key as it was written. */
  readonly name: string;
  /** The value as text, masked for secrets; undefined where the problem is not about a value. */
  readonly value: string | undefined;
  readonly source: string;
  readonly rule: string;
}

export interface SettingsWarning {
  readonly message: string;
  /** Said with `--verbose` alone: about variables that may belong to another program. */
  readonly verboseOnly: boolean;
  /** An error for `config check`. */
  readonly failsCheck: boolean;
}

/** One line: `BACKUP_PARALLEL_JOBS="99" (environment): must be a whole number from 1 to 16`. */
export function formatProblem({ name, value, source, rule }: Problem): string {
  return `${name}${value === undefined ? "" : `=${value}`} (${source}): ${rule}`;
}

/** The error that names every problem at once. */
export function settingsError(problems: readonly Problem[]): CitadelError {
  const count =
    problems.length === 1 ? "a setting is wrong" : `${problems.length} settings are wrong`;
  return new CitadelError({
    kind: "settings",
    code: "SETTINGS_INVALID",
    message: `${count}:\n${problems.map((each) => `  ${formatProblem(each)}`).join("\n")}`,
    hint: "correct the values at the places named; `citadel-agent config check` shows what is left",
    details: { problems },
  });
}
