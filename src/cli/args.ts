// From checked flags and arguments to the typed `args` of a command: required ones, numbers, choices, lists.
// citty's parser fills in names, negations and defaults; what it lacks (strictness, numbers, lists) is here.

import type { ArgsDef as CittyArgs } from "citty";
import type { ArgDef, ArgsDef, ParsedArgs, PositionalArg } from "../commands/define.ts";
import { flagName } from "./globals.ts";
import { hintOf, quote, type Given, type GivenValue } from "./scan.ts";
import { nearest } from "./suggest.ts";
import { usageError } from "./usage-error.ts";

/** Where each argument of a command was given. */
export type Places = ReadonlyMap<string, readonly GivenValue[]>;

/** Gives every positional its values, in the order of declaration. @throws kind `usage`: missing, surplus */
export function placeArguments(args: ArgsDef, given: Given, verbs: readonly string[]): Places {
  const places = new Map<string, readonly GivenValue[]>(given.flags);
  const rest = [...given.positionals];
  for (const [name, def] of Object.entries(args)) {
    if (def.type !== "positional") {
      if (def.required === true && !places.has(name))
        throw usageError(
          "FLAG_REQUIRED",
          `${flagName(name)} is required`,
          `add ${flagName(name)} ${hintOf(def)}`,
        );
      continue;
    }
    const mine = def.multiple === true ? rest.splice(0) : rest.splice(0, 1);
    if (mine.length > 0) places.set(name, mine);
    else if (def.required !== false && def.default === undefined) {
      const word = placeholder(name, def);
      throw usageError(
        "ARGUMENT_MISSING",
        `missing argument ${word}`,
        `see --help for what ${word} is`,
      );
    }
  }
  const [surplus] = rest;
  if (surplus !== undefined) throw surplusError(surplus.value, args, verbs);
  return places;
}

/** `SOURCE` for `source`, or its valueHint. */
export function placeholder(name: string, def: PositionalArg): string {
  return def.valueHint ?? flagName(name).slice(2).toUpperCase();
}

function surplusError(word: string, args: ArgsDef, verbs: readonly string[]) {
  const flags = Object.keys(args).filter((name) => args[name]?.type !== "positional");
  const verb = nearest(word, verbs);
  const flag = flags.find((name) => flagName(name) === `--${word}`);
  const hint =
    verb !== undefined
      ? `did you mean \`${verb}\`?`
      : flag !== undefined
        ? `did you mean ${flagName(flag)}?`
        : "remove it; --help shows what the command takes";
  return usageError("ARGUMENT_SURPLUS", `surplus argument ${quote(word)}`, hint);
}

/** Converts and checks. @throws kind `usage`, code VALUE_INVALID */
export async function toParsedArgs(args: ArgsDef, places: Places): Promise<ParsedArgs> {
  const single: string[] = [];
  const positionals: string[] = [];
  const citty: Record<string, CittyArgs[string]> = {};
  for (const [name, def] of Object.entries(args)) {
    if ("multiple" in def && def.multiple === true) continue;
    citty[name] = cittyArg(def);
    const value = places.get(name)?.[0]?.value;
    if (value === undefined) continue;
    if (def.type === "positional") positionals.push(value);
    else if (def.type !== "boolean") single.push(`--${name}=${value}`);
    else single.push(value === "true" ? `--${name}` : `--no-${name}`);
  }
  const parsed =
    single.length + positionals.length === 0
      ? defaultsOf(citty)
      : await parseWithCitty([...single, "--", ...positionals], citty);
  const result: Record<string, unknown> = {};
  for (const [name, def] of Object.entries(args)) {
    const spelled = def.type === "positional" ? placeholder(name, def) : flagName(name);
    if ("multiple" in def && def.multiple === true) {
      const values = (places.get(name) ?? []).map(({ value }) => convert(def, spelled, value));
      const byDefault = def.default === undefined ? [] : [def.default];
      result[name] = values.length === 0 ? byDefault : values;
    } else {
      const value: unknown = parsed[name];
      result[name] = typeof value === "string" ? convert(def, spelled, value) : value;
    }
  }
  return result as ParsedArgs;
}

/** Loading citty takes 2 ms of a start: not for --help, wrong words, and where nothing was given to parse. */
async function parseWithCitty(
  words: string[],
  args: Record<string, CittyArgs[string]>,
): Promise<Record<string, unknown>> {
  const { parseArgs } = await import("citty");
  return parseArgs(words, args);
}

const defaultsOf = (args: Record<string, CittyArgs[string]>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(args).map(([name, arg]) => [name, arg["default"]]));

function cittyArg(def: ArgDef): CittyArgs[string] {
  if (def.type === "boolean")
    return { type: "boolean", ...(def.default === undefined ? {} : { default: def.default }) };
  const value = def.default === undefined ? {} : { default: String(def.default) };
  if (def.type === "positional") return { type: "positional", required: false, ...value };
  return { type: "string", ...value };
}

function convert(def: ArgDef, spelled: string, value: string): string | number {
  const isNumber = def.type === "number" || (def.type === "positional" && def.value === "number");
  if (isNumber) return toNumber(def, spelled, value);
  const options = "options" in def ? def.options : undefined;
  if (options !== undefined && !options.includes(value)) {
    const near = nearest(value, options);
    throw usageError(
      "VALUE_INVALID",
      `${spelled} cannot be ${quote(value)}`,
      near === undefined
        ? `one of: ${options.join(", ")}`
        : `did you mean ${near}? (${options.join(", ")})`,
    );
  }
  return value;
}

function toNumber(
  def: { min?: number; max?: number; fraction?: boolean },
  spelled: string,
  text: string,
): number {
  const value = /^-?(?:\d+(?:\.\d+)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
  const { min = -Infinity, max = Infinity, fraction = false } = def;
  const whole = fraction || Number.isSafeInteger(value);
  if (whole && value >= min && value <= max) return value;
  const what = fraction ? "a number" : "a whole number";
  const range =
    min === -Infinity && max === Infinity
      ? ""
      : max === Infinity
        ? `, at least ${min}`
        : min === -Infinity
          ? `, at most ${max}`
          : ` from ${min} to ${max}`;
  throw usageError("VALUE_INVALID", `${spelled} cannot be ${quote(text)}`, `give ${what}${range}`);
}
