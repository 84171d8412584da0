// Reads manifest.jsonl as a stream. The text is treated as hostile: every field is checked, paths stay below the
// root, they ascend by bytes without a repeat, and every parent is a directory of the manifest.

import { CitadelError } from "../../core/index.ts";
import { type BytePath, fromText, isSafePath, rootPath } from "./byte-path.ts";
import {
  type DeviceEntry,
  type EntryType,
  type ExtraAlgorithm,
  type FileEntry,
  type ManifestEntry,
  type PackedContent,
  chunkSizeBytes,
  extraAlgorithms,
  maxHoles,
  maxLineBytes,
  packExtensions,
} from "./manifest.ts";

type Json = Readonly<Record<string, unknown>>;

const types = new Set<unknown>([
  "file",
  "directory",
  "symlink",
  "fifo",
  "socket",
  "block",
  "character",
]);

/** @throws kind `integrity`, code `MANIFEST_DAMAGED` */
export function damagedManifest(line: number, why: string): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "MANIFEST_DAMAGED",
    message: `manifest line ${line}: ${why}`,
    hint: "this snapshot cannot be trusted as it is; use another one, or `backup repair` with its source",
  });
}

/** Thrown inside, given its line number outside. */
class Wrong extends Error {}

function need(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Wrong(why);
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;
const hex = (value: unknown, digits: number): value is string =>
  typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value);

function bytesOf(line: Json, name: string): BytePath | undefined {
  const text = line[name];
  if (typeof text === "string") return fromText(text);
  const encoded = line[`${name}_b64`];
  if (encoded === undefined) return undefined;
  need(typeof encoded === "string", `${name}_b64 is no text`);
  const bytes = Buffer.from(encoded, "base64");
  need(bytes.toString("base64") === encoded, `${name}_b64 is not base64`);
  return bytes.toString("latin1") as BytePath;
}

function nsOf(value: unknown, name: string): bigint {
  need(typeof value === "string" && /^-?\d{1,20}$/.test(value), `${name} is no decimal number`);
  return BigInt(value);
}

const optionalNs = (value: unknown, name: string) =>
  value === undefined ? undefined : nsOf(value, name);

function textOf(value: unknown, name: string): string | undefined {
  need(value === undefined || typeof value === "string", `${name} is no text`);
  return value as string | undefined;
}

function chunksOf(value: unknown, size: number, name: string): readonly string[] {
  need(Array.isArray(value), `${name} is no list`);
  need(value.length === Math.ceil(size / chunkSizeBytes), `${name} does not fit the size`);
  need(
    value.every((item) => hex(item, 16)),
    `${name} holds something that is no hash`,
  );
  return value as string[];
}

function holesOf(value: unknown, size: number): FileEntry["holes"] {
  if (value === undefined) return undefined;
  need(Array.isArray(value) && value.length <= maxHoles, "holes is no list, or too long");
  let last = -1;
  for (const range of value as unknown[]) {
    need(Array.isArray(range) && range.length === 2, "a hole is no pair");
    const [start, end] = range as unknown[];
    need(isCount(start) && isCount(end) && start > last && end > start && end <= size, "bad hole");
    last = end;
  }
  return value as [number, number][];
}

function packedOf(value: unknown): PackedContent | undefined {
  if (value === undefined) return undefined;
  need(typeof value === "object" && value !== null, "packed is no object");
  const { method, size, sha256, xxh3 } = value as Json;
  need(
    typeof method === "string" && Object.hasOwn(packExtensions, method),
    "unknown packed.method",
  );
  need(isCount(size), "bad packed.size");
  need(hex(sha256, 64), "bad packed.sha256");
  return {
    method: method as PackedContent["method"],
    size,
    sha256,
    xxh3: chunksOf(xxh3, size, "packed.xxh3"),
  };
}

function xattrsOf(value: unknown): ReadonlyMap<string, Uint8Array> | undefined {
  if (value === undefined) return undefined;
  need(typeof value === "object" && value !== null && !Array.isArray(value), "bad xattrs");
  const result = new Map<string, Uint8Array>();
  for (const [name, encoded] of Object.entries(value)) {
    need(typeof encoded === "string" && name !== "" && !name.includes("\0"), "bad xattrs");
    result.set(name, Buffer.from(encoded, "base64"));
  }
  return result;
}

const digestLengths: Record<ExtraAlgorithm, number> = { sha512: 128, sha1: 40, md5: 32 };

function fileFields(
  line: Json,
): Omit<FileEntry, keyof ReturnType<typeof baseFields>> & { type: "file" } {
  const { size, sha256 } = line;
  need(isCount(size), "bad size");
  need(hex(sha256, 64), "bad sha256");
  const hardlink = bytesOf(line, "hardlink");
  need(hardlink === undefined || isSafePath(hardlink), "hardlink leaves the snapshot");
  const digests: Partial<Record<ExtraAlgorithm, string>> = {};
  for (const algorithm of extraAlgorithms) {
    const digest = line[algorithm];
    if (digest === undefined) continue;
    need(hex(digest, digestLengths[algorithm]), `bad ${algorithm}`);
    digests[algorithm] = digest;
  }
  return {
    type: "file",
    size,
    sha256,
    xxh3: chunksOf(line["xxh3"], size, "xxh3"),
    hardlink,
    holes: holesOf(line["holes"], size),
    packed: packedOf(line["packed"]),
    digests: Object.keys(digests).length === 0 ? undefined : digests,
  };
}

