// What a verification found, path by path; bounded, however broken the snapshot is.

import type { ByteRange } from "./content-check.ts";
import type { BytePath } from "../format/byte-path.ts";

export interface VerifyFailure {
  /** Below the snapshot: `data/…`, `packed/…`, or the name of a metadata file. */
  readonly path: BytePath;
  /** `content`, `size`, `missing`, `extra`, `type`, `mode`, `target`, `unreadable`, `damaged`, `unknown`. */
  readonly reason: string;
  /** `[start, end)` in bytes of the stored file. */
  readonly ranges: readonly ByteRange[];
  readonly errno?: string | undefined;
  /** The inode there and what it should hold: other snapshots may share it. */
  readonly stored?: StoredContent | undefined;
}

/** A stored file beyond its name. */
export interface StoredContent {
  readonly ino: bigint;
  /** Of the bytes as they are stored. */
  readonly sha256: string;
}

export interface VerifyReport {
  readonly snapshot: string;
  /** What was checked is sound. */
  readonly valid: boolean;
  readonly mode: "quick" | "full";
  readonly cached: boolean;
  /** 1: all files; 0: structure only. */
  readonly sampleRate: number;
  readonly seed: number | undefined;
  readonly filesTotal: number;
  readonly filesChecked: number;
  readonly filesFailed: number;
  /** Stored bytes of the checked files; what hard links share counts for each name. */
  readonly bytesChecked: number;
  /** What was really read. */
  readonly bytesRead: number;
  readonly durationMs: number;
  /** The first 10,000. */
  readonly failures: readonly VerifyFailure[];
  /** All files, from the device, and nothing wrong: this sets `verified_at`. */
  readonly isWhole: boolean;
  /** What a person should know, such as that the result could not be recorded. */
  readonly remarks: readonly string[];
}

const maxListed = 10_000;

/** Collects failures, one per path: the ranges of a file's parts come together. */
export class FailureList {
  readonly #byPath = new Map<BytePath, VerifyFailure>();
  #unlisted = 0;

  get count(): number {
    return this.#byPath.size + this.#unlisted;
  }

  add(failure: VerifyFailure): void {
    const former = this.#byPath.get(failure.path);
    if (former === undefined && this.#byPath.size >= maxListed) {
      this.#unlisted += 1;
      return;
    }
    const ranges =
      former === undefined ? failure.ranges : join([...former.ranges, ...failure.ranges]);
    this.#byPath.set(failure.path, { ...(former ?? failure), ranges });
  }

  has(path: BytePath): boolean {
    return this.#byPath.has(path);
  }

  toArray(): VerifyFailure[] {
    return [...this.#byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}

function join(ranges: readonly ByteRange[]): ByteRange[] {
  const joined: [number, number][] = [];
  for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined;
}
