// Hard links within the source: which path was the first name of an inode. Forgotten when its last name was seen.

import type { ExactStat } from "../../system/native.ts";
import type { CopyOrder } from "../copy/job.ts";
import type { BytePath } from "../format/index.ts";
import type { Slot } from "./ordered-output.ts";

/** Inodes remembered at a time: further names of others become files of their own. */
const maxRemembered = 500_000;

export class FirstNames {
  readonly #slots = new Map<string, { slot: Slot; left: number }>();

  /** The first name of this inode, where it had one before. */
  take(stat: ExactStat): Slot | undefined {
    if (stat.linkCount <= 1) return undefined;
    const key = `${stat.dev}:${stat.ino}`;
    const found = this.#slots.get(key);
    if (found === undefined) return undefined;
    if ((found.left -= 1) === 0) this.#slots.delete(key);
    return found.slot;
  }

  /** Notes a first name. */
  add(stat: ExactStat, slot: Slot): void {
    if (stat.linkCount <= 1 || this.#slots.size >= maxRemembered) return;
    this.#slots.set(`${stat.dev}:${stat.ino}`, { slot, left: stat.linkCount - 1 });
  }
}

/** The name that is stored in place of a first one that went; the first one itself where it did not. */
export function heirOf(first: Slot): Slot {
  let slot = first;
  while (slot.heir !== undefined) slot = slot.heir;
  return slot;
}

/** Has a further name read for itself: the worker sees which inode lies there now. */
export function separateOrder(sequence: number, path: BytePath, sizeBytes: number): CopyOrder {
  return { sequence, path, dev: 0, ino: 0n, sizeBytes };
}
