// How much a running download will still write, as far as the disk tells: a model's index of shards names the whole
// size, and a file that was given its size in advance shows how much of it is not there yet. What says neither (one
// file of unknown length) counts as nothing.

import { readText } from "../system/index.ts";
import { walkTree } from "../system/tree-walk.ts";

const maxEntries = 20_000;
const typeMask = 0o170000;
const regularFile = 0o100000;
/** Nothing written for this long: it was given up, or waits for a person. */
const idleMs = 900_000;
const isContent = (name: string) => /\.(?:safetensors|incomplete|part|aria2__temp)$/.test(name);

interface Found {
  readonly path: string;
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly atMs: number;
}

/** Bytes still to come below a directory of downloads; 0 where nothing is being written or nothing is known. */
export function comingDownloadBytes(directory: string, nowMs: number): number {
  const files = listFiles(directory);
  const isFresh = ({ atMs }: Found) => nowMs - atMs < idleMs;
  const indexes = files.filter(({ path }) => path.endsWith(".safetensors.index.json"));
  const counted = new Set<Found>();
  let coming = 0;
  for (const { path } of indexes) {
    const base = path.slice(0, path.lastIndexOf("/") + 1);
    const parts = files.filter((file) => file.path.startsWith(base) && isContent(file.path));
    const total = totalSize(readText(path) ?? "");
    if (total === undefined) continue;
    for (const part of parts) counted.add(part);
    if (!parts.some(isFresh)) continue;
    const present = parts.reduce((sum, part) => sum + part.storedBytes, 0);
    coming += Math.max(0, total - present);
  }
  for (const file of files) {
    if (!counted.has(file) && isFresh(file))
      coming += Math.max(0, file.sizeBytes - file.storedBytes);
  }
  return coming;
}

function listFiles(directory: string): Found[] {
  const found: Found[] = [];
  const root = Buffer.from(directory).toString("latin1");
  let entries = 0;
  for (const { path, stat, failure } of walkTree(root, { crossFileSystems: false })) {
    if ((entries += 1) > maxEntries) break;
    if (failure !== undefined || (stat.mode & typeMask) !== regularFile) continue;
    found.push({
      path: `${directory}/${Buffer.from(path, "latin1").toString("utf8")}`,
      sizeBytes: stat.sizeBytes,
      storedBytes: stat.storedBytes,
      atMs: Number(stat.mtimeNs / 1_000_000n),
    });
  }
  return found;
}

/** `metadata.total_size` of an index of shards. */
function totalSize(index: string): number | undefined {
  try {
    const { metadata } = JSON.parse(index) as { metadata?: { total_size?: unknown } };
    const size = metadata?.total_size;
    return typeof size === "number" && Number.isSafeInteger(size) && size >= 0 ? size : undefined;
  } catch {
    return undefined; // no index, or one that is being written
  }
}
