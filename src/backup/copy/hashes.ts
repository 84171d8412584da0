// The hashes of one file while its bytes pass: SHA-256 of the whole, further ones as asked, XXH3 of every 16 MiB.

import { type ExtraAlgorithm, chunkSizeBytes } from "../format/index.ts";
import { type Xxh3, xxh3Of } from "../xxh3/xxh3.ts";

export class FileHashes {
  readonly #sha256 = new Bun.CryptoHasher("sha256");
  readonly #others: readonly (readonly [ExtraAlgorithm, Bun.CryptoHasher])[];
  readonly #chunk: Xxh3;
  readonly chunks: string[] = [];

  /** @param chunk this thread's, used for one file at a time */
  constructor(digests: readonly ExtraAlgorithm[], chunk: Xxh3) {
    chunk.forget(); // of a file that was given up
    this.#chunk = chunk;
    this.#others = digests.map((name) => [name, new Bun.CryptoHasher(name)]);
  }

  /** Takes the next bytes. @param endsChunk they are the last of 16 MiB, or of the file */
  take(bytes: Uint8Array, endsChunk: boolean): void {
    this.#update(bytes);
    this.#chunk.update(bytes);
    if (endsChunk) this.chunks.push(this.#chunk.digest());
  }

  #update(bytes: Uint8Array): void {
    this.#sha256.update(bytes as Uint8Array<ArrayBuffer>);
    for (const [, hasher] of this.#others) hasher.update(bytes as Uint8Array<ArrayBuffer>);
  }

  /** Hashes a file that lies in memory as a whole. */
  addWhole(content: Uint8Array): void {
    this.#update(content);
    for (let at = 0; at < content.length; at += chunkSizeBytes) {
      this.chunks.push(xxh3Of(content.subarray(at, at + chunkSizeBytes)));
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
