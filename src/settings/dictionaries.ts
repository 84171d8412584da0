// Settings that hold several values: dictionaries (JSON object text in a variable, a mapping in a file) and the
// bounds of the history.

import * as v from "valibot";
import type { FieldType } from "./field.ts";
import { cron, integer } from "./types.ts";

const notJson = "a JSON object";

function parseObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A name that becomes one part of a path: a directory, a link. */
export function isPathPart(name: string): boolean {
  return (
    name !== "" &&
    name !== "." &&
    name !== ".." &&
    !/[/\0]/.test(name) &&
    Buffer.byteLength(name) <= 255 // NAME_MAX, limits.h
  );
}

/**
 * A dictionary. The value replaces the default, it is not merged with it.
 * @param key what a key must be, in words, and its test
 */
function dictionary<T>(
  rule: string,
  isKey: (key: string) => boolean,
  value: () => v.GenericSchema<unknown, T>,
): FieldType<Readonly<Record<string, T>>> {
  return {
    rule: `${notJson}: ${rule}`,
    schema: () =>
      v.pipe(
        v.union([v.pipe(v.string(), v.transform(parseObject)), v.looseObject({})]),
        v.check((parsed) => !Array.isArray(parsed) && !hasReservedKey(parsed)),
        v.record(v.pipe(v.string(), v.check(isKey)), value()),
      ),
    format: (entries) => JSON.stringify(entries),
  };
}

/** Keys that `v.record` leaves out without a word, to protect prototypes. */
function hasReservedKey(parsed: unknown): boolean {
  if (parsed === null || typeof parsed !== "object") return false;
  return ["__proto__", "constructor", "prototype"].some((key) => Object.hasOwn(parsed, key));
}

/**
 * A dictionary of strings, as `dictionary`: with ten thousand links a schema for each key and each value is what a
 * command would spend most of its start on.
 */
function textDictionary(
  rule: string,
  isKey: (key: string) => boolean,
  isValue: (value: string) => boolean,
): FieldType<Readonly<Record<string, string>>> {
  return {
    rule: `${notJson}: ${rule}`,
    schema: () =>
      v.pipe(
        v.unknown(),
        v.transform((given) => (typeof given === "string" ? parseObject(given) : given)),
        v.rawCheck(({ dataset, addIssue }) => {
          const { value: parsed } = dataset;
          if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) addIssue();
          else if (hasReservedKey(parsed)) addIssue();
          else {
            const input = parsed as Readonly<Record<string, unknown>>;
            for (const key of Object.keys(input)) {
              const value = input[key];
              if (isKey(key) && typeof value === "string" && isValue(value)) continue;
              addIssue({ path: [{ type: "object", origin: "value", input, key, value }] });
              return;
            }
          }
        }),
        v.transform((parsed) => parsed as Readonly<Record<string, string>>),
      ),
    format: (entries) => JSON.stringify(entries),
  };
}

const isText = (key: string) => key.trim() !== "";

export const modelDirectories = textDictionary(
  "key -> name of a directory (no `/`, not `.` or `..`, not empty)",
  isText,
  isPathPart,
);

/** Whether something is left of an alias once all but letters and digits are taken off. */
const isAlias = (key: string) => isPathPart(key) && /[a-z0-9]/i.test(key);

export const convenienceLinks = textDictionary(
  "alias (no `/`, not `.` or `..`, at least one letter or digit) -> key of a model directory",
  isAlias,
  isText,
);

export const modelPorts = dictionary("model alias -> port from 1 to 65535", isText, () =>
  integer(1, 65_535).schema(),
);

export const cronTexts = dictionary(
  "type (lower-case letters, digits, `-`, `_`) -> cron text of five fields",
  (key) => /^[a-z0-9][a-z0-9_-]{0,63}$/.test(key),
  () => cron.schema(),
);

export interface HistoryKeep {
  readonly generations: number;
  readonly days: number;
}

const historyText = /^\s*(\d{1,9})(?:\s*generations?)?(?:\s*,\s*(\d{1,9})(?:\s*days?)?)?\s*$/i;

/** `100 generations, 365 days`; the words may be left out, and the days. */
export const historyKeep: FieldType<HistoryKeep> = {
  rule: "`100 generations, 365 days`, both at least 1 (also `100,365`; in a file also a mapping of generations and days)",
  schema: () =>
    v.pipe(
      v.union([
        v.pipe(
          v.number(),
          v.transform((generations) => ({ generations, days: 365 })),
        ),
        v.pipe(
          v.string(),
          v.regex(historyText),
          v.transform((text) => {
            const match = historyText.exec(text);
            return { generations: Number(match?.[1]), days: Number(match?.[2] ?? 365) };
          }),
        ),
        v.strictObject({
          generations: v.optional(v.number(), 100),
          days: v.optional(v.number(), 365),
        }),
      ]),
      v.check(
        ({ generations, days }) =>
          v.is(v.pipe(v.number(), v.integer(), v.minValue(1)), generations) &&
          v.is(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(36_500)), days),
      ),
    ),
  format: (keep) => `${keep.generations} generations, ${keep.days} days`,
};
