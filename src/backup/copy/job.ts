// What the planner asks of a copy worker, and what it answers. Paths are absolute, one character per byte; messages
// are cloned between threads, so everything here is plain data.

import type { ExactStat } from "../../system/native.ts";
import type { LinkAnswer, LinkJob } from "./link-job.ts";
import type { ExtraAlgorithm, PackMethod, PackedContent } from "../format/index.ts";

/** Files up to this are read whole, written through the cache and sent to workers in batches. */
export const smallFileBytes = 1024 * 1024;

/** How often a file that changes while it is read is tried. */
export const maxChangeTries = 3;

/** Where and how a file may be stored compressed. */
export interface PackRequest {
  /** `packed/` of the snapshot. */
  readonly root: string;
  readonly method: PackMethod;
  readonly level: number;
}

/** What is the same for all files of a run. */
export interface CopyTask {
  readonly sourceRoot: string;
  /** `data/` of the snapshot. */
  readonly dataRoot: string;
  /** Share blocks with the source where the file system can (never for a full backup). */
  readonly reflink: boolean;
  readonly pack: PackRequest | undefined;
  readonly digests: readonly ExtraAlgorithm[];
  /** How fast a large file may be read; 0: as fast as it goes. */
  readonly bytesPerSecond: number;
  /** Of large files: what has passed of those at work (passed-bytes.ts). */
  readonly passed: SharedArrayBuffer;
}

export interface CopyOrder {
  /** Place in the order of entries; the answer carries it. */
  readonly sequence: number;
  /** Relative path, as in the manifest. */
  readonly path: string;
  /** Which inode the walk saw; another one must at least lie at the same place without a link on the way. */
  readonly dev: number;
  readonly ino: bigint;
  readonly sizeBytes: number;
  /** A stored file of this size that may be the same: read and compared first, written only from where they differ. */
  readonly candidate?: { readonly sha256: string; readonly xxh3: readonly string[] } | undefined;
}

/** An order and what belongs to it. */
export interface CopyJob extends CopyOrder, CopyTask {
  readonly source: string;
}

export interface CopiedContent {
  readonly sequence: number;
  /** `matched`: the same as the candidate; nothing was written. */
  readonly outcome: "copied" | "matched";
  /** The source as it was while it was read. */
  readonly stat: ExactStat;
  readonly sha256: string;
  readonly xxh3: readonly string[];
  readonly digests?: Readonly<Partial<Record<ExtraAlgorithm, string>>> | undefined;
  readonly holes?: readonly (readonly [number, number])[] | undefined;
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
  readonly packed?: PackedContent | undefined;
  /** Written to the disk. */
  readonly writtenBytes: number;
  readonly reflinked: boolean;
  /** Flushed by itself; others wait for the flush of the file system. */
  readonly flushed: boolean;
}

export interface CopyRefusal {
  readonly sequence: number;
  readonly outcome: "changed" | "vanished" | "failed";
  /** The system's error name where a call failed, and which side it was on. */
  readonly errno?: string | undefined;
  readonly side?: "source" | "target" | undefined;
  readonly message: string;
}

export type CopyResult = CopiedContent | CopyRefusal;

export type WorkerJob =
  | {
      readonly kind: "copy";
      readonly orders: readonly CopyOrder[];
      readonly task: CopyTask;
    }
  | LinkJob
  | { readonly kind: "flush"; readonly path: string };

export type WorkerAnswer = readonly CopyResult[] | LinkAnswer;

/** A copy that takes a worker for a good part of a second: nothing should wait behind it. */
export function isLongCopy(job: WorkerJob): boolean {
  return job.kind === "copy" && job.orders.some(({ sizeBytes }) => sizeBytes > longBytes);
}

const longBytes = 32 * 1024 * 1024;
