// Carries a retention plan out: one snapshot after the other, each renamed out of the way first, so that what has a
// snapshot's name is never half removed. Deleting one never harms another: hard links are counted by the kernel.

import { CitadelError, joinPath, nameOf, parentOf, type AbsolutePath } from "../core/index.ts";
import {
  listDirectory,
  lstat,
  readlink,
  syncDirectory,
  temporaryPrefix,
  type Clock,
  fromErrno,
  isErrno,
} from "../system/index.ts";
import { tryLock, type LockDomain } from "../system/lock.ts";
import { makeSymlink, removeFile, removeTree, renamePath } from "../system/raw-file.ts";
import { pinBelow, pinTyped, type PinnedDirectory } from "../system/pinned-directory.ts";
import { releaseReserve } from "../system/reserve-file.ts";
import { freeBytesAt } from "../system/restore-target.ts";
import { areaDirectories, type SnapshotArea } from "./format/snapshot-json.ts";
import { parseSnapshotId } from "./format/ids.ts";
import type { FoundSnapshot } from "./repository.ts";
import type { RetentionPlan } from "./retention.ts";

export interface CleanupContext {
  readonly backupRoot: AbsolutePath;
  readonly runtimeDir: AbsolutePath;
  readonly clock: Pick<Clock, "nowMs">;
  readonly signal?: AbortSignal | undefined;
  readonly onRemoved?: ((snapshot: FoundSnapshot) => void) | undefined;
}

export interface CleanupReport {
  readonly removed: readonly FoundSnapshot[];
  /** Taken by someone between the plan and now, or not removable. */
  readonly failed: readonly { readonly snapshot: FoundSnapshot; readonly reason: string }[];
  readonly freedBytes: number;
  /** Remains of removals that were interrupted, finished now. */
  readonly leftovers: number;
}

const removingPrefix = `${temporaryPrefix}removing-`;
const tags = ["daily", "weekly", "monthly"] as const;
const lowSpaceBytes = 8 * 1024 * 1024;

/** Where the emergency reserve lies. */
export function reservePath(backupRoot: string): AbsolutePath {
  return joinPath(backupRoot, ".citadel-agent.reserve");
}

/** Removes what the plan says. Whoever calls has settled the plan's objections. */
export function applyRetention(plan: RetentionPlan, context: CleanupContext): CleanupReport {
  const { backupRoot } = context;
  if (freeBytesAt(backupRoot) < lowSpaceBytes) releaseReserve(reservePath(backupRoot));
  const freeBefore = freeBytesAt(backupRoot);
  let leftovers = 0;
  const removed: FoundSnapshot[] = [];
  const failed: { snapshot: FoundSnapshot; reason: string }[] = [];
  for (const area of areaPaths(backupRoot)) leftovers += removeLeftovers(area);
  for (const snapshot of plan.remove) {
    context.signal?.throwIfAborted();
    try {
      if (removeOne(snapshot, context)) removed.push(snapshot);
      else failed.push({ snapshot, reason: "in use" });
    } catch (thrown) {
      if (!isErrno(thrown) && !(thrown instanceof CitadelError)) throw thrown;
      const { message } = fromErrno(thrown, "remove", snapshot.directory);
      failed.push({ snapshot, reason: message });
    }
    context.onRemoved?.(snapshot);
  }
  linkTags(plan, backupRoot);
  const freedBytes = Math.max(0, freeBytesAt(backupRoot) - freeBefore);
  return { removed, failed, freedBytes, leftovers };
}

const latin1 = (text: string) => Buffer.from(text).toString("latin1");

function areaPaths(backupRoot: string): AbsolutePath[] {
  return Object.values(areaDirectories).map((directory) => joinPath(backupRoot, directory));
}

/** @returns false where a restore or a verification holds it */
function removeOne(snapshot: FoundSnapshot, context: CleanupContext): boolean {
  using lock = tryLock({
    directory: context.runtimeDir,
    domain: `snapshot-${snapshot.id}` as LockDomain,
    command: "backup cleanup",
    clock: context.clock,
  });
  if (lock === undefined) return false;
  // The directory above may be somebody else's: it is held open, and nothing is done through a link in it.
  using parent = pinTyped(parentOf(snapshot.directory));
  const name = nameOf(snapshot.directory);
  const doomed = `${parent.through}/${removingPrefix}${name}`;
  renamePath(latin1(`${parent.through}/${name}`), latin1(doomed));
  syncDirectory(parent.through);
  for (const tag of new Set([...tags, ...(snapshot.record?.tags ?? [])])) {
    using directory = openTag(parent, tag, false);
    if (directory !== undefined) removeFile(latin1(`${directory.through}/${snapshot.id}`));
  }
  removeTree(latin1(doomed));
  return true;
}

function removeLeftovers(area: AbsolutePath): number {
  let count = 0;
  for (const name of listDirectory(area) ?? []) {
    if (!name.startsWith(removingPrefix)) continue;
    removeTree(latin1(joinPath(area, name)));
    count += 1;
  }
  return count;
}

/** `daily/<id>` and so on are links to those, and only those, that are kept for that reason. */
function linkTags(plan: RetentionPlan, backupRoot: string): void {
  for (const area of Object.keys(areaDirectories) as SnapshotArea[]) {
    const place = joinPath(backupRoot, areaDirectories[area]);
    if (lstat(place) === undefined) continue;
    using parent = pinTyped(place);
    for (const tag of tags) {
      const wanted = new Set(
        plan.keep
          .filter(({ snapshot, reasons }) => snapshot.area === area && reasons.includes(tag))
          .map(({ snapshot }) => snapshot.id),
      );
      using directory = openTag(parent, tag, wanted.size > 0);
      if (directory === undefined) continue;
      for (const name of listDirectory(directory.through) ?? []) {
        const path = joinPath(directory.through, name);
        const isOurs = parseSnapshotId(name) !== undefined && lstat(path)?.type === "link";
        if (isOurs && !wanted.has(name) && readlink(path) === `../${name}`)
          removeFile(latin1(path));
      }
      for (const id of wanted) {
        const path = joinPath(directory.through, id);
        if (lstat(path) === undefined) makeSymlink(`../${id}`, latin1(path));
      }
    }
  }
}

/** A directory of tags, held open; undefined where it is missing, or a link (which somebody else may have made). */
function openTag(area: PinnedDirectory, tag: string, make: boolean): PinnedDirectory | undefined {
  try {
    return pinBelow(area, [tag], make);
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.kind === "conflict") return undefined;
    throw thrown;
  }
}
