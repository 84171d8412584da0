// The global flags of spec/cli.md: declared once, for the parser, the help and the completion.

import type { ArgsDef } from "../commands/define.ts";

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

/** `dryRun` is spelled `--dry-run`. */
export function flagName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
