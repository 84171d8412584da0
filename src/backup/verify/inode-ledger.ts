// Which stored inodes were read already: a hard-linked file is read once and credited to all its names, also in
// other snapshots. Columns of numbers (14 bytes per inode, 18 where inodes need more than 32 bits), no Map of objects.

import { ChainedRows, NumberColumn } from "../../core/chained-rows.ts";
import type { ContentFailure } from "./content-check.ts";

export type ContentFinding = Pick<ContentFailure, "reason" | "ranges" | "errno">;

/** More inodes than these are not remembered (they are read again: slower, never wrong). */
const maxInodes = 1_000_000;

export class InodeLedger {
  readonly #rows = new ChainedRows();
  /** Inodes in two halves; with the key the lower one tells the content too. */
  readonly #low = new NumberColumn();
  readonly #high = new NumberColumn();
  /** Inodes whose content is wrong, with what was found. Few, or the disk is beyond help. */
  readonly failed = new Map<string, ContentFinding>();

  /**
   * Remembers an inode with the content it should have.
   * @param ino below 2^53 (others are not remembered) @param sha256 what the manifest says it holds
   * @returns whether it was there already, with the same content
   */
  add(ino: bigint, sha256: string): boolean {
    const inode = Number(ino);
    if (!Number.isSafeInteger(inode)) return false;
    const low = inode >>> 0;
    const high = Math.floor(inode / 2 ** 32);
    // equal key and equal lower half mean equal content: the product can be taken out again
    const key = (Math.imul(low, 0x9e3779b1) ^ Number.parseInt(sha256.slice(0, 8), 16)) >>> 0;
    for (let row = this.#rows.newest(key); row !== 0; row = this.#rows.older(row)) {
      if (this.#low.get(row) === low && this.#high.get(row) === high) return true;
    }
    if (this.#rows.count >= maxInodes) return false;
    const row = this.#rows.add(key);
    this.#low.set(row, low);
    if (high !== 0) this.#high.set(row, high);
    return false;
  }
}
