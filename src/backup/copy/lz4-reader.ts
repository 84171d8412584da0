// Reads LZ4 frames as a stream (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md): whatever their number and
// size, no more is held than a block of at most 4 MiB as it is stored, the same unpacked, and the piece it came in.

import { CitadelError } from "../../core/index.ts";
import { lz4Magic } from "./lz4.ts";

const minMatch = 4;
/** How far back a match may reach. */
const historyBytes = 0x10000;

function damaged(why: string): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "PACKED_DAMAGED",
    message: `not a sound lz4 frame: ${why}`,
    hint: "run `citadel-agent backup verify` on this snapshot",
  });
}

/**
 * Reads one block of a frame. @param output where it goes, with what came before it below `start` (blocks may be linked)
 * @returns bytes written to `output` from `start`
 * @throws kind `integrity`, code `PACKED_DAMAGED`
 */
export function lz4DecompressBlock(block: Uint8Array, output: Buffer, start: number): number {
  let at = 0;
  let to = start;
  const length = (first: number): number => {
    let total = first;
    if (first !== 15) return total;
    for (let byte = 255; byte === 255;) {
      byte = block[at++] ?? -1;
      if (byte < 0) throw damaged("it ends in a length");
      total += byte;
    }
    return total;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >>> 4);
    if (at + literals > block.length || to + literals > output.length) throw damaged("literals");
    output.set(block.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at >= block.length) break;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const size = length(token & 15) + minMatch;
    if (distance === 0 || distance > to || to + size > output.length) throw damaged("a match");
    for (const end = to + size; to < end; to += 1) output[to] = output[to - distance] ?? 0;
  }
  return to - start;
}

const maxGrowthBytes = 1024 * 1024;

/** Hands out a stream in the portions that are asked for, from one buffer that grows as far as it has to. */
class Portions {
  readonly #pieces: Iterator<Buffer> | AsyncIterator<Buffer>;
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  constructor(stored: Iterable<Buffer> | AsyncIterable<Buffer>) {
    this.#pieces =
      Symbol.asyncIterator in stored ? stored[Symbol.asyncIterator]() : stored[Symbol.iterator]();
  }

  /** @returns so many bytes, less only where the stream ends; valid until the next call */
  async take(sizeBytes: number): Promise<Buffer> {
    while (this.#end - this.#start < sizeBytes) {
      const next = await this.#pieces.next();
      if (next.done === true) break;
      this.#append(next.value);
    }
    const taken = this.#buffer.subarray(this.#start, Math.min(this.#start + sizeBytes, this.#end));
    this.#start += taken.length;
    return taken;
  }

  #append(piece: Buffer): void {
    if (this.#end + piece.length > this.#buffer.length) {
      const rest = this.#buffer.subarray(this.#start, this.#end);
      const size = rest.length + piece.length;
      const { length } = this.#buffer;
      const grown = Math.max(size, Math.min(2 * length, length + maxGrowthBytes));
      const room = size > length ? Buffer.allocUnsafe(grown) : this.#buffer;
      rest.copy(room);
      [this.#buffer, this.#start, this.#end] = [room, 0, rest.length];
    }
    this.#end += piece.copy(this.#buffer, this.#end);
  }

  /** @throws kind `integrity` where the stream ends before */
  async need(sizeBytes: number): Promise<Buffer> {
    const taken = await this.take(sizeBytes);
    if (taken.length < sizeBytes) throw damaged("it ends early");
    return taken;
  }

  /** Lets go of the stream. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}

/** What the header of a frame says. */
interface Frame {
  /** A block holds no more than this. */
  readonly blockBytes: number;
  /** Matches may reach into the block before. */
  readonly isLinked: boolean;
  readonly hasBlockChecksums: boolean;
  readonly hasChecksum: boolean;
}

const blockSizes: Record<number, number> = { 4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20 };

/** @returns undefined at the end of the stream */
async function readHeader(from: Portions): Promise<Frame | undefined> {
  const start = Buffer.from(await from.take(6));
  if (start.length === 0) return undefined;
  if (start.length < 6 || start.readUInt32LE(0) !== lz4Magic) throw damaged("no magic number");
  const [flag = 0, descriptor = 0] = start.subarray(4);
  const blockBytes = blockSizes[(descriptor >>> 4) & 7];
  if (flag >>> 6 !== 1 || blockBytes === undefined || (flag & 1) !== 0) throw damaged("its header");
  const rest = await from.need((flag & 8) === 0 ? 1 : 9); // the content's size, where it is told; a checksum
  const covered = Buffer.concat([start.subarray(4), rest.subarray(0, -1)]);
  const check = (Bun.hash.xxHash32(covered) >>> 8) & 0xff;
  if (check !== rest.at(-1)) throw damaged("the checksum of its header");
  return {
    blockBytes,
    isLinked: (flag & 0x20) === 0,
    hasBlockChecksums: (flag & 0x10) !== 0,
    hasChecksum: (flag & 4) !== 0,
  };
}

/** @param window room for a block and what one may reach back to */
async function* readBlocksOf(frame: Frame, from: Portions, window: Buffer): AsyncGenerator<Buffer> {
  let history = 0;
  for (;;) {
    const word = (await from.need(4)).readUInt32LE(0);
    if (word === 0) break;
    const size = word & 0x7fff_ffff;
    if (size > frame.blockBytes) throw damaged("a block's size");
    const block = await from.need(size);
    const bounded = window.subarray(0, history + frame.blockBytes);
    const isStored = word >= 0x8000_0000;
    const count = isStored
      ? block.copy(bounded, history)
      : lz4DecompressBlock(block, bounded, history);
    yield window.subarray(history, history + count);
    if (frame.hasBlockChecksums) await from.need(4);
    if (!frame.isLinked) continue;
    const end = history + count;
    const keep = Math.min(end, historyBytes);
    window.copy(window, 0, end - keep, end);
    history = keep;
  }
  if (frame.hasChecksum) await from.need(4);
}

/**
 * Decompresses frames one after another, as lz4.ts and the `lz4` tool write them. What it yields is valid until the
 * next is asked for.
 * @param stored pieces of any size, each valid until the next is asked for
 * @throws kind `integrity`, code `PACKED_DAMAGED`
 */
export async function* lz4Decompress(
  stored: Iterable<Buffer> | AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const from = new Portions(stored);
  let window = Buffer.alloc(0);
  try {
    for (let frame = await readHeader(from); frame !== undefined; frame = await readHeader(from)) {
      const room = frame.blockBytes + historyBytes;
      if (window.length < room) window = Buffer.allocUnsafe(room);
      yield* readBlocksOf(frame, from, window);
    }
  } finally {
    await from.close();
  }
}
