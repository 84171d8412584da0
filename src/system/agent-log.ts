// agent.log: who changed what and how it ended, one JSON line each. The directory belongs to the service user, so
// nothing here follows a link, and a failure to log never decides anything.

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  renameSync,
  writeSync,
} from "node:fs";

/** 5 files of 10 MiB (spec/cli.md): agent.log and agent.log.1 to agent.log.4. */
const maxBytes = 10 * 1024 * 1024;
const maxFiles = 5;

/**
 * Appends one line to `<directory>/agent.log`; the parent must exist and be a real directory.
 * @param line without newline
 * @returns false when it could not be written, whatever the reason
 */
export function appendAgentLog(directory: string, line: string, limitBytes = maxBytes): boolean {
  return appendLog(directory, "agent.log", line, limitBytes);
}

/** As `appendAgentLog`, to another file of ours in the log directory: `planb-02-setup.log`. */
export function appendLog(
  directory: string,
  name: string,
  line: string,
  limitBytes = maxBytes,
): boolean {
  let parent: number | undefined;
  try {
    parent = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return appendIn(`/proc/self/fd/${parent}`, name, line, limitBytes);
  } catch {
    return false; // absent, not ours, read-only, full: failing to log never decides success
  } finally {
    if (parent !== undefined) closeSync(parent);
  }
}

function appendIn(parent: string, name: string, line: string, limitBytes: number): boolean {
  const bytes = Buffer.from(`${line}\n`);
  let file = openLog(`${parent}/${name}`);
  try {
    if (fstatSync(file).size + bytes.length > limitBytes) {
      closeSync(file);
      rotate(parent, name);
      file = openLog(`${parent}/${name}`);
    }
    return writeSync(file, bytes) === bytes.length; // one write with O_APPEND: lines of two agents do not mix
  } finally {
    closeSync(file);
  }
}

function openLog(path: string): number {
  // O_NONBLOCK: a FIFO put there must not hang us; it is refused below like everything that is no plain file.
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o640);
  const stat = fstatSync(file);
  if (!stat.isFile() || stat.nlink !== 1) {
    closeSync(file);
    throw new Error("not a plain file with one name"); // a hard link could aim our writes at another file
  }
  if (stat.size === 0) fchmodSync(file, 0o640);
  return file;
}

/** agent.log.3 becomes .4 and so on; the oldest is replaced. rename(2) does not follow links. */
function rotate(parent: string, name: string): void {
  for (let number = maxFiles - 1; number >= 1; number -= 1) {
    const from = number === 1 ? name : `${name}.${number - 1}`;
    try {
      renameSync(`${parent}/${from}`, `${parent}/${name}.${number}`);
    } catch {
      // not there yet: the files before it still move
    }
  }
}
