// Reads the text of a configuration file (YAML, TOML or JSON by its extension) and finds the line of each key, which
// the parsers of the runtime do not tell.

import { messageOf } from "../core/index.ts";

export interface ConfigValue {
  readonly value: unknown;
  readonly line: number | undefined;
  /** The value as it is written, where it stands on the key's line; tells 0755 from 755. */
  readonly written: string | undefined;
}

export interface ConfigGroup {
  readonly name: string;
  readonly line: number | undefined;
  /** Undefined where the group is no mapping. */
  readonly values: ReadonlyMap<string, ConfigValue> | undefined;
}

export type ParsedConfig =
  | { readonly ok: true; readonly groups: readonly ConfigGroup[]; readonly twice: readonly Twice[] }
  | {
      readonly ok: false;
      readonly message: string;
      /** Where the text stops making sense, as far as that can be told. */
      readonly line?: number | undefined;
    };

/** A key that occurs twice: the parser takes the last one without a word. */
export interface Twice {
  readonly key: string;
  readonly line: number;
}

/** The extensions of configuration files. */
export const configExtensions: readonly string[] = [".yml", ".yaml", ".toml", ".json"];

function parserOf(path: string): ((text: string) => unknown) | undefined {
  if (/\.ya?ml$/i.test(path)) return (text) => Bun.YAML.parse(text);
  if (/\.toml$/i.test(path)) return (text) => Bun.TOML.parse(text);
  if (/\.json$/i.test(path)) return (text) => JSON.parse(text) as unknown;
  return undefined;
}

/** @param path decides the format by its extension */
export function parseConfig(path: string, text: string): ParsedConfig {
  const parse = parserOf(path);
  if (parse === undefined) {
    return { ok: false, message: `its name must end in ${configExtensions.join(", ")}` };
  }
  let parsed: unknown;
  try {
    parsed = parse(text.replace(/^\uFEFF/, ""));
  } catch (thrown) {
    return { ok: false, message: messageOf(thrown), line: findBrokenLine(text, parse) };
  }
  if (parsed === null || parsed === undefined) return { ok: true, groups: [], twice: [] };
  if (!isMapping(parsed)) return { ok: false, message: "it must be one mapping of groups" };
  const { places, twice } = findPlaces(text, /\.toml$/i.test(path));
  const groups = Object.entries(parsed).map(([name, group]) => ({
    name,
    line: places.get(name)?.line,
    values: valuesOf(name, group, places),
  }));
  return { ok: true, groups, twice };
}

/** The limit of the search for a broken line: it parses the text once for every line. */
const maxSearchedLines = 1000;

/** The parsers do not name a line: it is the one after the longest beginning that can be parsed. */
function findBrokenLine(text: string, parse: (text: string) => unknown): number | undefined {
  const lines = text.split("\n");
  if (lines.length > maxSearchedLines) return undefined;
  for (let count = lines.length - 1; count >= 0; count -= 1) {
    try {
      parse(lines.slice(0, count).join("\n"));
      return count + 1;
    } catch {
      // still broken: the fault is further up
    }
  }
  return undefined;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return (
    value !== null &&
    typeof value === "object" &&
    [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)
  );
}

function valuesOf(
  name: string,
  group: unknown,
  places: ReadonlyMap<string, Place>,
): ReadonlyMap<string, ConfigValue> | undefined {
  if (group === null) return new Map(); // a group whose keys are all commented out
  if (!isMapping(group)) return undefined;
  return new Map(
    Object.entries(group).map(([key, value]) => {
      const place = places.get(`${name}.${key}`);
      return [key, { value, line: place?.line, written: place?.written }];
    }),
  );
}

interface Place {
  readonly line: number;
  readonly written: string;
}

const yamlKey = /^( *)(?:"([^"]*)"|'([^']*)'|([A-Za-z_][\w-]*))\s*:(?:\s+(.*))?$/;
const tomlKey = /^\s*(?:"([^"]*)"|'([^']*)'|([\w-]+(?:\.[\w-]+)?))\s*=\s*(.*)$/;
const tomlTable = /^\s*\[\s*([\w-]+)\s*\]/;

/** Finds `group` and `group.key` in block style. What is written otherwise (flow style) has no place. */
function findPlaces(text: string, toml: boolean): { places: Map<string, Place>; twice: Twice[] } {
  const places = new Map<string, Place>();
  const twice: Twice[] = [];
  const note = (key: string, line: number, written: string) => {
    if (places.has(key)) twice.push({ key, line });
    places.set(key, { line, written: written.replace(/\s+#.*$/, "").trim() });
  };
  let group = "";
  let indent: number | undefined;
  for (const [at, line] of text.split(/\r\n|\n|\r/).entries()) {
    if (toml) {
      const table = tomlTable.exec(line)?.[1];
      const entry = tomlKey.exec(line);
      if (table !== undefined) note((group = table), at + 1, "");
      else if (entry !== null) {
        const key = entry[1] ?? entry[2] ?? entry[3] ?? "";
        note(group === "" ? key : `${group}.${key}`, at + 1, entry[4] ?? "");
      }
      continue;
    }
    const entry = yamlKey.exec(line);
    if (entry === null) continue;
    const depth = entry[1]?.length ?? 0;
    const key = entry[2] ?? entry[3] ?? entry[4] ?? "";
    if (depth === 0) {
      note((group = key), at + 1, entry[5] ?? "");
      indent = undefined;
    } else if (indent === undefined || depth === indent) {
      indent = depth;
      note(`${group}.${key}`, at + 1, entry[5] ?? "");
    }
  }
  return { places, twice };
}
