// Random bytes from the kernel, without node:crypto: loading it costs 3 ms of every start.

/** The most that one call of getRandomValues gives (Web Cryptography API). */
const chunkBytes = 65_536;

/** Fills `target` with random bytes of cryptographic quality, in place. */
export function fillRandom<T extends Uint8Array>(target: T): T {
  for (let offset = 0; offset < target.length; offset += chunkBytes) {
    crypto.getRandomValues(target.subarray(offset, offset + chunkBytes));
  }
  return target;
}

/** `sizeBytes` random bytes of cryptographic quality. */
export function randomBytes(sizeBytes: number): Buffer {
  return fillRandom(Buffer.allocUnsafe(sizeBytes));
}
