// Whether a process that we could not end is still there.

import { isErrno } from "./errno.ts";

/** kill(2) with signal 0. Someone else's process (EPERM) is alive too. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return isErrno(thrown, "EPERM");
  }
}
