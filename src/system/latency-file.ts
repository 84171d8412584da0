// The monitor's own 4 KiB file in `<root>/.citadel-agent/`: overwritten with fsync and read back with direct I/O, to
// time both. The root belongs to someone else: every step goes through an opened directory, never through a link,
// and only a directory of root's own (0700) is used.

import * as fs from "node:fs";
import { CitadelError } from "../core/errors.ts";
import { isErrno, withErrno } from "./errno.ts";
import { fillRandom } from "./random.ts";

const blockBytes = 4096;
const directoryName = ".citadel-agent";
const fileName = "latency-probe";

export interface LatencyMeasures {
  /** Milliseconds of each write with its fsync. */
  readonly writeMs: readonly number[];
  /** Milliseconds of each direct read. */
  readonly readMs: readonly number[];
  /** The file system knows no direct I/O: reads may come from the page cache. */
  readonly buffered: boolean;
}

/**
 * Measures `rounds` writes and reads. Works at 0 bytes free once the file exists.
 * @throws kinds of `fromErrno`; `conflict` LATENCY_DIRECTORY_FOREIGN where the directory is not ours
 */
export function measureLatency(root: string, rounds: number): LatencyMeasures {
  const rootFd = openDirectory(root, root);
  try {
    const directoryFd = openOwnDirectory(rootFd, root);
    try {
      return measureIn(directoryFd, `${root}/${directoryName}/${fileName}`, rounds);
    } finally {
      fs.closeSync(directoryFd);
    }
  } finally {
    fs.closeSync(rootFd);
  }
}

const viaFd = (fd: number, name: string) => `/proc/self/fd/${fd}/${name}`;

function openDirectory(path: string, shown: string): number {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  return withErrno("open", shown, () => fs.openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
}

function openOwnDirectory(rootFd: number, root: string): number {
  const path = viaFd(rootFd, directoryName);
  const shown = `${root}/${directoryName}`;
  withErrno("mkdir", shown, () => {
    try {
      fs.mkdirSync(path, 0o700);
    } catch (thrown) {
      if (!isErrno(thrown, "EEXIST")) throw thrown;
    }
  });
  const fd = openDirectory(path, shown);
  const stat = fs.fstatSync(fd);
  if (stat.uid === process.geteuid?.() && (stat.mode & 0o022) === 0) return fd;
  fs.closeSync(fd);
  throw new CitadelError({
    kind: "conflict",
    code: "LATENCY_DIRECTORY_FOREIGN",
    message: `not ours alone: ${shown} belongs to uid ${stat.uid}, mode ${(stat.mode & 0o7777).toString(8)}`,
    path: shown,
    hint: `look at what made it; \`chown root: ${shown} && chmod 700 ${shown}\` if it is the agent's`,
  });
}

function measureIn(directoryFd: number, shown: string, rounds: number): LatencyMeasures {
  const path = viaFd(directoryFd, fileName);
  prepare(path, shown, directoryFd);
  const { O_RDWR, O_NOFOLLOW, O_DIRECT } = fs.constants;
  const { fd, buffered } = openDirect(path, shown, O_RDWR | O_NOFOLLOW, O_DIRECT);
  try {
    // Typed arrays of 4 KiB and more are page-aligned in Bun, as direct I/O needs.
    const block = fillRandom(Buffer.from(new ArrayBuffer(blockBytes)));
    const writeMs: number[] = [];
    const readMs: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      writeMs.push(
        timed(() => {
          withErrno("write", shown, () => fs.writeSync(fd, block, 0, blockBytes, 0));
          withErrno("fsync", shown, () => fs.fsyncSync(fd));
        }),
      );
      readMs.push(
        timed(() => withErrno("read", shown, () => fs.readSync(fd, block, 0, blockBytes, 0))),
      );
    }
    return { writeMs, readMs, buffered };
  } finally {
    fs.closeSync(fd);
  }
}

/** Makes the file with its block written, so that later overwrites need no space. */
function prepare(path: string, shown: string, directoryFd: number): void {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = withErrno("open", shown, () =>
    fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600),
  );
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile() || stat.nlink !== 1)
      throw new CitadelError({
        kind: "conflict",
        code: "LATENCY_DIRECTORY_FOREIGN",
        message: `not a file of its own: ${shown}`,
        path: shown,
        hint: `remove ${shown}; the agent makes it anew`,
      });
    if (stat.size === blockBytes) return;
    const block = fillRandom(Buffer.from(new ArrayBuffer(blockBytes)));
    withErrno("write", shown, () => fs.writeSync(fd, block, 0, blockBytes, 0));
    withErrno("fsync", shown, () => fs.fsyncSync(fd));
    withErrno("fsync", shown, () => fs.fsyncSync(directoryFd));
  } finally {
    fs.closeSync(fd);
  }
}

function openDirect(path: string, shown: string, flags: number, direct: number) {
  try {
    return { fd: fs.openSync(path, flags | direct), buffered: false };
  } catch (thrown) {
    if (!isErrno(thrown, "EINVAL"))
      return withErrno("open", shown, () => {
        throw thrown;
      });
    return { fd: withErrno("open", shown, () => fs.openSync(path, flags)), buffered: true };
  }
}

function timed(call: () => void): number {
  const startedMs = performance.now();
  call();
  return performance.now() - startedMs;
}
