// The global flags of spec/cli.md: declared once, for the parser, the help and the completion.

import type { ArgsDef, GlobalFlags } from "../commands/define.ts";
import type { Given } from "./scan.ts";
import { usageError } from "./usage-error.ts";

export const globalArgs = {
  json: { type: "boolean", description: "print one JSON document on stdout" },
  config: { type: "string", valueHint: "FILE", description: "read settings from FILE" },
  envFile: { type: "string", valueHint: "FILE", description: "read variables from FILE" },
  root: { type: "string", valueHint: "DIR", description: "work on the host below DIR" },
  dryRun: { type: "boolean", alias: "n", description: "print the plan, change nothing" },
  planHash: { type: "string", valueHint: "H", description: "apply only the plan with this hash" },
  yes: { type: "boolean", alias: "y", description: "do not ask" },
  lockTimeout: {
    type: "number",
    valueHint: "S",
    min: 0,
    max: 86_400,
    fraction: true,
    default: 10,
    description: "wait S seconds for the lock (10)",
  },
  quiet: { type: "boolean", alias: "q", description: "only warnings and errors on stderr" },
  verbose: { type: "boolean", alias: "v", description: "more on stderr; may be repeated" },
  logFormat: {
    type: "enum",
    options: ["pretty", "json"],
    default: "pretty",
    description: "form of the log on stderr",
  },
  color: { type: "boolean", description: "colours; --no-color: none" },
  help: { type: "boolean", alias: "h", description: "help on a command" },
  version: { type: "boolean", alias: "V", description: "version, commit, Bun, build time, target" },
} as const satisfies ArgsDef;

/** What may be given more than once although it holds no list. */
export const countedGlobals: ReadonlySet<string> = new Set(["verbose"]);

/** @param absolute makes a path given by the caller absolute, from the working directory */
export function toGlobalFlags(given: Given, absolute: (path: string) => string): GlobalFlags {
  const text = (name: keyof typeof globalArgs) => given.flags.get(name)?.at(-1)?.value;
  const on = (name: keyof typeof globalArgs) => text(name) === "true";
  const file = (name: "config" | "envFile" | "root") => {
    const value = text(name);
    if (value === "")
      throw usageError("VALUE_INVALID", `empty value for ${flagName(name)}`, "name a path");
    return value === undefined ? undefined : absolute(value);
  };
  const colour = text("color");
  const planHash = text("planHash");
  if (planHash === "")
    throw usageError(
      "VALUE_INVALID",
      "empty value for --plan-hash",
      "take it from the output of --dry-run",
    );
  return {
    json: on("json"),
    root: file("root"),
    config: file("config"),
    envFile: file("envFile"),
    dryRun: on("dryRun"),
    planHash,
    yes: on("yes"),
    lockTimeoutMs: Math.round(Number(text("lockTimeout") ?? globalArgs.lockTimeout.default) * 1000),
    quiet: on("quiet"),
    verbosity: (given.flags.get("verbose") ?? []).filter(({ value }) => value === "true").length,
    logFormat: text("logFormat") === "json" ? "json" : "pretty",
    colour: colour === undefined ? undefined : colour === "true",
  };
}

/** `dryRun` is spelled `--dry-run`. */
export function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
