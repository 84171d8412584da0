// Storing a file compressed, under `packed/`: the decision on a sample, and the pass that reads, hashes and packs.

import {
  type OpenedFile,
  createForWriting,
  makeDirectory,
  readFullyAt,
  readFullySync,
  writeFullySync,
} from "../../system/raw-file.ts";
import { chunkSizeBytes, packExtensions, type PackedContent } from "../format/index.ts";
import { isErrno } from "../../system/errno.ts";
import { openXxh3, type Xxh3 } from "../xxh3/xxh3.ts";
import { compressFrame, frameBytes, isWorthwhile, staysPlain } from "./codec.ts";
import { FileHashes } from "./hashes.ts";
import type { CopyJob, PackRequest } from "./job.ts";
import { SourceChanged } from "./stream.ts";
import { onTarget } from "./target-failure.ts";

const sampleBytes = 64 * 1024;
const samples = 8;

/** Whether a large file shrinks enough, judged by eight blocks spread over it. */
export function isSampleWorthwhile(
  source: OpenedFile,
  job: CopyJob,
  size: number,
  ring: Uint8Array,
): boolean {
  const { pack } = job;
  if (pack === undefined || staysPlain(job.path)) return false;
  let before = 0;
  let after = 0;
  for (let at = 0; at < samples; at += 1) {
    const place = Math.floor((((size - sampleBytes) / (samples - 1)) * at) / 4096) * 4096;
    const block = ring.subarray(0, sampleBytes);
    const count = readFullySync(source.fd, block, place);
    if (count === 0) return false;
    before += count;
    after += compressFrame(block.subarray(0, count), pack.method, pack.level).length;
  }
  return isWorthwhile(after, before);
}

/** A file that lies in memory: its packed form, or undefined where that saves too little. */
export function packWhole(content: Uint8Array, job: CopyJob): Uint8Array | undefined {
  const { pack } = job;
  if (pack === undefined || content.length <= 4096 || staysPlain(job.path)) return undefined;
  const packed = compressFrame(content, pack.method, pack.level);
  return isWorthwhile(packed.length, content.length) ? packed : undefined;
}

export interface PackTarget {
  readonly file: OpenedFile;
  readonly path: string;
}

/**
 * Creates `packed/<path>.zst` and the directories above it.
 * @returns undefined where the name cannot be: longer than 255 bytes, or taken by another file's directory
 */
export function openPackTarget(request: PackRequest, path: string): PackTarget | undefined {
  const target = `${request.root}/${path}${packExtensions[request.method]}`;
  try {
    makeParents(request.root, path);
    return { file: createForWriting(target, false), path: target };
  } catch (thrown) {
    if (isErrno(thrown, "ENAMETOOLONG", "ENOTDIR", "EISDIR", "EEXIST", "EPERM")) return undefined;
    throw thrown;
  }
}

function makeParents(root: string, path: string): void {
  makeDirectory(root, 0o700);
  for (let cut = path.indexOf("/"); cut !== -1; cut = path.indexOf("/", cut + 1)) {
    makeDirectory(`${root}/${path.slice(0, cut)}`, 0o700);
  }
}

/** Describes stored bytes that lie in memory. */
export function describePacked(stored: Uint8Array, request: PackRequest): PackedContent {
  const hashes = new StoredHashes();
  hashes.add(stored);
  return hashes.describe(request);
}

/**
 * Reads a large file once, hashes it and writes it packed, frame by frame.
 * @param ring a frame at least
 * @throws TargetFailure, SourceChanged, the system's error of the source
 */
export async function packStream(
  source: OpenedFile,
  target: OpenedFile,
  request: PackRequest,
  sizeBytes: number,
  hashes: FileHashes,
  ring: Uint8Array,
): Promise<PackedContent> {
  const slot = ring.subarray(0, frameBytes);
  const stored = new StoredHashes();
  for (let at = 0; at < sizeBytes;) {
    const want = Math.min(frameBytes, sizeBytes - at);
    const count = await readFullyAt(source.fd, source.direct ? slot : slot.subarray(0, want), at);
    if (count < want) throw new SourceChanged();
    at += want;
    const block = slot.subarray(0, want);
    hashes.take(block, at % chunkSizeBytes === 0 || at === sizeBytes);
    const frame = compressFrame(block, request.method, request.level);
    onTarget(() => writeFullySync(target.fd, frame, stored.sizeBytes));
    stored.add(frame);
  }
  return stored.describe(request);
}

/** Of what is stored, beside that of the original; made where something large is packed. */
let storedChunk: Xxh3 | undefined;

/** Hashes of stored bytes that come in pieces of any length. */
class StoredHashes {
  readonly #hashes = new FileHashes([], (storedChunk ??= openXxh3()));
  sizeBytes = 0;

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const room = chunkSizeBytes - (this.sizeBytes % chunkSizeBytes);
      const piece = bytes.subarray(at, at + room);
      this.#hashes.take(piece, piece.length === room);
      this.sizeBytes += piece.length;
      at += piece.length;
    }
  }

  describe(request: PackRequest): PackedContent {
    const isOpen = this.sizeBytes % chunkSizeBytes !== 0;
    if (isOpen) this.#hashes.take(new Uint8Array(0), true);
    const { sha256, xxh3 } = this.#hashes.finish();
    return { method: request.method, size: this.sizeBytes, sha256, xxh3 };
  }
}
