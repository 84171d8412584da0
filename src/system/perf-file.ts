// Times reads and writes on a file system, through a file without a name (O_TMPFILE): when the process ends, however
// it ends, the file is gone. Direct I/O, so that the page cache does not flatter; random data, so that nothing is
// compressed or deduplicated away.

import * as fs from "node:fs";
import { randomBytes, randomFillSync } from "node:crypto";
import { temporaryPrefix } from "./atomic-write.ts";
import { isErrno, withErrno } from "./errno.ts";

export interface PerfWorkload {
  readonly name: PerfWorkloadName;
  readonly blockBytes: number;
  /** Requests in flight. */
  readonly depth: number;
  /** The first that is reached ends it. */
  readonly limitMs: number;
  readonly limitOperations: number;
}

export type PerfWorkloadName =
  "sequential_write" | "sequential_read" | "random_read" | "random_write" | "fsync";

export interface PerfResult {
  readonly name: PerfWorkloadName;
  readonly blockBytes: number;
  readonly depth: number;
  readonly operations: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Sorted, of each request. */
  readonly latenciesMs: readonly number[];
}

export interface PerfRun {
  readonly direct: boolean;
  readonly sizeBytes: number;
  readonly results: readonly PerfResult[];
}

// open(2): __O_TMPFILE | O_DIRECTORY; node:fs does not name it. The same number on x86-64 and arm64 but for
// O_DIRECTORY, which node:fs knows.
const tmpfileFlag = 0o20000000 | fs.constants.O_DIRECTORY;

/**
 * Runs the workloads in order; `sequential_write` fills the file and must come first.
 * @param onResult called after each, so that a run that is cut off has told what it knew
 * @throws kinds of `fromErrno`; nothing is left behind
 */
export async function measureStorage(
  directory: string,
  sizeBytes: number,
  workloads: readonly PerfWorkload[],
  onResult: (result: PerfResult) => void = () => {},
): Promise<PerfRun> {
  const { fd, direct } = openUnnamed(directory);
  try {
    const results: PerfResult[] = [];
    for (const workload of workloads) {
      const result = await runWorkload(fd, directory, sizeBytes, workload);
      results.push(result);
      onResult(result);
    }
    return { direct, sizeBytes, results };
  } finally {
    fs.closeSync(fd);
  }
}

function openUnnamed(directory: string): { fd: number; direct: boolean } {
  const { O_DIRECT } = fs.constants;
  try {
    return { fd: openFile(directory, O_DIRECT), direct: true };
  } catch (thrown) {
    if (!isErrno(thrown, "EINVAL")) throw withContext(thrown, directory);
    // A file system without direct I/O: the figures say so.
    return { fd: withErrno("open", directory, () => openFile(directory, 0)), direct: false };
  }
}

function openFile(directory: string, direct: number): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  try {
    return fs.openSync(directory, tmpfileFlag | O_RDWR | direct, 0o600);
  } catch (thrown) {
    if (!isErrno(thrown, "EOPNOTSUPP", "ENOTSUP", "EISDIR", "ENOSYS")) throw thrown;
  }
  // No O_TMPFILE here (nfs, old overlay): a name that nobody can guess, removed as soon as it is open.
  const path = `${directory}/${temporaryPrefix}${randomBytes(12).toString("hex")}.tmp`;
  const fd = fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | direct, 0o600);
  fs.unlinkSync(path);
  return fd;
}

function withContext(thrown: unknown, directory: string): unknown {
  try {
    return withErrno("open", directory, () => {
      throw thrown;
    });
  } catch (wrapped) {
    return wrapped;
  }
}

/** Runs `depth` chains of requests side by side until a limit is reached. */
async function runWorkload(
  fd: number,
  shown: string,
  sizeBytes: number,
  workload: PerfWorkload,
): Promise<PerfResult> {
  const { name, blockBytes, depth, limitMs, limitOperations } = workload;
  const blocks = Math.max(1, Math.floor(sizeBytes / blockBytes));
  const latenciesMs: number[] = [];
  let next = 0;
  const startedMs = performance.now();
  const chain = async () => {
    // 4 KiB and more: page-aligned in Bun, as direct I/O needs.
    const buffer = randomFillSync(Buffer.from(new ArrayBuffer(blockBytes)));
    while (next < limitOperations && performance.now() - startedMs < limitMs) {
      const place = name.startsWith("random") ? Math.floor(Math.random() * blocks) : next % blocks;
      next += 1;
      const beganMs = performance.now();
      await operate(name, fd, buffer, place * blockBytes, shown);
      latenciesMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: depth }, chain));
  if (name === "sequential_write") withErrno("fsync", shown, () => fs.fsyncSync(fd));
  const durationMs = performance.now() - startedMs;
  return {
    name,
    blockBytes,
    depth,
    operations: latenciesMs.length,
    bytes: latenciesMs.length * blockBytes,
    durationMs,
    latenciesMs: latenciesMs.sort((a, b) => a - b),
  };
}

function operate(
  name: PerfWorkloadName,
  fd: number,
  buffer: Buffer,
  position: number,
  shown: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (operation: string) => (error: Error | null) => {
      if (error === null) return resolve();
      try {
        withErrno(operation, shown, () => {
          throw error;
        });
      } catch (wrapped) {
        reject(wrapped as Error);
      }
    };
    const { length } = buffer;
    if (name.endsWith("read")) return fs.read(fd, buffer, 0, length, position, done("read"));
    if (name !== "fsync") return fs.write(fd, buffer, 0, length, position, done("write"));
    return fs.write(fd, buffer, 0, length, position, (error) =>
      error === null ? fs.fdatasync(fd, done("fdatasync")) : done("write")(error),
    );
  });
}
