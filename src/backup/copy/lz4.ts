// LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), which Bun does not bring along. Blocks of
// 4 MiB, each on its own, with the checksum of the header alone: the manifest has better ones of the content.

import { CitadelError } from "../../core/index.ts";

const magic = 0x184d2204;
const blockBytes = 4 * 1024 * 1024;
const flags = 0b01_1_0_0_0_00; // version 1, blocks independent, no checksums, no size
const blockDescriptor = 7 << 4; // 4 MiB
const minMatch = 4;
const lastLiterals = 12; // a block ends with literals; no match starts within its last 12 bytes
const hashBits = 15;

/** Compresses into one frame. */
export function lz4Compress(input: Uint8Array): Buffer {
  const source = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const header = Buffer.alloc(7);
  header.writeUInt32LE(magic, 0);
  header[4] = flags;
  header[5] = blockDescriptor;
  header[6] = (Bun.hash.xxHash32(header.subarray(4, 6)) >>> 8) & 0xff;
  const parts: Buffer[] = [header];
  for (let at = 0; at < source.length; at += blockBytes) {
    const block = source.subarray(at, at + blockBytes);
    const packed = compressBlock(block);
    const size = Buffer.alloc(4);
    if (packed === undefined) {
      size.writeUInt32LE((block.length | 0x8000_0000) >>> 0);
      parts.push(size, block);
    } else {
      size.writeUInt32LE(packed.length);
      parts.push(size, packed);
    }
  }
  parts.push(Buffer.alloc(4));
  return Buffer.concat(parts);
}

/** @returns undefined where the block does not get smaller */
function compressBlock(input: Buffer): Buffer | undefined {
  const output = Buffer.allocUnsafe(input.length);
  const table = new Int32Array(1 << hashBits).fill(-1);
  const limit = input.length - lastLiterals;
  let written = 0;
  let anchor = 0;
  let at = 0;
  const emit = (literalEnd: number, matchLength: number, distance: number): boolean => {
    const literals = literalEnd - anchor;
    if (written + literals + literals / 255 + matchLength / 255 + 16 > output.length) return false;
    const extra = matchLength - minMatch;
    output[written++] =
      (Math.min(literals, 15) << 4) | (matchLength === 0 ? 0 : Math.min(extra, 15));
    if (literals >= 15) written = putLength(output, written, literals - 15);
    written += input.copy(output, written, anchor, literalEnd);
    if (matchLength === 0) return true;
    output[written++] = distance & 0xff;
    output[written++] = distance >>> 8;
    if (extra >= 15) written = putLength(output, written, extra - 15);
    return true;
  };
  let misses = 0;
  while (at < limit) {
    const word = input.readUInt32LE(at);
    const slot = Math.imul(word, 2654435761) >>> (32 - hashBits);
    const candidate = table[slot] ?? -1;
    table[slot] = at;
    if (candidate < 0 || at - candidate > 0xffff || input.readUInt32LE(candidate) !== word) {
      at += 1 + (misses++ >>> 6);
      continue;
    }
    misses = 0;
    const end = input.length - 5;
    let length = minMatch;
    while (at + length < end && input[candidate + length] === input[at + length]) length += 1;
    if (!emit(at, length, at - candidate)) return undefined;
    at += length;
    anchor = at;
  }
  if (!emit(input.length, 0, 0) || written >= input.length) return undefined;
  return output.subarray(0, written);
}

function putLength(output: Buffer, at: number, length: number): number {
  let rest = length;
  let place = at;
  for (; rest >= 255; rest -= 255) output[place++] = 255;
  output[place++] = rest;
  return place;
}

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

const blockSizes: Record<number, number> = { 4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20 };

/**
 * Decompresses frames one after another, as this file and the `lz4` tool write them.
 * @throws kind `integrity`, code `PACKED_DAMAGED`
 */
export function* lz4Decompress(input: Uint8Array): Generator<Buffer> {
  const source = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  let at = 0;
  while (at < source.length) {
    if (at + 7 > source.length || source.readUInt32LE(at) !== magic)
      throw damaged("no magic number");
    const flag = source[at + 4] ?? 0;
    const maxBytes = blockSizes[((source[at + 5] ?? 0) >>> 4) & 7];
    if (flag >>> 6 !== 1 || maxBytes === undefined || (flag & 1) !== 0) throw damaged("its header");
    const headerEnd = at + 6 + ((flag & 8) !== 0 ? 8 : 0);
    if (headerEnd >= source.length) throw damaged("its header");
    const check = (Bun.hash.xxHash32(source.subarray(at + 4, headerEnd)) >>> 8) & 0xff;
    if (check !== source[headerEnd]) throw damaged("the checksum of its header");
    at = headerEnd + 1;
    const linked = (flag & 0x20) === 0;
    const window = Buffer.allocUnsafe(maxBytes + 0x10000);
    let history = 0;
    for (;;) {
      if (at + 4 > source.length) throw damaged("it ends early");
      const word = source.readUInt32LE(at);
      at += 4;
      if (word === 0) break;
      const size = word & 0x7fff_ffff;
      if (at + size > source.length || size > maxBytes) throw damaged("a block's size");
      const block = source.subarray(at, at + size);
      at += size + ((flag & 0x10) !== 0 ? 4 : 0);
      const bounded = window.subarray(0, history + maxBytes);
      const count =
        word >= 0x8000_0000
          ? block.copy(bounded, history)
          : lz4DecompressBlock(block, bounded, history);
      yield Buffer.from(window.subarray(history, history + count));
      if (!linked) continue;
      const end = history + count;
      const keep = Math.min(end, 0x10000);
      window.copy(window, 0, end - keep, end);
      history = keep;
    }
    if ((flag & 4) !== 0) at += 4;
  }
}
