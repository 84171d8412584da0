// Walks the command line once, strictly: finds the command, and every flag and argument with its place. What nobody
// declared, what was given twice and what lacks a value ends here, before anything runs (citty by itself ignores
// what it does not know). Types and ranges of values are checked in `args.ts`.

import type { AgentCommand, ArgDef, ArgsDef } from "../commands/define.ts";
import { countedGlobals, flagName, globalArgs } from "./globals.ts";
import { nearest } from "./suggest.ts";
import type { CommandGroup, CommandMap, LazyCommand } from "./tree.ts";
import { usageError } from "./usage-error.ts";

/** A value and where it stood: the index in the arguments, and how many bytes of that argument to skip. */
export interface GivenValue {
  readonly value: string;
  readonly index: number;
  readonly skipBytes: number;
}

export interface Given {
  /** By declared name; booleans are "true" or "false". */
  readonly flags: Map<string, GivenValue[]>;
  readonly positionals: GivenValue[];
}

export interface Scanned {
  readonly words: readonly string[];
  /** Undefined: no command, or a group without a verb. */
  readonly command: AgentCommand | undefined;
  /** The group that holds the command, or that was named without a verb. */
  readonly group: CommandGroup;
  readonly own: Given;
  readonly globals: Given;
}

interface Flag {
  readonly name: string;
  readonly def: ArgDef;
  readonly negated: boolean;
  readonly global: boolean;
}

/** @throws kind `usage` for whatever is not declared */
export async function scanCommandLine(map: CommandMap, argv: readonly string[]): Promise<Scanned> {
  const scan = new Scan(map, argv);
  await scan.walk();
  return scan;
}

/** What other programs have as commands. */
const wordsForFlags = new Set(["help", "version"]);

const emptyGiven = (): Given => ({ flags: new Map(), positionals: [] });

class Scan implements Scanned {
  readonly words: string[] = [];
  readonly own = emptyGiven();
  readonly globals = emptyGiven();
  command: AgentCommand | undefined;
  group: CommandGroup;
  readonly #argv: readonly string[];
  #at = 0;

  constructor(map: CommandMap, argv: readonly string[]) {
    this.group = { kind: "group", summary: "", commands: map, self: undefined };
    this.#argv = argv;
  }

  async walk(): Promise<void> {
    for (; this.#at < this.#argv.length; this.#at += 1) {
      const token = this.#argv[this.#at] ?? "";
      if (token === "--") return this.#takeRest();
      if (token.startsWith("--")) await this.#longFlag(token);
      else if (token.startsWith("-") && token !== "-") await this.#shortFlags(token);
      else await this.#word(token);
    }
    if (this.command === undefined && this.group.self !== undefined)
      await this.#choose(this.group.self);
  }

