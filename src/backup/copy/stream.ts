// Passes a large file through a ring of buffers: reading ahead and writing behind on the I/O threads while this
// thread hashes (shared/performance.md: 0.2 of `rsync; sync; sha256sum`). Holes are neither read nor written.

import { systemClock } from "../../system/clock.ts";
import { type OpenedFile, readFullyAt, writeFullyAt } from "../../system/raw-file.ts";
import { throwIfStopped } from "../../system/worker-pool.ts";
import { chunkSizeBytes } from "../format/index.ts";
import type { FileHashes } from "./hashes.ts";

const sliceBytes = 4 * 1024 * 1024;
/** A limit may make a slice take many seconds: between them somebody may have ended the run. */
const longestWaitMs = 100;
const slicesPerChunk = chunkSizeBytes / sliceBytes;

/** What O_DIRECT wants offsets and lengths to be multiples of. */
export const alignmentBytes = 4096;

/** The file got shorter while it was read. */
export class SourceChanged extends Error {}

/** The file is not the candidate after all, beyond its first chunk: copy it from the start. */
export class CandidateDiffers extends Error {}

export interface StreamOptions {
  readonly source: OpenedFile;
  readonly sizeBytes: number;
  /** Where there is data, ascending, aligned; nothing else is read or written. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Begins on a page; a chunk at least: it is written late where it is compared first. */
  readonly ring: Uint8Array;
  readonly hashes: FileHashes;
  /** Opens the target at the first write. */
  readonly openTarget: () => OpenedFile;
  /** Write nothing: the target shares the source's blocks already. */
  readonly readOnly: boolean;
  /** Hashes of a stored file to compare with before anything is written. */
  readonly candidate?: readonly string[] | undefined;
  /** 0: no limit. */
  readonly bytesPerSecond: number;
}

/** @returns whether anything was written (no: it is the candidate's content, as far as XXH3 tells) */
export async function streamFile(options: StreamOptions): Promise<boolean> {
  const stream = new Stream(options);
  try {
    return await stream.run();
  } finally {
    await stream.settle(); // no buffer may be in flight when the ring is used again
  }
}