function baseFields(line: Json) {
  const path = bytesOf(line, "path");
  need(path !== undefined, "no path");
  need(isSafePath(path), "the path leaves the snapshot or cannot exist");
  const { mode, uid, gid } = line;
  need(typeof mode === "string" && /^[0-7]{4}$/.test(mode), "bad mode");
  need(isCount(uid) && uid < 2 ** 32 && isCount(gid) && gid < 2 ** 32, "bad uid or gid");
  return {
    path,
    mode: Number.parseInt(mode, 8),
    uid,
    gid,
    user: textOf(line["user"], "user"),
    group: textOf(line["group"], "group"),
    mtimeNs: nsOf(line["mtime_ns"], "mtime_ns"),
    ino: optionalNs(line["ino"], "ino"),
    ctimeNs: optionalNs(line["ctime_ns"], "ctime_ns"),
    xattrs: xattrsOf(line["xattrs"]),
  };
}

function toEntry(line: Json): ManifestEntry {
  const { type } = line;
  need(types.has(type), "unknown type");
  const base = baseFields(line);
  switch (type as EntryType) {
    case "file":
      return { ...base, ...fileFields(line) };
    case "symlink": {
      const target = bytesOf(line, "target");
      need(target !== undefined && target !== "" && !target.includes("\0"), "bad target");
      return { ...base, type: "symlink", target };
    }
    case "block":
    case "character": {
      const device = line["device"];
      need(Array.isArray(device) && device.length === 2 && device.every(isCount), "bad device");
      const [major, minor] = device as [number, number];
      return { ...base, type: type as DeviceEntry["type"], major, minor };
    }
    default:
      return { ...base, type: type as "directory" | "fifo" | "socket" };
  }
}

/**
 * Parses one line on its own (order and parents are the reader's to check: ManifestOrder).
 * @param text the line without its newline @param line its number, from 1, for messages
 * @throws kind `integrity`, code `MANIFEST_DAMAGED`
 */
export function parseManifestLine(text: string, line: number): ManifestEntry {
  try {
    const value: unknown = JSON.parse(text);
    need(typeof value === "object" && value !== null && !Array.isArray(value), "no JSON object");
    return toEntry(value as Json);
  } catch (thrown) {
    if (thrown instanceof Wrong) throw damagedManifest(line, thrown.message);
    if (thrown instanceof SyntaxError) throw damagedManifest(line, "no JSON");
    throw thrown;
  }
}

/**
 * Checks that entries ascend by bytes and that each has a parent that is a directory. Memory: one name per level,
 * for whatever lies below a directory starts with its name.
 */
export class ManifestOrder {
  #last: BytePath | undefined;
  readonly #directories: BytePath[] = [];

  /** @throws kind `integrity`, code `MANIFEST_DAMAGED` */
  check(entry: ManifestEntry, line: number): void {
    const { path, type } = entry;
    if (this.#last !== undefined && path <= this.#last) {
      throw damagedManifest(line, "paths are not in order, or one is there twice");
    }
    this.#last = path;
    if (path === rootPath) {
      if (type !== "directory") throw damagedManifest(line, "the root is no directory");
      return;
    }
    while (this.#directories.length > 0 && !path.startsWith(this.#directories.at(-1) ?? "")) {
      this.#directories.pop();
    }
    const cut = path.lastIndexOf("/");
    if (cut !== -1 && !this.#directories.includes(path.slice(0, cut) as BytePath)) {
      throw damagedManifest(line, "its parent is no directory of this manifest");
    }
    if (type === "directory") this.#directories.push(path);
  }
}

/**
 * Parses a whole manifest.
 * @param chunks the file's bytes in order, in blocks of any size; blocks may be reused by the giver after each turn
 * @throws kind `integrity`, code `MANIFEST_DAMAGED` at the first line that is wrong
 */
export function* parseManifest(chunks: Iterable<Uint8Array>): Generator<ManifestEntry> {
  const order = new ManifestOrder();
  let line = 0;
  for (const text of splitLines(chunks)) {
    line += 1;
    const entry = parseManifestLine(text, line);
    order.check(entry, line);
    yield entry;
  }
}

/**
 * Splits bytes into lines of UTF-8 text, without their newline.
 * @throws kind `integrity` where a line is too long, is not UTF-8, or the last one does not end
 */
export function* splitLines(chunks: Iterable<Uint8Array>): Generator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest: Buffer = Buffer.alloc(0);
  let line = 0;
  const decode = (bytes: Uint8Array) => {
    line += 1;
    try {
      return decoder.decode(bytes);
    } catch {
      throw damagedManifest(line, "not UTF-8");
    }
  };
  for (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      const piece = bytes.subarray(start, end);
      start = end + 1;
      yield decode(rest.length === 0 ? piece : Buffer.concat([rest, piece]));
      rest = rest.length === 0 ? rest : Buffer.alloc(0);
    }
    if (start < bytes.length) rest = Buffer.concat([rest, bytes.subarray(start)]);
    if (rest.length > maxLineBytes) throw damagedManifest(line + 1, "longer than 64 MiB");
  }
  if (rest.length > 0) throw damagedManifest(line + 1, "the last line does not end");
}
