// Which stored inodes were read already: a hard-linked file is read once and credited to all its names, also in
// other snapshots. Two flat arrays (24 bytes per inode at worst), not a Map of a million objects.

import type { ContentFailure } from "./content-check.ts";

export type ContentFinding = Pick<ContentFailure, "reason" | "ranges" | "errno">;

/** More inodes than these, 24 MiB, are not remembered (they are read again: slower, never wrong). */
const maxInodes = 1_000_000;

export class InodeLedger {
  #inodes = new Float64Array(1024);
  #contents = new Uint32Array(1024);
  #used = 0;
  /** Inodes whose content is wrong, with what was found. Few, or the disk is beyond help. */
  readonly failed = new Map<string, ContentFinding>();

  /**
   * Remembers an inode with the content it should have.
   * @param ino below 2^53 (others are not remembered) @param sha256 what the manifest says it holds
   * @returns whether it was there already, with the same content
   */
  add(ino: bigint, sha256: string): boolean {
    const inode = Number(ino) + 1; // 0 marks a free place
    if (!Number.isSafeInteger(inode)) return false;
    const content = Number.parseInt(sha256.slice(0, 8), 16);
    const mask = this.#inodes.length - 1;
    let at = (Math.imul(inode | 0, 0x9e3779b1) ^ content) & mask;
    for (; this.#inodes[at] !== 0; at = (at + 1) & mask) {
      if (this.#inodes[at] === inode && this.#contents[at] === content) return true;
    }
    if (this.#used >= maxInodes) return false;
    this.#inodes[at] = inode;
    this.#contents[at] = content;
    this.#used += 1;
    if (this.#used * 2 > this.#inodes.length) this.#grow();
    return false;
  }

  #grow(): void {
    const [inodes, contents] = [this.#inodes, this.#contents];
    this.#inodes = new Float64Array(inodes.length * 2);
    this.#contents = new Uint32Array(inodes.length * 2);
    const mask = this.#inodes.length - 1;
    for (const [from, inode] of inodes.entries()) {
      if (inode === 0) continue;
      const content = contents[from] ?? 0;
      let at = (Math.imul(inode | 0, 0x9e3779b1) ^ content) & mask;
      while (this.#inodes[at] !== 0) at = (at + 1) & mask;
      this.#inodes[at] = inode;
      this.#contents[at] = content;
    }
  }
}