class Stream {
  readonly #options: StreamOptions;
  readonly #slots: number;
  readonly #slices: number;
  readonly #reads: (Promise<number> | undefined)[];
  readonly #writes: Promise<void>[];
  #issued = 0;
  #comparing: boolean;
  #target: OpenedFile | undefined;
  #failure: unknown;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#slots = options.ring.length / sliceBytes;
    this.#slices = Math.ceil(options.sizeBytes / sliceBytes);
    this.#reads = [];
    this.#writes = [];
    this.#comparing = options.candidate !== undefined;
  }

  async run(): Promise<boolean> {
    const { hashes, readOnly, sizeBytes, bytesPerSecond } = this.#options;
    const startedMs = systemClock.monotonicMs();
    for (let slice = 0; slice < this.#slices; slice += 1) {
      this.#readAhead(slice);
      const count = (await this.#reads[slice % this.#slots]) ?? 0;
      if (this.#failure !== undefined) throw this.#failure;
      const want = Math.min(sliceBytes, sizeBytes - slice * sliceBytes);
      if (count < want) throw new SourceChanged();
      if (!readOnly && !this.#comparing) this.#write(slice);
      const endsChunk = slice % slicesPerChunk === slicesPerChunk - 1 || slice === this.#slices - 1;
      hashes.take(this.#slot(slice).subarray(0, want), endsChunk);
      if (endsChunk && this.#comparing) this.#compareChunk(slice);
      if (bytesPerSecond > 0) await pace(slice * sliceBytes + want, bytesPerSecond, startedMs);
    }
    await Promise.all(this.#writes);
    if (this.#failure !== undefined) throw this.#failure;
    return !this.#comparing && !readOnly;
  }

  async settle(): Promise<void> {
    await Promise.allSettled([...this.#reads, ...this.#writes]);
  }

  #slot(slice: number): Uint8Array {
    const start = (slice % this.#slots) * sliceBytes;
    return this.#options.ring.subarray(start, start + sliceBytes);
  }

  /**
   * Issues every read whose place in the ring is free: its former slice is hashed, its write is waited for.
   * @param hashed slices; the first chunk is kept until it is known whether it has to be written
   */
  #readAhead(hashed: number): void {
    const isUndecided = this.#comparing && hashed < slicesPerChunk;
    const end = Math.min(this.#slices, (isUndecided ? 0 : hashed) + this.#slots);
    for (; this.#issued < end; this.#issued += 1) {
      const read = this.#read(this.#issued);
      read.catch(() => {}); // looked at when its turn comes, or by settle
      this.#reads[this.#issued % this.#slots] = read;
    }
  }

  async #read(slice: number): Promise<number> {
    await this.#writes[slice % this.#slots];
    const { source, sizeBytes } = this.#options;
    const start = slice * sliceBytes;
    const want = Math.min(sliceBytes, sizeBytes - start);
    const buffer = this.#slot(slice);
    if (this.#dataWithin(start, start + want).length === 0) {
      buffer.fill(0, 0, want);
      return want;
    }
    return readFullyAt(source.fd, source.direct ? buffer : buffer.subarray(0, want), start);
  }

  #write(slice: number): void {
    this.#target ??= this.#options.openTarget();
    const write = this.#writeSlice(this.#target, slice).catch((thrown: unknown) => {
      this.#failure ??= thrown;
    });
    this.#writes[slice % this.#slots] = write;
  }

  async #writeSlice(target: OpenedFile, slice: number): Promise<void> {
    const { sizeBytes } = this.#options;
    const start = slice * sliceBytes;
    const end = Math.min(start + sliceBytes, sizeBytes);
    const buffer = this.#slot(slice);
    const padded = Math.ceil(end / alignmentBytes) * alignmentBytes;
    if (target.direct && padded > end) buffer.fill(0, end - start, padded - start);
    for (const [from, to] of this.#dataWithin(start, end)) {
      const stop = target.direct ? Math.ceil(to / alignmentBytes) * alignmentBytes : to;
      await writeFullyAt(target.fd, buffer.subarray(from - start, stop - start), from);
    }
  }

  /** Compares the chunk that ends with this slice with the candidate's. */
  #compareChunk(slice: number): void {
    const { hashes, candidate } = this.#options;
    const chunk = Math.floor(slice / slicesPerChunk);
    if (hashes.chunks[chunk] === candidate?.[chunk]) return;
    if (chunk > 0) throw new CandidateDiffers();
    this.#comparing = false;
    for (let at = 0; at <= slice; at += 1) this.#write(at);
  }

  /** The data ranges within [start, end), by binary search. */
  #dataWithin(start: number, end: number): [number, number][] {
    const { ranges } = this.#options;
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[middle]?.[1] ?? 0) <= start) low = middle + 1;
      else high = middle;
    }
    const found: [number, number][] = [];
    for (let at = low; at < ranges.length; at += 1) {
      const [from, to] = ranges[at] ?? [0, 0];
      if (from >= end) break;
      found.push([Math.max(from, start), Math.min(to, end)]);
    }
    return found;
  }
}

/** Widens ranges to whole blocks and joins those that touch. */
export function alignRanges(
  ranges: readonly (readonly [number, number])[],
  sizeBytes: number,
): [number, number][] {
  const aligned: [number, number][] = [];
  for (const [start, end] of ranges) {
    const from = Math.floor(start / alignmentBytes) * alignmentBytes;
    const to = Math.min(Math.ceil(end / alignmentBytes) * alignmentBytes, sizeBytes);
    const last = aligned.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else aligned.push([from, to]);
  }
  return aligned;
}

/** What lies between the ranges. */
export function holesBetween(
  ranges: readonly (readonly [number, number])[],
  sizeBytes: number,
): [number, number][] {
  const holes: [number, number][] = [];
  let at = 0;
  for (const [start, end] of ranges) {
    if (start > at) holes.push([at, start]);
    at = end;
  }
  if (at < sizeBytes) holes.push([at, sizeBytes]);
  return holes;
}

/** Waits until so many bytes may have been read. @param startedMs of the monotonic clock */
export async function pace(
  doneBytes: number,
  bytesPerSecond: number,
  startedMs: number,
): Promise<void> {
  const dueMs = startedMs + (doneBytes / bytesPerSecond) * 1000;
  for (;;) {
    const waitMs = dueMs - systemClock.monotonicMs();
    if (waitMs <= 1) return;
    await systemClock.sleep(Math.min(waitMs, longestWaitMs));
    throwIfStopped();
  }
}
