// Help that fits a screen: the program, a group of commands, one command. Plain text; colour only for headings.

import type { AgentCommand, ArgDef, ArgsDef } from "../commands/define.ts";
import type { Style } from "../output/style.ts";
import { placeholder } from "./args.ts";
import { flagName, globalArgs } from "./globals.ts";
import { hintOf } from "./scan.ts";
import type { CommandGroup, CommandMap } from "./tree.ts";

const columns = 80;

/** Headings of the first screen and the commands below them; what is in no list comes last. */
export type HelpSections = readonly (readonly [heading: string, commands: readonly string[]])[];

/** `citadel-agent` alone: every command in one screen. */
export function formatRootHelp(map: CommandMap, sections: HelpSections, style: Style): string {
  const listed = new Set(sections.flatMap(([, words]) => words));
  const rest = Object.keys(map).filter((word) => !listed.has(word));
  const lines = [
    "citadel-agent: lays out, guards, backs up, tunes the storage of GPU model hosts",
    "",
  ];
  for (const [heading, words] of [...sections, ["More", rest] as const]) {
    const present = words.flatMap((word) => {
      const node = map[word];
      return node === undefined ? [] : [[word, node.summary] as const];
    });
    if (present.length === 0) continue;
    lines.push(
      style.paint("strong", heading),
      ...present.map(([word, summary]) => row(word, summary, 12)),
    );
  }
  lines.push(
    "",
    ...wrap(`${style.paint("strong", "Everywhere")}: ${globalUsage()}`, columns, 2),
    "`COMMAND --help` shows flags and examples, `explain CODE` what an error means.",
  );
  return lines.join("\n");
}

/** A noun: its verbs. */
export function formatGroupHelp(
  words: readonly string[],
  group: CommandGroup,
  style: Style,
): string {
  const name = ["citadel-agent", ...words].join(" ");
  const entries = Object.entries(group.commands);
  const width = Math.max(...entries.map(([word]) => word.length)) + 2;
  const lines = [`${name}: ${group.summary}`, "", style.paint("strong", "Commands")];
  for (const [word, node] of entries) {
    const verbs = node.kind === "group" ? ` (${Object.keys(node.commands).join("|")})` : "";
    lines.push(row(word, node.summary + verbs, width));
  }
  lines.push("", `\`${name} COMMAND --help\` shows flags and examples.`);
  return lines.join("\n");
}

/** One command: usage, arguments, flags, examples. */
export function formatCommandHelp(
  words: readonly string[],
  command: AgentCommand,
  group: CommandGroup,
  style: Style,
): string {
  const name = ["citadel-agent", ...words].join(" ");
  const heading = (text: string) => style.paint("strong", text);
  const lines = [...wrap(`${name}: ${command.description}`, columns, 2)];
  if (command.details !== undefined) lines.push("", ...command.details.trim().split("\n"));
  lines.push("", ...wrap(`${heading("Usage")}: ${name}${usageOf(command.args)}`, columns, 7));
  const verbs = Object.keys(group.commands);
  const isSelf =
    group.self !== undefined && words.at(-1) !== undefined && !verbs.includes(words.at(-1) ?? "");
  if (isSelf && verbs.length > 0) lines.push(`       ${name} ${verbs.join("|")} …`);
  const rows = helpRows(command.args);
  if (rows.length > 0) lines.push("", heading("Arguments and flags"), ...layOut(rows));
  if (command.examples.length > 0)
    lines.push("", heading("Examples"), ...command.examples.map((example) => `  ${example}`));
  lines.push("", ...wrap(`${heading("Everywhere")}: ${globalUsage()}`, columns, 2));
  return lines.join("\n");
}

function globalUsage(): string {
  return Object.entries(globalArgs)
    .map(([name, def]) => {
      if (name === "color") return "--no-color";
      const short = "alias" in def && (name === "dryRun" || name === "yes") ? `/-${def.alias}` : "";
      return `${flagName(name)}${short}${def.type === "boolean" ? "" : ` ${hintOf(def)}`}`;
    })
    .join(" ");
}

function usageOf(args: ArgsDef): string {
  let hasFlags = false;
  let text = "";
  for (const [name, def] of Object.entries(args)) {
    if (def.type === "positional") {
      const word = placeholder(name, def) + (def.multiple === true ? "…" : "");
      text += def.required === false || def.default !== undefined ? ` [${word}]` : ` ${word}`;
    } else if (def.required === true) text += ` ${flagName(name)} ${hintOf(def)}`;
    else hasFlags = true;
  }
  return (hasFlags ? " [flags]" : "") + text;
}

function helpRows(args: ArgsDef): (readonly [string, string])[] {
  return Object.entries(args).flatMap(([name, def]) =>
    def.hidden === true ? [] : [[spellingOf(name, def), describe(def)] as const],
  );
}

function spellingOf(name: string, def: ArgDef): string {
  if (def.type === "positional") return placeholder(name, def);
  const aliases =
    def.alias === undefined ? [] : typeof def.alias === "string" ? [def.alias] : def.alias;
  const short = aliases.filter((alias) => alias.length === 1).map((alias) => `-${alias}, `);
  const negative =
    def.type === "boolean" && def.default === true
      ? `--no-${flagName(name).slice(2)}`
      : flagName(name);
  return `${short.join("")}${negative}${def.type === "boolean" ? "" : ` ${hintOf(def)}`}`;
}

function describe(def: ArgDef): string {
  const negative =
    def.type === "boolean" && def.default === true ? def.negativeDescription : undefined;
  const text = negative ?? def.description ?? "";
  const choices =
    def.type === "positional" && def.options !== undefined ? ` (${def.options.join(", ")})` : "";
  const byDefault =
    def.default === undefined || typeof def.default === "boolean" ? "" : ` [${def.default}]`;
  const times =
    def.type !== "positional" && "multiple" in def && def.multiple === true ? " (repeatable)" : "";
  return text + choices + times + byDefault;
}

function layOut(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(30, Math.max(...rows.map(([left]) => left.length)) + 2);
  return rows.flatMap(([left, right]) => row(left, right, width).split("\n"));
}

function row(left: string, right: string, width: number): string {
  const gap = left.length < width ? " ".repeat(width - left.length) : "  ";
  return wrap(`  ${left}${gap}${right}`, columns, width + 2).join("\n");
}

function wrap(text: string, limit: number, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/(?<=\S) (?=\S)/)) {
    if (line !== "" && Bun.stringWidth(`${line} ${word}`) > limit) {
      lines.push(line);
      line = " ".repeat(indent) + word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}
