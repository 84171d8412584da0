// What a run and its plan judge alike before the first write: the snapshot to compare with, and the room needed.

import { CitadelError } from "../../core/index.ts";
import type { System } from "../../system/index.ts";
import type { SnapshotRecord } from "../format/index.ts";
import { ownSnapshots, type FoundSnapshot } from "../repository.ts";
import { writtenBytes } from "../outlook.ts";
import type { CreateOptions } from "./options.ts";
import { findResumable, openArea, type PartialKind } from "./partial.ts";
import type { Survey } from "./survey.ts";

/** What the snapshot calls its source. */
export function nameOfSource(options: CreateOptions): string {
  return options.sourceName ?? options.sourcePath;
}

/** By what a run knows the partial that it can go on with. */
export function kindOf(options: CreateOptions, sourceIdentity: string): PartialKind {
  return {
    sourceIdentity,
    source: nameOfSource(options),
    type: options.type,
    compression: options.compression?.method ?? "none",
    checksums: options.extraChecksums.join(","),
  };
}

/** More entries than any source has: nothing here is endless. */
const maxResumedEntries = 100_000_000;

/** Bytes of the partial that the next run goes on with; what is stale of it gives its room back. 0 without one. */
export function resumableBytes(options: CreateOptions, sourceIdentity: string): number {
  try {
    using area = openArea(options.repositoryPath, options.area, false);
    const found = area && findResumable(area, kindOf(options, sourceIdentity));
    if (found === undefined) return 0;
    using pin = found.pin;
    return writtenBytes(`${pin.through}/.`, maxResumedEntries);
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    return 0; // whoever opens it to write says why
  }
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
 * @param resumedBytes what a killed run stored of it: it takes its room already
 */
export function neededBytes(
  survey: Pick<Survey, "bytes" | "storedBytes">,
  parent:
    | {
        readonly record: Pick<SnapshotRecord, "counts">;
        readonly damaged?: { readonly bytes: number };
      }
    | undefined,
  resumedBytes = 0,
): number {
  return Math.max(0, storedAnew(survey, parent) - resumedBytes);
}

function storedAnew(
  survey: Parameters<typeof neededBytes>[0],
  parent: Parameters<typeof neededBytes>[1],
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
