// The types a setting can have: numbers, switches, paths, cron texts, dictionaries… Each takes text (from a variable)
// or a parsed value (from a file) and says its rule in words.

import * as v from "valibot";
import { normalizePath, parseBytes, Secret } from "../core/index.ts";
import { isCron } from "./cron-text.ts";
import type { FieldType } from "./field.ts";

const plain = (value: unknown): string => String(value);

/** Integers as the original took them: blanks around are fine, `60.0` and an empty value are not. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): FieldType<number> {
  const upper = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return {
    rule: `a whole number ${upper}`,
    schema: () =>
      v.pipe(
        v.union([
          v.number(),
          v.pipe(v.string(), v.trim(), v.regex(/^[+-]?\d+$/), v.transform(Number)),
        ]),
        v.safeInteger(),
        v.minValue(min),
        v.maxValue(max),
      ),
    format: plain,
  };
}

/** Decimal numbers; never NaN or infinite. */
export function decimal(min: number, max?: number): FieldType<number> {
  return {
    rule: `a number ${max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`,
    schema: () =>
      v.pipe(
        v.union([
          v.number(),
          v.pipe(
            v.string(),
            v.trim(),
            v.regex(/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i),
            v.transform(Number),
          ),
        ]),
        v.finite(),
        v.minValue(min),
        v.maxValue(max ?? Number.MAX_VALUE),
      ),
    format: plain,
  };
}

const words: Readonly<Record<string, boolean>> = {
  "1": true,
  true: true,
  t: true,
  yes: true,
  y: true,
  on: true,
  "0": false,
  false: false,
  f: false,
  no: false,
  n: false,
  off: false,
};

function readBoolean(value: string | number | boolean): boolean | undefined {
  const key = String(value).toLowerCase();
  return Object.hasOwn(words, key) ? words[key] : undefined;
}

export const boolean: FieldType<boolean> = {
  rule: "yes or no (also 1/0, true/false, t/f, y/n, on/off)",
  schema: () =>
    v.pipe(v.union([v.boolean(), v.number(), v.string()]), v.transform(readBoolean), v.boolean()),
  format: plain,
};

/** `auto` decides at run time; else a switch. */
export const automatic: FieldType<"auto" | boolean> = {
  rule: "auto, yes or no",
  schema: () =>
    v.pipe(
      v.union([v.boolean(), v.number(), v.string()]),
      v.transform((value) =>
        String(value).toLowerCase() === "auto" ? ("auto" as const) : readBoolean(value),
      ),
      v.union([v.literal("auto"), v.boolean()]),
    ),
  format: plain,
};

function isGoodPath(path: string): boolean {
  return (
    path.startsWith("/") &&
    !/[\0\uFFFD]/.test(path) && // U+FFFD: a variable that was not UTF-8
    !path.split("/").includes("..") &&
    Buffer.byteLength(path) <= 4095 // PATH_MAX - 1, limits.h
  );
}

/** An absolute host path without `..`; repeated and trailing slashes are taken off. */
export const path: FieldType<string> = {
  rule: "an absolute path without `..`, not empty",
  schema: () => v.pipe(v.string(), v.check(isGoodPath), v.transform(normalizePath)),
  format: plain,
};

/** A storage path: as `path`, but never the root of the file system, whose contents are not ours to manage. */
export const storagePath: FieldType<string> = {
  rule: "an absolute path without `..`, not empty and not /",
  schema: () => v.pipe(path.schema(), v.notValue("/")),
  format: plain,
};

/** A user or group as chown(1) takes it: a name or a number. */
export const account: FieldType<string> = {
  rule: "a user or group name or number, without blanks, `:` and `/`",
  schema: () =>
    v.pipe(
      v.union([v.string(), v.pipe(v.number(), v.integer(), v.transform(String))]),
      v.trim(),
      v.regex(/^[^\s:/\0]{1,256}$/),
    ),
  format: plain,
};

/** Octal text: `0755` stays text, so that it never becomes the decimal 755. */
export const octalMode: FieldType<string> = {
  rule: "three or four octal digits, such as 0755 (in YAML and TOML in quotes)",
  schema: () => v.pipe(v.string(), v.trim(), v.regex(/^[0-7]{3,4}$/)),
  format: plain,
};

/** A host name or address, without port. */
export const host: FieldType<string> = {
  rule: "a host name or an IP address",
  schema: () =>
    v.pipe(
      v.string(),
      v.trim(),
      v.regex(
        /^(?:[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9])?|\[?[0-9a-f:.]*:[0-9a-f:.]+(?:%\w+)?\]?)$/i,
      ),
    ),
  format: plain,
};

/** One of a few words, any case. */
export function choice<const T extends string>(...options: readonly T[]): FieldType<T> {
  return {
    rule: `one of ${options.join(", ")}`,
    schema: () => v.pipe(v.string(), v.trim(), v.toLowerCase(), v.picklist(options)),
    format: plain,
  };
}

export const cron: FieldType<string> = {
  rule: "a cron text of five fields (minute hour day month weekday)",
  schema: () => v.pipe(v.string(), v.trim(), v.check(isCron)),
  format: plain,
};

/** Bytes, as a number or with a unit: `64MiB`. */
export function size(): FieldType<number> {
  return {
    rule: "a size in bytes, or with a unit such as 64MiB",
    schema: () =>
      v.pipe(
        v.union([v.number(), v.pipe(v.string(), v.check(isSize), v.transform(parseBytes))]),
        v.safeInteger(),
        v.minValue(0),
      ),
    format: plain,
  };
}

function isSize(text: string): boolean {
  try {
    parseBytes(text);
    return true;
  } catch {
    return false;
  }
}

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === "http:" || url.protocol === "https:");
}

const urlRule = "an http:// or https:// address";
const absent = v.pipe(
  v.union([v.null(), v.pipe(v.string(), v.trim(), v.empty())]),
  v.transform(() => undefined),
);

export const optionalUrl: FieldType<string | undefined> = {
  rule: `${urlRule}, or empty for none`,
  optional: true,
  schema: () => v.union([absent, v.pipe(v.string(), v.trim(), v.check(isHttpUrl))]),
  format: (value) => value ?? "",
};

/** An address that is a key in itself (chat webhooks, ping services). */
export const secretUrl: FieldType<Secret | undefined> = {
  rule: `${urlRule}, or empty for none`,
  optional: true,
  secret: true,
  schema: () =>
    v.union([
      absent,
      v.pipe(
        v.string(),
        v.trim(),
        v.check(isHttpUrl),
        v.transform((text) => new Secret(text)),
      ),
    ]),
  format: (value) => value?.reveal() ?? "",
};

/** A token or key: one line of visible characters, so that it fits a header. */
export const secret: FieldType<Secret | undefined> = {
  rule: "visible ASCII characters without blanks, at most 4096, or empty for none",
  optional: true,
  secret: true,
  schema: () =>
    v.union([
      absent,
      v.pipe(
        v.string(),
        v.trim(),
        v.regex(/^[\x21-\x7e]{1,4096}$/),
        v.transform((text) => new Secret(text)),
      ),
    ]),
  format: (value) => value?.reveal() ?? "",
};

export const optionalPath: FieldType<string | undefined> = {
  rule: "an absolute path without `..`, or empty for none",
  optional: true,
  schema: () => v.union([absent, path.schema()]),
  format: (value) => value ?? "",
};
