// The repository as it lies on disk: which snapshots there are, and which one a person means. Nothing here needs a
// state directory: on a reinstalled host the backup disk alone is enough.

import { CitadelError, joinPath, nameOf, type AbsolutePath } from "../core/index.ts";
import { listDirectory, lstat, realpath } from "../system/index.ts";
import { readSmallStored } from "../system/stored-files.ts";
import {
  partialSuffix,
  parsePartialName,
  parseSnapshotId,
  slugOf,
  unknownSnapshot,
} from "./format/ids.ts";
import {
  areaDirectories,
  parseSnapshotJson,
  maxSnapshotJsonBytes,
  snapshotJsonName,
  type SnapshotArea,
  type SnapshotRecord,
} from "./format/snapshot-json.ts";

export type SnapshotState = "complete" | "partial" | "damaged";

export interface FoundSnapshot {
  readonly id: string;
  readonly area: SnapshotArea;
  readonly directory: AbsolutePath;
  readonly startedMs: number;
  readonly slug: string;
  /** `complete` by its name and a sound snapshot.json; its content is for `verify`. */
  readonly state: SnapshotState;
  /** Undefined where state is not `complete`, or the caller may not read it. */
  readonly record: SnapshotRecord | undefined;
  /** Why it is `damaged`, or cannot be read. */
  readonly why: string | undefined;
  /** Its directory belongs to us, and others cannot write to it: nobody else has made it. */
  readonly isOwn: boolean;
}

/**
 * What counts as ours where a choice is made for somebody (`latest`, retention): who owns the directory above may put
 * forged ones beside root's. Where none is our own (a repository that maps root to nobody) all are.
 */
export function ownSnapshots(snapshots: readonly FoundSnapshot[]): readonly FoundSnapshot[] {
  const own = snapshots.filter(({ isOwn }) => isOwn);
  return own.length === 0 ? snapshots : own;
}

const areas = Object.keys(areaDirectories) as SnapshotArea[];

/** All snapshots below a backup root, oldest first; what is not ours is passed over. */
export function listSnapshots(root: string): FoundSnapshot[] {
  const found: FoundSnapshot[] = [];
  for (const area of areas) {
    const directory = joinPath(root, areaDirectories[area]);
    for (const name of listDirectory(directory) ?? []) {
      const snapshot = readSnapshot(joinPath(directory, name), area);
      if (snapshot !== undefined) found.push(snapshot);
    }
  }
  return found.sort((a, b) => a.startedMs - b.startedMs || (a.id < b.id ? -1 : 1));
}

/** One directory; undefined unless its name is that of a snapshot (or of one being built). */
export function readSnapshot(
  directory: AbsolutePath,
  area: SnapshotArea,
): FoundSnapshot | undefined {
  const name = nameOf(directory);
  const id = parseSnapshotId(name) ?? parsePartialName(name);
  const stat = id === undefined ? undefined : lstat(directory);
  if (id === undefined || stat?.type !== "directory") return undefined;
  const isOwn = stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0;
  const base = { id: id.id, area, directory, startedMs: id.startedMs, slug: id.slug, isOwn };
  if (name.endsWith(partialSuffix)) {
    return { ...base, state: "partial", record: undefined, why: undefined };
  }
  try {
    const record = readRecord(directory);
    const why = record.id === id.id ? undefined : `snapshot.json is that of ${record.id}`;
    if (why !== undefined) return { ...base, state: "damaged", record: undefined, why };
    return { ...base, area: record.area, state: "complete", record, why: undefined };
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    // a final name says complete; that a caller may not look inside says nothing of the snapshot
    const state = thrown.kind === "permission" ? "complete" : "damaged";
    return { ...base, state, record: undefined, why: thrown.message };
  }
}

