// How far a verification is: the threads that check count the bytes of the pieces they are done with, the thread that
// shows progress reads the sum. A single file may take minutes.

import type { CheckFile } from "./content-check.ts";
import { chunkSizeBytes } from "../format/manifest.ts";

/** Counting is a barrier for all cores: not at every piece. */
const countedAtOnceBytes = 8 * 1024 * 1024;

/** One sum for all threads of a run; it never goes back. */
export function createCheckedBytes(): SharedArrayBuffer {
  return new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT);
}

export function readCheckedBytes(shared: SharedArrayBuffer): number {
  return Number(Atomics.load(new BigInt64Array(shared), 0));
}

/** Bytes of the original content that a job of `file` stands for. */
export function countedBytes({ size, xxh3, original, firstChunk }: CheckFile): number {
  if (original !== undefined) return original.size;
  return Math.min(size - firstChunk * chunkSizeBytes, xxh3.length * chunkSizeBytes);
}

/** What one thread counts. A file counts as much as its original content, in whatever way it is stored or fails. */
export class CheckedBytes {
  readonly #shared: BigInt64Array;
  #pending = 0;
  #left = 0;
  #share = 1;

  constructor(shared: SharedArrayBuffer) {
    this.#shared = new BigInt64Array(shared);
  }

  /** A file begins. What is packed passes twice, packed and unpacked: each byte counts for its share. */
  begin(file: CheckFile): void {
    this.#left = countedBytes(file);
    const passing = this.#left + (file.original === undefined ? 0 : file.size);
    this.#share = passing === 0 ? 0 : this.#left / passing;
  }

  /** Bytes of the file at hand that were looked at. */
  add(bytes: number): void {
    const counted = Math.min(Math.floor(bytes * this.#share), this.#left);
    this.#left -= counted;
    this.#pending += counted;
    if (this.#pending >= countedAtOnceBytes) this.flush();
  }

  /** The file is done with: what was not looked at, since there was damage, counts too. */
  end(): void {
    this.#pending += this.#left;
    this.#left = 0;
  }

  flush(): void {
    if (this.#pending > 0) Atomics.add(this.#shared, 0, BigInt(this.#pending));
    this.#pending = 0;
  }
}
