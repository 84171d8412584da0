// The syntax of env files, exactly as the original's library (python-dotenv) reads it: what an existing `.env` says
// must mean the same to us. No shell is involved, nothing is executed or expanded but `${NAME}`.

export interface EnvEntry {
  readonly name: string;
  readonly value: string;
  /** Where the entry begins, from 1. */
  readonly line: number;
}

export interface EnvFile {
  /** In the order of the file; a name may occur again. Names without `=` have no value and are left out. */
  readonly entries: readonly EnvEntry[];
  /** Lines that are none of: blank, comment, assignment. The rest of the file counts all the same. */
  readonly brokenLines: readonly number[];
}

const blanksAndBreaks = /\s*/y;
const exportWord = /export[^\S\r\n]+/y;
const keyPattern = /'([^']+)'|((?!')[^=#\s]+)/y;
const equals = /[^\S\r\n]*(?:=([^\S\r\n]*))?/y;
// A backslash takes the next character with it, so that `\\` before a quote does not hide the quote.
const singleQuoted = /'((?:\\[^]|[^'\\])*)'/y;
const doubleQuoted = /"((?:\\[^]|[^"\\])*)"/y;
const unquoted = /[^\r\n]*/y;
const trailing = /[^\S\r\n]*(?:#[^\r\n]*)?(?:\r\n|\n|\r|$)/y;
const restOfLine = /[^\r\n]*(?:\r\n|\n|\r)?/y;

/** A place in the text that moves on with each match. */
class Reader {
  at = 0;
  constructor(readonly text: string) {}

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.at = pattern.lastIndex;
    return match;
  }

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }
}

const escapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** @param blanks what stands between `=` and the value: after a blank, `#` begins a comment */
function readValue(reader: Reader, blanks: string): string | undefined {
  const first = reader.text[reader.at];
  if (first === "#" && blanks !== "") return "";
  if (first === "'") {
    return reader.take(singleQuoted)?.[1]?.replace(/\\([\\'])/g, "$1");
  }
  if (first === '"') {
    return reader
      .take(doubleQuoted)?.[1]
      ?.replace(/\\([\\'"abfnrtv])/g, (_, letter: string) => escapes[letter] ?? letter);
  }
  const text = reader.take(unquoted)?.[0] ?? "";
  return text.replace(/\s+#.*/, "").trimEnd();
}

/** `undefined` value: a name without `=`. Throws nothing; `undefined` result: a broken line. */
function readBinding(reader: Reader): { name: string; value: string | undefined } | undefined {
  reader.take(exportWord);
  const key = reader.take(keyPattern);
  if (key === undefined) return undefined;
  const name = key[1] ?? key[2] ?? "";
  const blanks = reader.take(equals)?.[1];
  const value = blanks === undefined ? undefined : readValue(reader, blanks);
  if (blanks !== undefined && value === undefined) return undefined;
  return reader.take(trailing) === undefined ? undefined : { name, value };
}

/** Replaces `${NAME}` and `${NAME:-default}`; `$NAME` stays. An unknown name without a default gives nothing. */
function interpolate(value: string, lookup: (name: string) => string | undefined): string {
  return value.replace(
    /\$\{([^}:]*)(?::-([^}]*))?\}/g,
    (_, name: string, fallback: string | undefined) => lookup(name) ?? fallback ?? "",
  );
}

/**
 * Parses an env file.
 * @param text UTF-8, with or without a byte-order mark, with any line ends
 * @param environment where `${NAME}` looks after the lines above
 * @see https://github.com/theskumar/python-dotenv/blob/v1.2.4/src/dotenv/parser.py
 *   A bare NAME is skipped here; there it also takes back an earlier line of that name.
 */
export function parseEnvFile(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): EnvFile {
  const reader = new Reader(text.replace(/^\uFEFF/, ""));
  const entries: EnvEntry[] = [];
  const brokenLines: number[] = [];
  const above = new Map<string, string>();
  let line = 1;
  let counted = 0;
  for (;;) {
    reader.take(blanksAndBreaks);
    if (reader.atEnd) break;
    line += countBreaks(reader.text, counted, reader.at);
    counted = reader.at;
    if (reader.text[reader.at] === "#") {
      reader.take(restOfLine);
      continue;
    }
    const binding = readBinding(reader);
    if (binding === undefined) {
      reader.take(restOfLine);
      brokenLines.push(line);
    } else if (binding.value !== undefined) {
      const value = interpolate(binding.value, (name) => above.get(name) ?? environment[name]);
      above.set(binding.name, value);
      entries.push({ name: binding.name, value, line });
    }
  }
  return { entries, brokenLines };
}

function countBreaks(text: string, from: number, to: number): number {
  return text.slice(from, to).match(/\r\n|\n|\r/g)?.length ?? 0;
}