  async #takeRest(): Promise<void> {
    if (this.command === undefined && this.group.self !== undefined)
      await this.#choose(this.group.self);
    for (let index = this.#at + 1; index < this.#argv.length; index += 1) {
      const value = this.#argv[index] ?? "";
      if (this.command === undefined) throw this.#unknownCommand(value);
      this.own.positionals.push({ value, index, skipBytes: 0 });
    }
  }

  async #word(token: string): Promise<void> {
    if (this.command === undefined) {
      const node = Object.hasOwn(this.group.commands, token)
        ? this.group.commands[token]
        : undefined;
      if (node !== undefined) {
        this.words.push(token);
        if (node.kind === "group") this.group = node;
        else await this.#choose(node);
        return;
      }
      if (this.group.self === undefined) throw this.#unknownCommand(token);
      await this.#choose(this.group.self);
    }
    this.own.positionals.push({ value: token, index: this.#at, skipBytes: 0 });
  }

  async #choose(lazy: LazyCommand): Promise<void> {
    this.command = (await lazy.load()).command;
  }

  #unknownCommand(token: string) {
    const known = Object.keys(this.group.commands);
    const near = wordsForFlags.has(token) ? undefined : nearest(token, known);
    const prefix = ["citadel-agent", ...this.words].join(" ");
    const hint = wordsForFlags.has(token)
      ? `did you mean \`${prefix} --${token}\`?`
      : near === undefined
        ? `\`${prefix} --help\` lists them: ${known.join(", ")}`
        : `did you mean \`${prefix} ${near}\`?`;
    return usageError(
      "COMMAND_UNKNOWN",
      `unknown command ${quote([...this.words, token].join(" "))}`,
      hint,
    );
  }

  async #longFlag(token: string): Promise<void> {
    const equals = token.indexOf("=");
    const spelled = equals === -1 ? token : token.slice(0, equals);
    const flag = await this.#findFlag(spelled);
    if (flag === undefined) throw this.#unknownFlag(spelled);
    const inline = equals === -1 ? undefined : token.slice(equals + 1);
    this.#take(flag, spelled, inline, Buffer.byteLength(spelled) + 1);
  }

  /** `-n`, `-ny`, `-f FILE`, `-f=FILE`. */
  async #shortFlags(token: string): Promise<void> {
    const letters = Array.from(token.slice(1));
    for (const [at, letter] of letters.entries()) {
      const flag = await this.#findFlag(`-${letter}`);
      if (flag === undefined)
        throw this.#unknownFlag(letters.length === 1 ? token : `-${letter}`, token);
      const rest = letters.slice(at + 1).join("");
      if (flag.def.type === "boolean" && !rest.startsWith("=")) {
        this.#take(flag, `-${letter}`, undefined, 0);
        continue;
      }
      const inline = rest.startsWith("=") ? rest.slice(1) : rest === "" ? undefined : rest;
      const skip = Buffer.byteLength(token) - Buffer.byteLength(inline ?? "");
      return this.#take(flag, `-${letter}`, inline, skip);
    }
  }

  async #findFlag(spelled: string): Promise<Flag | undefined> {
    const global = findIn(globalArgs, spelled, true);
    if (global !== undefined) return global;
    if (this.command === undefined && this.group.self !== undefined)
      await this.#choose(this.group.self);
    return this.command === undefined ? undefined : findIn(this.command.args, spelled, false);
  }

  #unknownFlag(spelled: string, within = spelled) {
    const known = [...spellings(this.command?.args ?? {}), ...spellings(globalArgs)];
    const near = nearest(spelled, known);
    const where = ["citadel-agent", ...this.words].join(" ");
    const early = this.command === undefined ? "; the flags of a command come after it" : "";
    const hint = /^-\d+$/.test(spelled)
      ? `numbers are not negative here; see \`${where} --help\``
      : near === undefined
        ? `see \`${where} --help\``
        : `did you mean ${near}?`;
    const inside = within === spelled ? "" : ` in ${quote(within)}`;
    return usageError(
      "FLAG_UNKNOWN",
      `unknown flag ${quote(spelled)}${inside} of \`${where}\`${early}`,
      hint,
    );
  }

  #take(flag: Flag, spelled: string, inline: string | undefined, skipBytes: number): void {
    const index = this.#at;
    const value =
      flag.def.type === "boolean"
        ? booleanValue(flag, spelled, inline)
        : (inline ?? this.#nextValue(flag.def, spelled));
    const given = flag.global ? this.globals : this.own;
    const before = given.flags.get(flag.name) ?? [];
    if (before.length > 0 && !mayRepeat(flag)) {
      throw usageError(
        "FLAG_REPEATED",
        `${flagName(flag.name)} was given more than once`,
        `give ${flagName(flag.name)} once`,
      );
    }
    const place = this.#at === index ? { index, skipBytes } : { index: this.#at, skipBytes: 0 };
    given.flags.set(flag.name, [...before, { value, ...place }]);
  }

  #nextValue(def: ArgDef, spelled: string): string {
    const next = this.#argv[this.#at + 1];
    const isNegativeNumber = def.type === "number" && /^-[\d.]/.test(next ?? "");
    if (next === undefined || (next.startsWith("-") && next !== "-" && !isNegativeNumber)) {
      const why =
        next === undefined ? "" : `; a value that starts with - is written ${spelled}=${next}`;
      throw usageError(
        "VALUE_MISSING",
        `${spelled} needs a value`,
        `write ${spelled} ${hintOf(def)}${why}`,
      );
    }
    this.#at += 1;
    return next;
  }
}

function mayRepeat({ name, def, global }: Flag): boolean {
  return (global && countedGlobals.has(name)) || ("multiple" in def && def.multiple === true);
}

function booleanValue(flag: Flag, spelled: string, inline: string | undefined): string {
  if (inline === undefined) return String(!flag.negated);
  if ((inline === "true" || inline === "false") && !flag.negated) return inline;
  throw usageError(
    "VALUE_INVALID",
    `${spelled} takes no value, but ${quote(inline)} was given`,
    `write ${flagName(flag.name)} or --no-${flagName(flag.name).slice(2)}`,
  );
}

/** What stands for the value of a flag: `FILE`, `full|incremental`, `N`. */
export function hintOf(def: ArgDef): string {
  if ("valueHint" in def && def.valueHint !== undefined) return def.valueHint;
  if ("options" in def && def.options !== undefined) return def.options.join("|");
  return def.type === "number" ? "N" : "VALUE";
}

function aliasesOf(def: ArgDef): readonly string[] {
  if (def.type === "positional" || def.alias === undefined) return [];
  return typeof def.alias === "string" ? [def.alias] : def.alias;
}

const dashed = (alias: string) => (alias.length === 1 ? `-${alias}` : flagName(alias));

function findIn(args: ArgsDef, spelled: string, global: boolean): Flag | undefined {
  const positive = spelled.startsWith("--no-") ? `--${spelled.slice(5)}` : undefined;
  for (const [name, def] of Object.entries(args)) {
    if (def.type === "positional") continue;
    const names = [flagName(name), ...aliasesOf(def).map(dashed)];
    if (names.includes(spelled)) return { name, def, negated: false, global };
    if (def.type === "boolean" && positive !== undefined && names.includes(positive))
      return { name, def, negated: true, global };
  }
  return undefined;
}

/** Every way to write the flags of `args`, hidden ones left out: `--force`, `-f`. */
export function spellings(args: ArgsDef): string[] {
  return Object.entries(args).flatMap(([name, def]) =>
    def.type === "positional" || def.hidden === true
      ? []
      : [flagName(name), ...aliasesOf(def).map(dashed)],
  );
}

/** Quotes a word of the caller for a message; control characters are escaped. */
export function quote(word: string): string {
  return JSON.stringify(word);
}
