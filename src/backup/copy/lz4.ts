// LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), which Bun does not bring along. Blocks of
// 4 MiB, each on its own, with the checksum of the header alone: the manifest has better ones of the content. Reading
// them is for lz4-reader.ts.

export const lz4Magic = 0x184d2204;
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
  header.writeUInt32LE(lz4Magic, 0);
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
