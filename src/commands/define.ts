// The shape of a command: words and flags on one side, a run that calls an engine and returns an exit code on
// the other. `cli.ts` lists the commands, `cli/run.ts` parses strictly, loads settings, opens the app, and turns
// what is thrown into an error.

import type { App } from "../app/app.ts";
import type { ExitCode } from "../core/index.ts";
import type { Output } from "../output/index.ts";

interface ArgBase {
  readonly description?: string;
  /** What stands for the value in the help: `--to DIR`. */
  readonly valueHint?: string;
  /** Masked in agent.log. Secrets should come from files; this is for those who do it all the same. */
  readonly secret?: boolean;
  /** The setting that this value overrides for the run, as `group.key`: `monitoring.check_interval`. */
  readonly setting?: string;
  /** Accepted, but not shown by --help and completion: former spellings. */
  readonly hidden?: boolean;
}

interface FlagBase extends ArgBase {
  /** Other names; one letter is a short flag: `alias: "f"` is `-f`. */
  readonly alias?: string | readonly string[];
  readonly required?: boolean;
}

/** `--name`, `--no-name`. */
export interface BooleanArg extends FlagBase {
  readonly type: "boolean";
  readonly default?: boolean;
  /** Said of `--no-name` in the help; shown when given or when the default is true. */
  readonly negativeDescription?: string;
}

/** `--name VALUE`, `--name=VALUE`; with `multiple`, any number of times. */
export interface StringArg extends FlagBase {
  readonly type: "string";
  readonly default?: string;
  readonly multiple?: boolean;
}

/** A decimal number within `min` and `max`; whole unless `fraction`. */
export interface NumberArg extends FlagBase {
  readonly type: "number";
  readonly default?: number;
  readonly min?: number;
  readonly max?: number;
  readonly fraction?: boolean;
  readonly multiple?: boolean;
}

export interface EnumArg extends FlagBase {
  readonly type: "enum";
  readonly options: readonly string[];
  readonly default?: string;
  readonly multiple?: boolean;
}

/**
 * An argument without a flag, in the order of declaration. Required unless `required: false` or a default is given.
 * `multiple` (the last one only) takes all that remain. `value: "number"` checks and converts as NumberArg does;
 * `options` as EnumArg does.
 */
export interface PositionalArg extends ArgBase {
  readonly type: "positional";
  readonly required?: boolean;
  readonly default?: string | number;
  readonly multiple?: boolean;
  readonly value?: "string" | "number";
  readonly options?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly fraction?: boolean;
}

export type ArgDef = BooleanArg | StringArg | NumberArg | EnumArg | PositionalArg;
/** Keys in camelCase are flags in kebab-case: `sampleRate` is `--sample-rate`. */
export type ArgsDef = Readonly<Record<string, ArgDef>>;

type ValueOf<A extends ArgDef> = A extends { type: "boolean" }
  ? boolean
  : A extends { type: "number" } | { value: "number" }
    ? number
    : A extends { options: readonly (infer O extends string)[] }
      ? O
      : string;

type IsPresent<A extends ArgDef> = A extends { default: string | number | boolean }
  ? true
  : A extends { type: "positional" }
    ? A extends { required: false }
      ? false
      : true
    : A extends { required: true }
      ? true
      : false;

type ParsedArg<A extends ArgDef> = A extends { multiple: true }
  ? readonly ValueOf<A>[]
  : IsPresent<A> extends true
    ? ValueOf<A>
    : ValueOf<A> | undefined;

/** What `run` gets: one member per declared argument, exactly typed. A boolean without default is undefined unless given. */
export type ParsedArgs<T extends ArgsDef = ArgsDef> = {
  readonly [K in keyof T]: ParsedArg<T[K]>;
};

/** The global flags of `spec/cli.md`, parsed; accepted before and after the command. */
export interface GlobalFlags {
  readonly json: boolean;
  /** Real, absolute. */
  readonly root: string | undefined;
  /** Real, absolute. */
  readonly config: string | undefined;
  /** Real, absolute. */
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
  /** The words that chose the command: `["links", "create"]`. */
  readonly words: readonly string[];
  /**
   * The bytes of an argument as the caller typed them: `args` holds U+FFFD where they are not UTF-8.
   * @returns one Buffer for each time the argument was given; empty when it was not
   */
  rawBytes(name: keyof T & string): Buffer[];
}

interface CommandInit<T extends ArgsDef> {
  /** One sentence, lower case, without a full stop. */
  readonly description: string;
  readonly args: T;
  /** `change`: goes to agent.log with its outcome. `read`: never takes a lock, never writes. */
  readonly access: "read" | "change";
  /** For a command that reads unless told otherwise: whether these arguments make it change (`env --write`). */
  readonly changes?: (args: ParsedArgs<T>) => boolean;
  /** Complete command lines, shown by --help. */
  readonly examples: readonly string[];
  /** A paragraph or two for --help, at most 76 columns wide; the screen has 24 lines. */
  readonly details?: string;
  /**
   * `required` (default): settings are loaded before `run` and errors in them end the command with 2.
   * `none`: `app.settings` throws; for commands that work without (explain, completion) or load for themselves.
   */
  readonly settings?: "required" | "none";
  /**
   * `refused`: a changing command that has no plan to show; `--dry-run` ends it with 2 before it runs. Without this
   * a changing command must look at `globals.dryRun` itself: ignoring it would change what it must not.
   */
  readonly dryRun?: "refused";
  /** Runs until it is told to stop: a clean stop by SIGINT or SIGTERM is exit 0, a stray rejection is only logged. */
  readonly daemon?: boolean;
  run(context: CommandContext<T>): Promise<ExitCode>;
}

export interface AgentCommand<T extends ArgsDef = ArgsDef> extends CommandInit<T> {
  readonly kind: "command";
}

/** Declares a command; the types of `args` follow from the declaration. Export the result as `command`. */
export function defineAgentCommand<const T extends ArgsDef>(command: CommandInit<T>): AgentCommand {
  // The declared types end here: cli/args.ts builds `args` from the same declaration.
  return { kind: "command", ...command } as unknown as AgentCommand;
}
