// The map of commands as data: groups and lazily loaded commands. Nothing here loads a command's module.

import type { AgentCommand } from "../commands/define.ts";

/** A command whose module is loaded when it is called. */
export interface LazyCommand {
  readonly kind: "lazy";
  /** One line for the list of commands. */
  readonly summary: string;
  load(): Promise<{ readonly command: AgentCommand }>;
}

export interface CommandGroup {
  readonly kind: "group";
  readonly summary: string;
  readonly commands: CommandMap;
  /** Runs when no verb follows (`monitor` beside `monitor stop`). */
  readonly self: LazyCommand | undefined;
}

export type CommandNode = LazyCommand | CommandGroup;
export type CommandMap = Readonly<Record<string, CommandNode>>;

/** A command and where its module is; the module exports `command`. */
export function lazy(summary: string, load: LazyCommand["load"]): LazyCommand {
  return { kind: "lazy", summary, load };
}

/** A noun with verbs; `self` runs when no verb is given. */
export function group(summary: string, commands: CommandMap, self?: LazyCommand): CommandGroup {
  return { kind: "group", summary, commands, self };
}

/** Every command with its words, groups left out unless they run by themselves. */
export function listCommands(
  map: CommandMap,
  words: readonly string[] = [],
): { words: readonly string[]; command: LazyCommand }[] {
  return Object.entries(map).flatMap(([word, node]) => {
    const here = [...words, word];
    if (node.kind === "lazy") return [{ words: here, command: node }];
    const own = node.self === undefined ? [] : [{ words: here, command: node.self }];
    return [...own, ...listCommands(node.commands, here)];
  });
}
