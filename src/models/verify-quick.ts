// The quick look at one model directory: how much is there, and whether the shards that must be there are there and
// whole by their headers. Reads no weights; what only hashes can tell is not claimed.

import { CitadelError, joinPath, nameOf, type AbsolutePath } from "../core/index.ts";
import { realpath, stat } from "../system/index.ts";
import { closeFile, openForReading, readFullySync } from "../system/raw-file.ts";
import { readSmallStored } from "../system/stored-files.ts";
import { walkTree } from "../system/tree-walk.ts";
import { headerLengthProblem, headerProblem, shardsOf } from "./safetensors.ts";

export type ModelState = "ok" | "empty" | "missing" | "damaged" | "unknown";

export interface ModelReport {
  readonly name: string;
  readonly path: string;
  readonly state: ModelState;
  /** Content of regular files, hard links counted once. */
  readonly bytes: number;
  readonly files: number;
  /** Shards whose headers were checked. */
  readonly checked: number;
  readonly problems: readonly string[];
}

const maxEntries = 1_000_000;
const maxProblems = 50;
const typeMask = 0o170000;
const regularFile = 0o100000;

/** Looks at the model in `path`. Never throws for what it finds; `unknown` says that it could not look. */
export function verifyModelQuick(
  name: string,
  path: AbsolutePath,
  signal: AbortSignal | undefined,
): ModelReport {
  const empty = { name, path, bytes: 0, files: 0, checked: 0 };
  const problems: string[] = [];
  try {
    const found = stat(path);
    if (found === undefined) return { ...empty, state: "missing", problems: ["no such directory"] };
    if (found.type !== "directory") {
      return { ...empty, state: "damaged", problems: [`a ${found.type}, not a directory`] };
    }
    // A model may lie on another disk, behind a link in the active directory.
    const real = joinPath(realpath(path) ?? path);
    const seen = measure(real, signal);
    problems.push(...seen.problems);
    const shards = seen.safetensors.map((file) => ({ file, problem: shardProblem(real, file) }));
    for (const { file, problem } of shards) {
      if (problem !== undefined) problems.push(`${file}: ${problem}`);
    }
    problems.push(...missingShards(real, seen.indexes));
    const { bytes, files } = seen;
    const state = problems.length > 0 ? "damaged" : files === 0 ? "empty" : "ok";
    const report = { ...empty, bytes, files, checked: shards.length };
    return { ...report, state, problems: problems.slice(0, maxProblems) };
  } catch (thrown) {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return { ...empty, state: "unknown", problems: [text] };
  }
}

interface Measured {
  bytes: number;
  files: number;
  readonly safetensors: string[];
  readonly indexes: string[];
  readonly problems: string[];
}

function measure(path: AbsolutePath, signal: AbortSignal | undefined): Measured {
  const found: Measured = { bytes: 0, files: 0, safetensors: [], indexes: [], problems: [] };
  const names = new Set<string>();
  let entries = 0;
  const root = Buffer.from(path).toString("latin1");
  for (const entry of walkTree(root, { crossFileSystems: false })) {
    signal?.throwIfAborted();
    entries += 1;
    if (entries > maxEntries) {
      found.problems.push(`more than ${maxEntries} entries; the rest was not looked at`);
      break;
    }
    const shown = Buffer.from(entry.path, "latin1").toString("utf8");
    if (entry.failure !== undefined) found.problems.push(`${shown}: ${entry.failure.message}`);
    const isFile = (entry.stat.mode & typeMask) === regularFile;
    // A Hugging Face snapshot holds links to its blobs: the link's name says what the blob is.
    const isNamed = isFile || entry.target !== undefined;
    if (isNamed && shown.endsWith(".safetensors")) found.safetensors.push(shown);
    if (isNamed && shown.endsWith(".safetensors.index.json")) found.indexes.push(shown);
    if (!isFile) continue;
    const id = `${entry.stat.dev}:${entry.stat.ino}`;
    found.files += 1;
    if (entry.stat.linkCount > 1 && names.has(id)) continue;
    if (entry.stat.linkCount > 1) names.add(id);
    found.bytes += entry.stat.sizeBytes;
  }
  return found;
}

function shardProblem(root: AbsolutePath, file: string): string | undefined {
  const path = joinPath(root, file);
  const size = stat(path)?.sizeBytes;
  if (size === undefined) return "a link that leads nowhere";
  if (size < 8) return `truncated: ${size} bytes`;
  const { fd } = openForReading(resolved(path), false);
  try {
    const prefix = Buffer.alloc(8);
    if (readFullySync(fd, prefix, 0) < 8) return "truncated";
    const length = prefix.readBigUInt64LE();
    const problem = headerLengthProblem(length, size);
    if (problem !== undefined) return problem;
    const header = Buffer.alloc(Number(length));
    readFullySync(fd, header, 8);
    return headerProblem(header.toString("utf8"), Number(length), size);
  } finally {
    closeFile(fd);
  }
}

function missingShards(root: AbsolutePath, indexes: readonly string[]): string[] {
  return indexes.flatMap((index) => {
    const shards = shardsOf(indexText(joinPath(root, index)));
    if (shards === undefined) return [`${index}: no index of shards`];
    const folder = index.slice(0, index.length - nameOf(index).length);
    return (
      shards
        // A name in the index is data of a stranger: only a plain name is looked up.
        .filter((name) => name !== "" && !name.includes("/") && !name.includes("\0"))
        .filter((name) => stat(joinPath(root, folder + name)) === undefined)
        .map((name) => `${folder}${name}: missing, the index names it`)
    );
  });
}

/** 300,000 shards fit in; what is larger, or a FIFO, is no index. */
const maxIndexBytes = 64 * 1024 * 1024;

function indexText(path: AbsolutePath): string {
  try {
    return readSmallStored(realpath(path) ?? path, maxIndexBytes)?.toString("utf8") ?? "";
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.code === "NOT_A_PLAIN_FILE") return "";
    throw thrown;
  }
}

/** The file itself, where the name is a link to a blob. */
function resolved(path: AbsolutePath): string {
  return Buffer.from(realpath(path) ?? path).toString("latin1");
}
