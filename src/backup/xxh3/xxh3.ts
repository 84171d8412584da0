// XXH3-64 with seed 0 over content that comes in pieces. Bun hashes only what lies in memory as a whole, which for a chunk
// of 16 MiB means that its bytes leave the processor's caches between reading and hashing: three passes over memory in
// place of one, and a buffer of 16 MiB in every thread. The inner loops are WebAssembly with 128-bit vectors (xxh3.wat:
// 10 GB/s on a core at 2.5 GHz).
// Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

import { xxh3Module } from "./xxh3-wasm.ts";

const blockBytes = 1024;
const stripeBytes = 64;

// Places in the module's memory; the first two are xxh3.wat's.
const secretAt = 0;
const accumulatorsAt = 256;
/** The last stripe, where it begins in one piece and ends in another. */
const seamAt = 320;
const bufferAt = 4096; // O_DIRECT wants pages, and the memory begins on one
/** Full blocks; small enough to stay in the processor's cache between reading and hashing. */
const bufferBytes = 256 * 1024;

const lastStripeSecret = secretAt + 121;
const mergeSecret = secretAt + 11;

const prime32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn] as const;
const prime64 = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const avalanchePrime = 0x165667919e3779f9n;
const initial = [
  prime32[2],
  prime64[0],
  prime64[1],
  prime64[2],
  prime64[3],
  prime32[1],
  prime64[4],
  prime32[0],
] as const;

interface Exports {
  readonly memory: WebAssembly.Memory;
  blocks(at: number, end: number): void;
  stripes(at: number, end: number, secret: number): void;
}

let compiled: WebAssembly.Module | undefined;

/** @returns undefined where the engine has no 128-bit vectors: on processors without AVX, before 2011 */
function instantiate(): Exports | undefined {
  try {
    compiled ??= new WebAssembly.Module(Buffer.from(xxh3Module, "base64"));
  } catch (thrown) {
    if (!(thrown instanceof WebAssembly.CompileError)) throw thrown;
    return undefined;
  }
  return new WebAssembly.Instance(compiled).exports as unknown as Exports;
}

/** XXH3-64 of bytes that lie in memory as a whole, as 16 lower-case hex digits. */
export function xxh3Of(bytes: Uint8Array): string {
  return toHex(Bun.hash.xxHash3(bytes as Uint8Array<ArrayBuffer>));
}

function toHex(hash: bigint): string {
  return hash.toString(16).padStart(16, "0");
}

/** XXH3-64 of a content after another, each in pieces of any length. */
export interface Xxh3 {
  /**
   * Where the next bytes may be put before `put` is told how many: what is read from a file with a call that waits need
   * not be copied. (Bun's other calls copy what they read into the memory of WebAssembly themselves.)
   * @returns at least one byte; beginning on a page when what went before was whole pages
   */
  readonly room: Buffer<ArrayBuffer>;
  /** Takes bytes that lie at the beginning of `room`. */
  put(count: number): void;
  update(bytes: Uint8Array): void;
  /** @returns the hash as 16 lower-case hex digits; the next bytes begin another content */
  digest(): string;
  /** Drops what was given: the next bytes begin another content. */
  forget(): void;
}

/** Opens one for a thread, to be used for one content at a time. */
export function openXxh3(): Xxh3 {
  const wasm = instantiate();
  return wasm === undefined ? new WholeXxh3() : new VectorXxh3(wasm);
}

class VectorXxh3 implements Xxh3 {
  readonly #wasm: Exports;
  readonly #memory: DataView;
  readonly #all: Uint8Array<ArrayBuffer>;
  /** Bytes that lie in the buffer, not taken yet. */
  #waiting = 0;
  /** Bytes that were taken into the accumulators. */
  #taken = 0;

  constructor(wasm: Exports) {
    this.#wasm = wasm;
    const { memory } = wasm;
    memory.grow(Math.ceil((bufferAt + bufferBytes - memory.buffer.byteLength) / 65_536));
    const buffer = memory.buffer as ArrayBuffer;
    this.#memory = new DataView(buffer);
    this.#all = new Uint8Array(buffer);
  }

