// Whether anyone holds a lock, shared or not: a look that leaves it free.

import type { AbsolutePath } from "../core/index.ts";
import { systemClock } from "./clock.ts";
import { tryLock, type LockDomain } from "./lock.ts";
import { lstat } from "./files.ts";

/** @returns false too where locks cannot be kept: whoever could not take one holds none */
export function isLockHeldByAny(directory: AbsolutePath, domain: string): boolean {
  if (lstat(`${directory}/${domain}.lock`) === undefined) return false;
  try {
    const lock = tryLock({
      directory,
      domain: domain as LockDomain,
      command: "look",
      clock: systemClock,
    });
    lock?.release();
    return lock === undefined;
  } catch {
    return false;
  }
}
