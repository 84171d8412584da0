// fstab(5) as text: finds the entry of a mount point and changes its option field, every other byte kept. Bytes are
// held as latin1 text (one character per byte), so that nothing is lost that is not UTF-8. No I/O here.

import { CitadelError, normalizePath } from "../core/index.ts";

/** One entry, with the place of its option field. */
export interface FstabEntry {
  /** From 1. */
  readonly lineNumber: number;
  /** `UUID=…`, `LABEL=…`, `/dev/…`, `host:/export`; escapes resolved. */
  readonly source: string;
  /** Escapes resolved, trailing slashes removed; `none` or `swap` for swap space. */
  readonly mountpoint: string;
  readonly fstype: string;
  /** As it stands in the file; undefined where the entry ends after its type. */
  readonly options: string | undefined;
  /** Offsets of the option field in the text; start equals end where it is missing. */
  readonly start: number;
  readonly end: number;
  /** Why this line must not be edited by a program; undefined where it is plain. */
  readonly unsafe: string | undefined;
}

export interface Fstab {
  /** One character per byte. */
  readonly text: string;
  readonly entries: readonly FstabEntry[];
}

// An fstab of a real host has a few dozen lines; what is larger is something else.
const maxBytes = 1024 * 1024;
const field = /[^ \t]+/g;

/** Parses an fstab. Lines that are no entries are kept in `text` and otherwise passed over. @throws kind `conflict` */
export function parseFstab(bytes: Uint8Array): Fstab {
  if (bytes.length > maxBytes) throw refusal("is larger than 1 MiB", "FSTAB_UNSAFE");
  const text = Buffer.from(bytes).toString("latin1");
  if (text.includes("\0")) throw refusal("holds a NUL byte", "FSTAB_UNSAFE");
  const entries: FstabEntry[] = [];
  let offset = 0;
  let previousContinues = false;
  for (const [at, raw] of text.split("\n").entries()) {
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw; // libmount takes CRLF for a line end
    const entry = parseLine(line, offset, at + 1, previousContinues);
    if (entry !== undefined) entries.push(entry);
    previousContinues = line.endsWith("\\") && !/^[ \t]*#/.test(line);
    offset += raw.length + 1;
  }
  return { text, entries };
}

function parseLine(
  line: string,
  offset: number,
  lineNumber: number,
  previousContinues: boolean,
): FstabEntry | undefined {
  const found = [...line.matchAll(field)];
  const [source, mountpoint, fstype, options] = found;
  if (source === undefined || source[0].startsWith("#")) return undefined;
  const texts = found.map((match) => match[0]);
  const typeEnd = fstype === undefined ? line.length : fstype.index + fstype[0].length;
  const start = offset + (options?.index ?? typeEnd);
  return {
    lineNumber,
    source: unescape(source[0]),
    mountpoint: mountpointOf(mountpoint?.[0] ?? ""),
    fstype: unescape(fstype?.[0] ?? ""),
    options: options?.[0],
    start,
    end: start + (options?.[0].length ?? 0),
    unsafe: unsafeReason(line, texts, previousContinues),
  };
}

/** What mount(8) and people may read differently in this line. */
function unsafeReason(
  line: string,
  fields: readonly string[],
  previousContinues: boolean,
): string | undefined {
  const [source = "", , , options = ""] = fields;
  if (previousContinues) return "the line before it ends in a backslash";
  if (fields.length < 3) return "it has fewer than three fields";
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(line)) return "it holds a control character";
  const checked = fields.slice(0, 4);
  if (checked.some((text) => /\\(?![0-7]{3})/.test(text)))
    return "it holds a backslash that is no octal escape";
  if ([source, options].some((text) => text.split('"').length % 2 === 0))
    return "it holds an odd number of quotes";
  if (options.startsWith("#")) return "a comment stands where the options belong";
  const numbers = fields.slice(4, 6);
  if (numbers.some((text) => !/^\d+$/.test(text)))
    return "its fifth or sixth field is no number, which mount(8) takes for a broken line";
  const seventh = fields[6];
  if (seventh !== undefined && !seventh.startsWith("#")) return "it has more than six fields";
  return undefined;
}

/** Blank, tab, newline, backslash and `#` are written as octal escapes (fstab(5)); the bytes are UTF-8 mostly. */
function unescape(text: string): string {
  const latin1 = text.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8) & 0xff),
  );
  return Buffer.from(latin1, "latin1").toString("utf8");
}

function mountpointOf(text: string): string {
  const path = unescape(text);
  return path.startsWith("/") ? normalizePath(path) : path;
}