/** @throws kind `integrity`, code `SNAPSHOT_JSON_MISSING` or those of parseSnapshotJson */
export function readRecord(directory: string): SnapshotRecord {
  const path = joinPath(directory, snapshotJsonName);
  const bytes = readSmallStored(path, maxSnapshotJsonBytes);
  if (bytes === undefined) {
    throw new CitadelError({
      kind: "integrity",
      code: "SNAPSHOT_JSON_MISSING",
      message: `no ${snapshotJsonName} in ${directory}`,
      path,
      hint: "without it nothing says what this snapshot should hold; use another one",
    });
  }
  return parseSnapshotJson(bytes);
}

const latestNames = new Set(["latest", "latest_backup"]);

/**
 * The snapshot that a person names: an id, `latest` (or `latest_backup`), `latest:<slug>`, or a path.
 * @param activeSources the paths of the source that plain `latest` means, as it may have been given
 * @throws kind `not-found`, code `SNAPSHOT_UNKNOWN`
 */
export function resolveSnapshot(
  root: string,
  name: string,
  activeSources: readonly string[],
): FoundSnapshot {
  const snapshots = () => listSnapshots(root);
  if (latestNames.has(name)) return newest(snapshots(), activeSources, name, root);
  if (name.startsWith("latest:")) return newestOfSlug(snapshots(), name.slice(7), root);
  if (!name.includes("/")) {
    const found = snapshots().find((snapshot) => nameOf(snapshot.directory) === name);
    if (found === undefined) throw unknownSnapshot(name, root);
    return found;
  }
  const real = realpath(name);
  if (real === undefined && latestNames.has(nameOf(name))) {
    return newest(snapshots(), activeSources, name, root);
  }
  const found = real === undefined ? undefined : readSnapshot(real as AbsolutePath, "models");
  if (found === undefined) throw unknownSnapshot(name, root);
  return found;
}

function newest(
  snapshots: readonly FoundSnapshot[],
  sources: readonly string[],
  name: string,
  root: string,
): FoundSnapshot {
  const found = ownSnapshots(snapshots).findLast(
    ({ state, record }) => state === "complete" && sources.includes(record?.source ?? ""),
  );
  if (found === undefined) assertReadable(snapshots);
  if (found === undefined) throw unknownSnapshot(name, root);
  return found;
}

/** @throws kind `permission` where there are snapshots, but not for this caller */
function assertReadable(snapshots: readonly FoundSnapshot[]): void {
  const shut = snapshots.find(({ state, record }) => state === "complete" && record === undefined);
  if (shut === undefined) return;
  throw new CitadelError({
    kind: "permission",
    code: "PERMISSION",
    message: `snapshot ${shut.id} cannot be read: ${shut.why ?? "it is another user's"}`,
    path: shut.directory,
    hint: "snapshots are root's alone: run the command as root (sudo)",
  });
}

/** The whole slug, or the end of one if only one source has it: `latest:active`. */
function newestOfSlug(
  snapshots: readonly FoundSnapshot[],
  slug: string,
  root: string,
): FoundSnapshot {
  const complete = ownSnapshots(snapshots).filter(({ state }) => state === "complete");
  const wanted = slugOf(slug);
  const exact = complete.findLast((snapshot) => snapshot.slug === wanted);
  if (exact !== undefined) return exact;
  const ending = complete.filter((snapshot) => snapshot.slug.endsWith(`-${wanted}`));
  const found = ending.at(-1);
  if (found === undefined || new Set(ending.map((snapshot) => snapshot.slug)).size > 1) {
    throw unknownSnapshot(`latest:${slug}`, root);
  }
  return found;
}

/**
 * The newest complete snapshot of a source that is not later than a moment.
 * @throws kind `not-found`, code `SNAPSHOT_UNKNOWN`
 */
export function snapshotAt(root: string, atMs: number, sources: readonly string[]): FoundSnapshot {
  const found = ownSnapshots(listSnapshots(root)).findLast(
    ({ state, record, startedMs }) =>
      state === "complete" && sources.includes(record?.source ?? "") && startedMs <= atMs,
  );
  if (found === undefined)
    throw unknownSnapshot(`of ${sources[0]} at ${new Date(atMs).toISOString()}`, root);
  return found;
}
