// Whether a process that we could not end is still there.

import { fromErrno, isErrno } from "./errno.ts";

/** kill(2) with signal 0. Someone else's process (EPERM) is alive too. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return isErrno(thrown, "EPERM");
  }
}

/** Stands in the names of what a run makes for a while, so that others see whether its maker lives. */
export function ownPid(): number {
  return process.pid;
}

/** kill(2). @throws kinds of `fromErrno`: `permission`, `not-found` */
export function sendSignal(pid: number, name: "SIGTERM" | "SIGHUP"): void {
  try {
    process.kill(pid, name);
  } catch (thrown) {
    throw fromErrno(thrown, "kill", `process ${pid}`);
  }
}
