// The hashes of one file while its bytes pass: SHA-256 of the whole, further ones as asked, XXH3 of every 16 MiB.

import { type ExtraAlgorithm, chunkSizeBytes } from "../format/index.ts";

/** XXH3-64 with seed 0 as 16 lower-case hex digits. */
export function xxh3Of(bytes: Uint8Array): string {
  return Bun.hash
    .xxHash3(bytes as Uint8Array<ArrayBuffer>)
    .toString(16)
    .padStart(16, "0");
}

export class FileHashes {
  readonly #sha256 = new Bun.CryptoHasher("sha256");
  readonly #others: readonly (readonly [ExtraAlgorithm, Bun.CryptoHasher])[];
  readonly chunks: string[] = [];

  constructor(digests: readonly ExtraAlgorithm[]) {
    this.#others = digests.map((name) => [name, new Bun.CryptoHasher(name)]);
  }

  /** Takes the next bytes into the hashes of the whole. */
  update(bytes: Uint8Array): void {
    this.#sha256.update(bytes as Uint8Array<ArrayBuffer>);
    for (const [, hasher] of this.#others) hasher.update(bytes as Uint8Array<ArrayBuffer>);
  }

  /** Takes the next chunk: 16 MiB, or the file's end. */
  addChunk(chunk: Uint8Array): void {
    this.chunks.push(xxh3Of(chunk));
  }

  /** Hashes a file that lies in memory as a whole. */
  addWhole(content: Uint8Array): void {
    this.update(content);
    for (let at = 0; at < content.length; at += chunkSizeBytes) {
      this.addChunk(content.subarray(at, at + chunkSizeBytes));
    }
  }

  finish(): {
    sha256: string;
    xxh3: string[];
    digests: Partial<Record<ExtraAlgorithm, string>> | undefined;
  } {
    const digests: Partial<Record<ExtraAlgorithm, string>> = {};
    for (const [name, hasher] of this.#others) digests[name] = hasher.digest("hex");
    return {
      sha256: this.#sha256.digest("hex"),
      xxh3: this.chunks,
      digests: this.#others.length === 0 ? undefined : digests,
    };
  }
}
