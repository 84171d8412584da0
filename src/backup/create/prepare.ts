// What a run and its plan judge alike before the first write: the snapshot to compare with, and the room needed.

import type { System } from "../../system/index.ts";
import type { SnapshotRecord } from "../format/index.ts";
import { ownSnapshots, type FoundSnapshot } from "../repository.ts";
import type { CreateOptions } from "./options.ts";
import type { Survey } from "./survey.ts";

/** What the snapshot calls its source. */
export function nameOfSource(options: CreateOptions): string {
  return options.sourceName ?? options.sourcePath;
}

/**
 * The last snapshot of this path, whatever disk it was of then: an unmounted disk is another source by its identity,
 * and must not pass for a new one.
 */
export function previousOf(
  snapshots: readonly FoundSnapshot[],
  options: CreateOptions,
  system: System,
): SnapshotRecord | undefined {
  const { hostname } = system.environment;
  return ownSnapshots(snapshots).findLast(
    ({ record }) =>
      record?.source === nameOfSource(options) &&
      record.host === hostname &&
      record.area === options.area &&
      !record.shrunk,
  )?.record;
}

/**
 * What will have to be stored, as far as a survey tells: against a parent the growth and no less than a hundredth.
 * Blocks are compared, not sizes: a file of 2 TiB may be one hole. Running out nevertheless ends cleanly.
 */
export function neededBytes(
  survey: Pick<Survey, "bytes" | "storedBytes">,
  parent:
    | {
        readonly record: Pick<SnapshotRecord, "counts">;
        readonly damaged?: { readonly bytes: number };
      }
    | undefined,
): number {
  if (parent === undefined) return survey.storedBytes;
  const { bytes, source_blocks_bytes: blocks } = parent.record.counts;
  const growth =
    blocks === undefined
      ? Math.min(survey.bytes - bytes, survey.storedBytes)
      : survey.storedBytes - blocks;
  const damagedBytes = parent.damaged?.bytes ?? 0; // stored anew
  return Math.max(growth, Math.ceil(survey.storedBytes / 100)) + damagedBytes;
}
