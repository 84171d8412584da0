// The hashes of one file while its bytes pass: SHA-256 of the whole, further ones as asked, XXH3 of every 16 MiB.

import { type ExtraAlgorithm, chunkSizeBytes } from "../format/index.ts";
import { type Xxh3, xxh3Of } from "../xxh3/xxh3.ts";

export interface Sums {
  readonly sha256: string;
  readonly xxh3: string[];
  readonly digests: Partial<Record<ExtraAlgorithm, string>> | undefined;
}

/** The hashes of a file that lies in memory as a whole. */
export function hashWhole(content: Uint8Array, algorithms: readonly ExtraAlgorithm[]): Sums {
  const bytes = content as Uint8Array<ArrayBuffer>;
  const xxh3: string[] = [];
  for (let at = 0; at < content.length; at += chunkSizeBytes) {
    xxh3.push(xxh3Of(content.subarray(at, at + chunkSizeBytes)));
  }
  const digests = algorithms.map((name) => [name, Bun.CryptoHasher.hash(name, bytes, "hex")]);
  return {
    sha256: Bun.SHA256.hash(bytes, "hex"),
    xxh3,
    digests: digests.length === 0 ? undefined : Object.fromEntries(digests),
  };
}

export class FileHashes {
  readonly #sha256 = new Bun.CryptoHasher("sha256");
  readonly #others: readonly (readonly [ExtraAlgorithm, Bun.CryptoHasher])[];
  readonly #chunk: Xxh3;
  readonly chunks: string[] = [];

  /**
   * @param chunk this thread's, used for one file at a time
   * @param onBytes hears of the bytes that came by `take`
   */
  constructor(
    digests: readonly ExtraAlgorithm[],
    chunk: Xxh3,
    private readonly onBytes?: (count: number) => void,
  ) {
    chunk.forget(); // of a file that was given up
    this.#chunk = chunk;
    this.#others = digests.map((name) => [name, new Bun.CryptoHasher(name)]);
  }

  /** Takes the next bytes. @param endsChunk they are the last of 16 MiB, or of the file */
  take(bytes: Uint8Array, endsChunk: boolean): void {
    this.#update(bytes);
    this.#chunk.update(bytes);
    if (endsChunk) this.chunks.push(this.#chunk.digest());
    this.onBytes?.(bytes.length);
  }

  #update(bytes: Uint8Array): void {
    this.#sha256.update(bytes as Uint8Array<ArrayBuffer>);
    for (const [, hasher] of this.#others) hasher.update(bytes as Uint8Array<ArrayBuffer>);
  }

  finish(): Sums {
    const digests: Partial<Record<ExtraAlgorithm, string>> = {};
    for (const [name, hasher] of this.#others) digests[name] = hasher.digest("hex");
    return {
      sha256: this.#sha256.digest("hex"),
      xxh3: this.chunks,
      digests: this.#others.length === 0 ? undefined : digests,
    };
  }
}
