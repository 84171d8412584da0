// What making a snapshot would do, from looking alone: the plan of `backup create --dry-run`. It judges by the parent's
// manifest; content that moved or is there twice is found only while it is read, so `copy` is the most it can be.

import { joinPath, type AbsolutePath } from "../../core/index.ts";
import { fileSystemUsage, type System } from "../../system/index.ts";
import { walkTree } from "../../system/tree-walk.ts";
import {
  areaDirectories,
  jsonPath,
  maxSkippedListed,
  type BytePath,
  type FileEntry,
  type SkippedPath,
} from "../format/index.ts";
import { collectConflict, type PlanConflict } from "../plan-conflict.ts";
import { listSnapshots } from "../repository.ts";
import type { CreateOptions } from "./options.ts";
import { chooseParent, ParentCursor } from "./parent.ts";
import { neededBytes, previousOf, resumableBytes } from "./prepare.ts";
import {
  checkMounts,
  checkPlaces,
  checkShrink,
  checkSpace,
  checkWritable,
  emptySource,
  existingPart,
  identityOf,
  sourceRoot,
} from "./source.ts";
import { isFirstName, surveySource } from "./survey.ts";

export interface SnapshotPlan {
  readonly source: string;
  readonly to: AbsolutePath;
  readonly type: CreateOptions["type"];
  readonly parent: string | null;
  readonly files: number;
  readonly bytes: number;
  readonly copy_files: number;
  readonly copy_bytes: number;
  readonly link_files: number;
  readonly skipped: readonly SkippedPath[];
  readonly skipped_total: number;
  readonly needed_bytes: number;
  readonly available_bytes: number;
  /** Why it would be refused: data here, an error in the real run. */
  readonly conflicts: readonly PlanConflict[];
  readonly warnings: readonly string[];
}

/**
 * Looks at source and repository and changes nothing.
 * @throws what makes it impossible to look: kinds `not-found`, `usage`, `cancelled`
 */
export async function planSnapshot(
  options: CreateOptions,
  system: System,
  signal: AbortSignal,
): Promise<SnapshotPlan> {
  const warnings = checkPlaces(options);
  const identity = identityOf(options, system);
  const snapshots = listSnapshots(options.repositoryPath);
  using parent =
    options.type === "incremental"
      ? chooseParent(snapshots, { ...options, identity }, (text) => warnings.push(text))
      : undefined;
  const survey = await surveySource(options, system, signal);
  warnings.push(...emptySource(survey, options));
  const needed = neededBytes(survey, parent, resumableBytes(options, identity));
  const conflicts: PlanConflict[] = [];
  const collect = (check: () => unknown) => collectConflict(conflicts, check);
  collect(() => checkMounts(options.mustBeMounted, system));
  collect(() => checkWritable(options));
  collect(() =>
    checkShrink(survey, parent?.record ?? previousOf(snapshots, options, system), options),
  );
  collect(() => checkSpace(needed, survey.entries, options));
  const cursor = new ParentCursor(parent);
  try {
    const found = await compare(options, system, cursor, signal, parent?.damaged.paths);
    return {
      source: options.sourcePath,
      to: joinPath(options.repositoryPath, areaDirectories[options.area]),
      type: options.type,
      parent: parent?.record.id ?? null,
      files: survey.files,
      bytes: survey.bytes,
      ...found,
      needed_bytes: needed + options.reserveBytes,
      available_bytes: fileSystemUsage(existingPart(options.repositoryPath)).availableBytes,
      conflicts,
      warnings,
    };
  } finally {
    cursor.close();
  }
}

const typeMask = 0o170000;
const regularType = 0o100000;

async function compare(
  options: CreateOptions,
  system: Pick<System, "clock">,
  cursor: ParentCursor,
  signal: AbortSignal,
  damaged: ReadonlySet<BytePath> = new Set(),
) {
  const found = { copy_files: 0, copy_bytes: 0, link_files: 0, skipped_total: 0 };
  const skipped: SkippedPath[] = [];
  const skip = (path: string, reason: string) => {
    found.skipped_total += 1;
    if (skipped.length < maxSkippedListed) skipped.push({ ...jsonPath(path as BytePath), reason });
  };
  const seen = new Set<string>();
  let entries = 0;
  const root = sourceRoot(options);
  for (const { path, stat, failure, isForeignMount } of walkTree(root, options)) {
    if ((entries += 1) % 4096 === 0) {
      await system.clock.sleep(0);
      signal.throwIfAborted();
    }
    const former = cursor.at(path as BytePath);
    if (failure !== undefined) skip(path, "unreadable");
    else if (isForeignMount) skip(path, "mount_point");
    else if ((stat.mode & typeMask) !== regularType) continue;
    else if (stat.linkCount > 1 && !isFirstName(seen, stat)) found.link_files += 1;
    else if (former?.type === "file" && isUnchanged(former, stat) && !damaged.has(former.path))
      found.link_files += 1;
    else {
      found.copy_files += 1;
      found.copy_bytes += stat.sizeBytes;
    }
  }
  return { ...found, skipped };
}

function isUnchanged(
  former: FileEntry,
  stat: { sizeBytes: number; mtimeNs: bigint; ctimeNs: bigint; ino: bigint },
): boolean {
  return (
    former.size === stat.sizeBytes &&
    former.mtimeNs === stat.mtimeNs &&
    former.ctimeNs === stat.ctimeNs &&
    former.ino === stat.ino
  );
}
