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

/** `unknown`: this caller may not look inside, so nothing can be said of it. */
export type SnapshotState = "complete" | "partial" | "damaged" | "unknown";

export interface FoundSnapshot {
  readonly id: string;
  readonly area: SnapshotArea;
  readonly directory: AbsolutePath;
  readonly startedMs: number;
  readonly slug: string;
  /** `complete` by its name and a sound snapshot.json; its content is for `verify`. */
  readonly state: SnapshotState;
  /** Undefined where it could not be read. */
  readonly record: SnapshotRecord | undefined;
  /** Why it is `damaged` or `unknown`. */
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
    // that a caller may not look inside says nothing of the snapshot, neither good nor bad
    const state = thrown.kind === "permission" ? "unknown" : "damaged";
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

/** What a name means. */
export interface Resolved {
  readonly snapshot: FoundSnapshot;
  /** Newer than it, of the same source as far as anybody can tell, and of no use: for the caller to say. */
  readonly passedOver: readonly FoundSnapshot[];
}

/**
 * What `latest` means where the newest snapshot cannot be used: `usable` the newest that can (to restore from), or
 * `newest` that one itself (to be judged: what cannot be proved is not sound because an older one is).
 */
export type Wanted = "usable" | "newest";

/**
 * The snapshot that a person names: an id, `latest` (or `latest_backup`), `latest:<slug>`, or a path.
 * @param activeSources the paths of the source that plain `latest` means, as it may have been given
 * @throws kind `not-found`, code `SNAPSHOT_UNKNOWN`; kind `permission` for one that this caller may not read
 */
export function resolveSnapshot(
  root: string,
  name: string,
  activeSources: readonly string[],
  wanted: Wanted = "usable",
): Resolved {
  const snapshots = listSnapshots(root);
  const quoted = JSON.stringify(name);
  const latest = () => pick(ofSources(snapshots, activeSources), wanted, snapshots, quoted, root);
  if (latestNames.has(name)) return latest();
  if (name.startsWith("latest:")) {
    return pick(ofSlug(snapshots, name.slice(7)), wanted, snapshots, quoted, root);
  }
  if (!name.includes("/")) {
    // a partial is listed by its id, without the end of its name
    const found =
      snapshots.find((snapshot) => nameOf(snapshot.directory) === name) ??
      snapshots.find(({ id, state }) => state === "partial" && id === name);
    if (found === undefined) throw unknownSnapshot(quoted, root);
    return { snapshot: readable(found), passedOver: [] };
  }
  const real = realpath(name);
  const found = real === undefined ? undefined : readSnapshot(real as AbsolutePath, "models");
  // the link is in a directory that may be somebody else's: it decides nothing that its owner could have chosen
  const isOurs = name.startsWith(`${root}/`) && snapshots.some(({ isOwn }) => isOwn);
  const isForeign = found === undefined || (isOurs && !found.isOwn);
  if (latestNames.has(nameOf(name)) && isForeign) return latest();
  if (found === undefined) throw unknownSnapshot(quoted, root);
  return { snapshot: readable(found), passedOver: [] };
}

/** Our own of some sources, oldest first; one without a sound record by the source's short name in its id. */
function ofSources(
  snapshots: readonly FoundSnapshot[],
  sources: readonly string[],
): readonly FoundSnapshot[] {
  const slugs = new Set(sources.map(slugOf));
  return ownSnapshots(snapshots).filter(({ record, slug, area }) =>
    record === undefined ? slugs.has(slug) && area === "models" : sources.includes(record.source),
  );
}

/** Those of a slug: the whole one, or the end of one if only one source has it, as in `latest:active`. */
function ofSlug(snapshots: readonly FoundSnapshot[], slug: string): readonly FoundSnapshot[] {
  const own = ownSnapshots(snapshots).filter(({ state }) => state !== "partial");
  const wanted = slugOf(slug);
  const exact = own.filter((snapshot) => snapshot.slug === wanted);
  if (exact.length > 0) return exact;
  const ending = own.filter((snapshot) => snapshot.slug.endsWith(`-${wanted}`));
  const slugs = [...new Set(ending.map((snapshot) => snapshot.slug))].sort();
  if (slugs.length > 1) throw ambiguous(slug, slugs);
  return ending;
}

function ambiguous(slug: string, slugs: readonly string[]): CitadelError {
  const names = slugs.map((each) => `latest:${each}`);
  return new CitadelError({
    kind: "usage",
    code: "SNAPSHOT_AMBIGUOUS",
    message: `latest:${slug} means several sources: ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}`,
    hint: `name one of them, for instance ${names[0]}`,
    details: { sources: slugs },
  });
}

/** @throws kind `not-found` where there is none, kind `permission` where the caller may read none */
function pick(
  candidates: readonly FoundSnapshot[],
  wanted: Wanted,
  all: readonly FoundSnapshot[],
  what: string,
  root: string,
): Resolved {
  const finished = candidates.filter(({ state }) => state !== "partial");
  const at = finished.findLastIndex(({ state }) => state === "complete");
  // where none is sound, the newest: who works with it says what is wrong with it
  const snapshot = wanted === "usable" && at >= 0 ? finished[at] : finished.at(-1);
  if (snapshot === undefined) {
    for (const each of all) readable(each);
    throw unknownSnapshot(what, root);
  }
  const passedOver = finished.slice(finished.indexOf(snapshot) + 1);
  return { snapshot: readable(snapshot), passedOver };
}

/** @throws kind `permission` for a snapshot that this caller may not read */
export function readable(snapshot: FoundSnapshot): FoundSnapshot {
  if (snapshot.state !== "unknown") return snapshot;
  throw new CitadelError({
    kind: "permission",
    code: "PERMISSION",
    message: `snapshot ${snapshot.id} cannot be read: ${snapshot.why ?? "it is another user's"}`,
    path: snapshot.directory,
    hint: "snapshots are root's alone: run the command as root (sudo)",
  });
}

/**
 * The newest complete snapshot of a source that is not later than a moment.
 * @throws kind `not-found`, code `SNAPSHOT_UNKNOWN`; kind `permission`
 */
export function snapshotAt(root: string, atMs: number, sources: readonly string[]): Resolved {
  const snapshots = listSnapshots(root);
  const candidates = ofSources(snapshots, sources).filter(({ startedMs }) => startedMs <= atMs);
  const what = `of ${sources[0]} from before ${new Date(atMs).toISOString()}`;
  return pick(candidates, "usable", snapshots, what, root);
}
