// Links of unchanged files, as a worker makes them.

import { addressOf, linkAt, sizeAt, unlinkAt } from "../../system/native.ts";

/** Names that stay the same below two open directories (descriptors are the process's: workers share them). */
export interface LinkJob {
  readonly kind: "link";
  readonly fromFd: number;
  readonly toFd: number;
  /** One after another, each ended by a zero byte. */
  readonly names: Uint8Array;
  /** What each of them must have, in bytes. */
  readonly sizes: Float64Array;
}

export interface LinkAnswer {
  /** Places of the names that could not be linked, or are not what they should be: of those nothing is left. */
  readonly failed: readonly number[];
}

/** Links every name from one directory into the other. @returns the places of those that could not be linked */
export function linkNames(
  fromFd: number,
  toFd: number,
  names: Uint8Array,
  sizes: Float64Array,
): number[] {
  const bytes = Buffer.from(names.buffer, names.byteOffset, names.byteLength);
  const address = addressOf(bytes);
  const failed: number[] = [];
  let at = 0;
  for (const [index, size] of sizes.entries()) {
    const name = address + at;
    if (!linkAt(fromFd, toFd, name)) failed.push(index);
    else if (sizeAt(toFd, name) !== size) {
      unlinkAt(toFd, name);
      failed.push(index);
    }
    at = bytes.indexOf(0, at) + 1;
  }
  return failed;
}
