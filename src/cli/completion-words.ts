// What can follow what on a command line, as data: the shells' scripts are printed from it.

import type { AgentCommand, ArgDef, ArgsDef } from "../commands/define.ts";
import { flagName, globalArgs } from "./globals.ts";
import { spellings } from "./scan.ts";
import type { CommandMap, LazyCommand } from "./tree.ts";

export interface WordChoice {
  readonly word: string;
  readonly summary: string;
}

export interface FlagChoice extends WordChoice {
  /** undefined: takes no value; empty: any value (files are offered). */
  readonly values: readonly string[] | undefined;
}

/** What may come after the words of `path`: `/` is the program alone, `/backup/create` a command. */
export interface CompletionPlace {
  readonly path: string;
  readonly words: readonly WordChoice[];
  readonly flags: readonly FlagChoice[];
}

/** Loads every command once. */
export async function readCompletionPlaces(map: CommandMap): Promise<CompletionPlace[]> {
  return await placesOf(map, "", undefined);
}

async function placesOf(
  map: CommandMap,
  path: string,
  self: LazyCommand | undefined,
): Promise<CompletionPlace[]> {
  const own = self === undefined ? undefined : (await self.load()).command;
  const words = Object.entries(map).map(([word, { summary }]) => ({ word, summary }));
  const places = [placeOf(path, own, words)];
  for (const [word, node] of Object.entries(map)) {
    const below = `${path}/${word}`;
    if (node.kind === "group") places.push(...(await placesOf(node.commands, below, node.self)));
    else places.push(placeOf(below, (await node.load()).command, []));
  }
  return places;
}

function placeOf(
  path: string,
  command: AgentCommand | undefined,
  words: readonly WordChoice[],
): CompletionPlace {
  const args: ArgsDef = command?.args ?? {};
  const choices = Object.values(args).flatMap((def) =>
    def.type === "positional" ? (def.options ?? []) : [],
  );
  return {
    path: path === "" ? "/" : path,
    words: [...words, ...choices.map((word) => ({ word, summary: "" }))],
    flags: [...flagsOf(args), ...flagsOf(globalArgs)],
  };
}

function flagsOf(args: ArgsDef): FlagChoice[] {
  return Object.entries(args).flatMap(([name, def]) => {
    const summary = def.description ?? "";
    const values = valuesOf(def);
    const words = spellings({ [name]: def }).filter((word) => word.startsWith("--"));
    if (def.type === "boolean" && (def.default === true || name === "color"))
      return [{ word: `--no-${flagName(name).slice(2)}`, summary, values }];
    return words.map((word) => ({ word, summary, values }));
  });
}

function valuesOf(def: ArgDef): readonly string[] | undefined {
  if (def.type === "boolean") return undefined;
  return "options" in def ? (def.options ?? []) : [];
}
