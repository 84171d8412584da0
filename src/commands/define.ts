// The shape of a command: words and flags on one side, a run that calls an engine and returns an exit code on
// the other. `cli.ts` parses strictly, loads settings, opens the app, and turns what is thrown into an error.

import type { ArgsDef, ParsedArgs } from "citty";
import type { App } from "../app/app.ts";
import type { ExitCode } from "../core/index.ts";
import type { Output } from "../output/index.ts";

/** The global flags of `spec/cli.md`, parsed; accepted before and after the command. */
export interface GlobalFlags {
  readonly json: boolean;
  readonly root: string | undefined;
  readonly config: string | undefined;
  readonly envFile: string | undefined;
  readonly dryRun: boolean;
  readonly planHash: string | undefined;
  readonly yes: boolean;
  readonly lockTimeoutMs: number;
  readonly quiet: boolean;
  /** How often --verbose was given. */
  readonly verbosity: number;
  readonly logFormat: "pretty" | "json";
  readonly colour: boolean | undefined;
}

export interface CommandContext<T extends ArgsDef = ArgsDef> {
  readonly app: App;
  readonly args: ParsedArgs<T>;
  readonly globals: GlobalFlags;
  readonly out: Output;
  /** Aborts on the first SIGINT or SIGTERM; the second one ends the process at once. */
  readonly signal: AbortSignal;
}

export interface AgentCommand<T extends ArgsDef = ArgsDef> {
  readonly kind: "command";
  readonly description: string;
  readonly args: T;
  /** `change`: goes to agent.log with its outcome. `read`: never takes a lock, never writes. */
  readonly access: "read" | "change";
  /** Complete command lines, shown by --help. */
  readonly examples: readonly string[];
  run(context: CommandContext<T>): Promise<ExitCode>;
}

/** Declares a command; the types of `args` follow from the declaration. */
export function defineAgentCommand<const T extends ArgsDef>(
  command: Omit<AgentCommand<T>, "kind">,
): AgentCommand<T> {
  return { kind: "command", ...command };
}