/**
 * The one entry that mounts something on `mountpoint`.
 * @param mountpoint a host path
 * @returns undefined where there is none
 * @throws kind `conflict`, `FSTAB_DUPLICATE_ENTRY` or `FSTAB_LINE_UNSAFE`, where a program must not choose
 */
export function findEntry(fstab: Fstab, mountpoint: string): FstabEntry | undefined {
  const matching = fstab.entries.filter((entry) => entry.mountpoint === mountpoint);
  const [entry, second] = matching;
  if (entry === undefined) return undefined;
  if (second !== undefined) {
    const lines = matching.map((match) => match.lineNumber).join(" and ");
    throw refusal(
      `has more than one entry for ${mountpoint}, in lines ${lines}`,
      "FSTAB_DUPLICATE_ENTRY",
    );
  }
  if (entry.unsafe !== undefined) {
    throw refusal(
      `line ${entry.lineNumber} (${mountpoint}) cannot be edited safely: ${entry.unsafe}`,
      "FSTAB_LINE_UNSAFE",
    );
  }
  return entry;
}

/** The entry whose mount point holds `path`, other than `/`: the longest one. For hosts that cannot be asked. */
export function findEntryHolding(fstab: Fstab, path: string): string | undefined {
  return fstab.entries
    .map((entry) => entry.mountpoint)
    .filter((point) => point !== "/" && (path === point || path.startsWith(`${point}/`)))
    .sort((a, b) => b.length - a.length)[0];
}

/** Sets option fields. @returns the new file; every byte outside these fields is as before */
export function replaceOptions(fstab: Fstab, changes: ReadonlyMap<FstabEntry, string>): Uint8Array {
  const ordered = [...changes].sort(([a], [b]) => b.start - a.start);
  let text = fstab.text;
  for (const [entry, options] of ordered) {
    const lead = entry.options === undefined ? "\t" : "";
    text = text.slice(0, entry.start) + lead + options + text.slice(entry.end);
  }
  return Buffer.from(text, "latin1");
}

export interface NewEntry {
  readonly source: string;
  readonly mountpoint: string;
  readonly fstype: string;
  readonly options: string;
  /** fsck order: 2 for ext4, 0 for xfs and btrfs, which check themselves. */
  readonly pass: 0 | 2;
}

const begin = "# BEGIN citadel-agent: entries added by `tune apply`";
const end = "# END citadel-agent";

/**
 * Adds entries for mounts that fstab does not know, inside our marked block (made at the end of the file).
 * @throws kind `conflict`, `FSTAB_BLOCK_BROKEN`, where the markers are not one begin followed by one end
 */
export function addEntries(bytes: Uint8Array, entries: readonly NewEntry[]): Uint8Array {
  if (entries.length === 0) return bytes;
  const text = Buffer.from(bytes).toString("latin1");
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = entries.map((entry) => formatEntry(entry) + newline).join("");
  const begins = positionsOf(text, "# BEGIN citadel-agent");
  const ends = positionsOf(text, end);
  const [firstBegin] = begins;
  const [firstEnd] = ends;
  if (firstBegin === undefined && firstEnd === undefined) {
    const gap = text === "" || text.endsWith("\n") ? "" : newline;
    const block = `${gap}${begin}${newline}${lines}${end}${newline}`;
    return Buffer.from(text + block, "latin1");
  }
  const whole = begins.length === 1 && ends.length === 1;
  if (!whole || firstBegin === undefined || firstEnd === undefined || firstEnd < firstBegin) {
    throw refusal("has a damaged citadel-agent block (BEGIN and END lines)", "FSTAB_BLOCK_BROKEN");
  }
  return Buffer.from(text.slice(0, firstEnd) + lines + text.slice(firstEnd), "latin1");
}

function positionsOf(text: string, marker: string): number[] {
  const found: number[] = [];
  let offset = 0;
  for (const line of text.split("\n")) {
    if (line.startsWith(marker)) found.push(offset);
    offset += line.length + 1;
  }
  return found;
}

function formatEntry(entry: NewEntry): string {
  const { source, mountpoint, fstype, options, pass } = entry;
  const point = Buffer.from(mountpoint)
    .toString("latin1")
    .replace(/[ \t\n\\#]/g, (character) => {
      return `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`;
    });
  return `${source}\t${point}\t${fstype}\t${options}\t0\t${pass}`;
}

function refusal(problem: string, code: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code,
    message: `fstab ${problem}`,
    path: "/etc/fstab",
    hint: "mend the file by hand (`findmnt --verify` shows what mount(8) reads), then run the command again",
  });
}