  get room(): Buffer<ArrayBuffer> {
    if (this.#waiting === bufferBytes) this.#takeBuffer();
    const { buffer } = this.#all;
    return Buffer.from(buffer, bufferAt + this.#waiting, bufferBytes - this.#waiting);
  }

  put(count: number): void {
    this.#waiting += count;
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#waiting === bufferBytes) this.#takeBuffer();
      const count = Math.min(bytes.length - at, bufferBytes - this.#waiting);
      this.#all.set(bytes.subarray(at, at + count), bufferAt + this.#waiting);
      this.#waiting += count;
      at += count;
    }
  }

  /** More is to come: all of the buffer is full blocks. */
  #takeBuffer(): void {
    if (this.#taken === 0) this.#begin();
    const end = bufferAt + bufferBytes;
    this.#wasm.blocks(bufferAt, end);
    this.#all.copyWithin(seamAt, end - stripeBytes, end);
    this.#taken += bufferBytes;
    this.#waiting = 0;
  }

  digest(): string {
    const length = this.#waiting;
    const total = this.#taken + length;
    this.forget();
    if (total === length) return xxh3Of(this.#all.subarray(bufferAt, bufferAt + length));
    const end = bufferAt + length;
    // the last byte is never part of a full block or stripe: it belongs to the last stripe, which ends with it
    const tail = end - 1 - ((length - 1) % blockBytes);
    if (tail > bufferAt) this.#wasm.blocks(bufferAt, tail);
    const rest = end - 1 - ((end - 1 - tail) % stripeBytes);
    if (rest > tail) this.#wasm.stripes(tail, rest, secretAt);
    const last = this.#lastStripe(length);
    this.#wasm.stripes(last, last + stripeBytes, lastStripeSecret);
    return toHex(this.#merge(BigInt(total)));
  }

  forget(): void {
    this.#waiting = 0;
    this.#taken = 0;
  }

  #begin(): void {
    for (const [index, value] of initial.entries()) {
      this.#memory.setBigUint64(accumulatorsAt + 8 * index, value, true);
    }
  }

  /** Where the last 64 bytes lie in one piece. */
  #lastStripe(length: number): number {
    if (length >= stripeBytes) return bufferAt + length - stripeBytes;
    this.#all.copyWithin(seamAt, seamAt + length, seamAt + stripeBytes);
    this.#all.copyWithin(seamAt + stripeBytes - length, bufferAt, bufferAt + length);
    return seamAt;
  }

  #merge(total: bigint): bigint {
    const word = (at: number) => this.#memory.getBigUint64(at, true);
    let hash = BigInt.asUintN(64, total * prime64[0]);
    for (let index = 0; index < 8; index += 2) {
      const [left, right] = [index, index + 1].map(
        (lane) => word(accumulatorsAt + 8 * lane) ^ word(mergeSecret + 8 * lane),
      ) as [bigint, bigint];
      const product = left * right;
      hash += BigInt.asUintN(64, product) ^ (product >> 64n);
    }
    hash = BigInt.asUintN(64, hash);
    hash ^= hash >> 37n;
    hash = BigInt.asUintN(64, hash * avalanchePrime);
    return hash ^ (hash >> 32n);
  }
}

/** Keeps the whole content (16 MiB here) until it is asked for. */
class WholeXxh3 implements Xxh3 {
  #bytes = Buffer.from(new ArrayBuffer(bufferBytes));
  #filled = 0;

  get room(): Buffer<ArrayBuffer> {
    if (this.#filled === this.#bytes.length) this.#grow();
    return this.#bytes.subarray(this.#filled);
  }

  #grow(): void {
    const larger = Buffer.from(new ArrayBuffer(2 * this.#bytes.length));
    this.#bytes.copy(larger);
    this.#bytes = larger;
  }

  put(count: number): void {
    this.#filled += count;
  }

  update(bytes: Uint8Array): void {
    while (this.#bytes.length - this.#filled < bytes.length) this.#grow();
    this.#bytes.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  digest(): string {
    const hash = xxh3Of(this.#bytes.subarray(0, this.#filled));
    this.forget();
    return hash;
  }

  forget(): void {
    this.#filled = 0;
  }
}
