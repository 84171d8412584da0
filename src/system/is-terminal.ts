// What the standard streams are: a terminal, the journal, or neither. Asked without loading node:tty (3 ms) for pipes, files and /dev/null.

import { fstatSync } from "node:fs";

/** Major number of the memory devices: /dev/null, /dev/zero, /dev/full (Linux, Documentation/admin-guide/devices.txt). */
const memoryMajor = 1;

/** isatty(3) of a standard stream; false when it is closed. */
export function isTerminal(fd: 0 | 1 | 2): boolean {
  try {
    const stat = fstatSync(fd);
    if (!stat.isCharacterDevice() || stat.rdev >> 8 === memoryMajor) return false;
  } catch {
    return false;
  }
  return process.getBuiltinModule("node:tty").isatty(fd);
}

/**
 * Whether stderr is a stream of journald: JOURNAL_STREAM holds its device and inode. A program below a unit may
 * inherit the variable with another stderr. @see systemd.exec(5), JOURNAL_STREAM
 */
export function isJournal(journalStream: string | undefined): boolean {
  if (journalStream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return journalStream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
