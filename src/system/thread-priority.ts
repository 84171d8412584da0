// Which thread gets the processor where there are fewer than want one.

import { setPriority } from "node:os";

const background = 5;

/**
 * Lets other threads go first, those of this process included. Where that is refused, nothing changes.
 * @see setpriority(2): on Linux a nice value belongs to a thread, and 0 means the one that calls
 */
export function yieldToOthers(): void {
  try {
    setPriority(0, background);
  } catch {
    // as it was: slower by a tenth on two cores
  }
}
