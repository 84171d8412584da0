// Copies one file into a snapshot: read once, hashed in the same pass, stored plain or packed, with the attributes it
// had at that moment. Runs in a worker. A file that changes meanwhile is tried again, three times in all.

import { messageOf } from "../../core/index.ts";
import { isErrno } from "../../system/errno.ts";
import {
  type ExactStat,
  cloneFile,
  dataRanges,
  dropCache,
  dropOwnCache,
  readXattrsFd,
  statFd,
} from "../../system/native.ts";
import {
  type OpenedFile,
  closeFile,
  createForWriting,
  flushFile,
  openForReading,
  pathOfFd,
  readFullySync,
  removeFile,
  removeTree,
  setAttributes,
  truncateFile,
  writeFullySync,
} from "../../system/raw-file.ts";
import { throwIfStopped, WorkerStopped } from "../../system/worker-pool.ts";
import { chunkSizeBytes, maxHoles, type PackedContent } from "../format/index.ts";
import { openXxh3 } from "../xxh3/xxh3.ts";
import { FileHashes, hashWhole } from "./hashes.ts";
import {
  type CopiedContent,
  type CopyJob,
  type CopyRefusal,
  type CopyResult,
  maxChangeTries,
  smallFileBytes,
} from "./job.ts";
import { PassedBytes } from "./passed-bytes.ts";
import {
  isSampleWorthwhile,
  openPackTarget,
  packStream,
  packWhole,
  describePacked,
} from "./pack.ts";
import { TargetFailure, onTarget } from "./target-failure.ts";
import {
  CandidateDiffers,
  SourceChanged,
  alignRanges,
  alignmentBytes,
  holesBetween,
  streamFile,
} from "./stream.ts";

/** From here on a file is read and written past the page cache. */
const directFromBytes = 128 * 1024;

/** The memory of one worker, bounded whatever the files. */
export class CopyMemory {
  /** A chunk: four slices on their way through. */
  readonly ring = new Uint8Array(new ArrayBuffer(chunkSizeBytes));
  readonly chunk = openXxh3();
}

/** Everything about one try. */
interface Attempt {
  readonly job: CopyJob;
  readonly source: OpenedFile;
  readonly before: ExactStat;
  readonly memory: CopyMemory;
  readonly candidate: CopyJob["candidate"];
  /** What was created, to be closed, and removed where the try fails. */
  readonly created: { file: OpenedFile; path: string }[];
  /** Small files come and go unnoticed. */
  readonly passed: PassedBytes | undefined;
}

type Stored = Omit<CopiedContent, "sequence" | "stat" | "xattrs">;

/** @returns what was stored, or why nothing was; never throws for what the file system does */
export async function copyFile(job: CopyJob, memory: CopyMemory): Promise<CopyResult> {
  let candidate = job.candidate;
  for (let attempt = 0; attempt < maxChangeTries;) {
    try {
      const result = await tryCopy(job, memory, candidate);
      if (result !== undefined) return result;
      attempt += 1;
    } catch (thrown) {
      if (thrown instanceof WorkerStopped) throw thrown;
      if (thrown instanceof CandidateDiffers) candidate = undefined;
      else return refusal(job, thrown);
    }
  }
  return {
    sequence: job.sequence,
    outcome: "changed",
    message: `changed while it was copied, ${maxChangeTries} times`,
  };
}

function refusal(job: CopyJob, thrown: unknown): CopyRefusal {
  const side = thrown instanceof TargetFailure ? "target" : "source";
  const cause = thrown instanceof TargetFailure ? thrown.cause : thrown;
  const errno = isErrno(cause) ? cause.code : undefined;
  const { sequence } = job;
  const message = messageOf(cause);
  if (side === "source" && errno === "ENOENT") return { sequence, outcome: "vanished", message };
  if (side === "source" && errno === "ELOOP") {
    return { sequence, outcome: "changed", message: "became a symbolic link" };
  }
  return { sequence, outcome: "failed", errno, side, message };
}

/** Hashes for a file that takes a while: what passes is counted for the progress. */
function countedHashes({ job, memory, passed }: Attempt): FileHashes {
  return new FileHashes(job.digests, memory.chunk, (count) => {
    throwIfStopped();
    passed?.add(count);
  });
}

/** One try. @returns undefined where the file changed meanwhile */
async function tryCopy(
  job: CopyJob,
  memory: CopyMemory,
  candidate: CopyJob["candidate"],
): Promise<CopyResult | undefined> {
  const source = openForReading(job.source, job.sizeBytes >= directFromBytes);
  const created: Attempt["created"] = [];
  const isLarge = job.sizeBytes > smallFileBytes;
  const passed = isLarge ? new PassedBytes(job.passed) : undefined;
  let isDone = false;
  try {
    const before = statFd(source.fd);
    if ((before.mode & constants_S_IFMT) !== constants_S_IFREG) return undefined;
    const isSameInode = before.ino === job.ino && before.dev === job.dev;
    if (!isSameInode && pathOfFd(source.fd) !== job.source) {
      return refusal(job, new Error("a part of its path became a symbolic link"));
    }
    const attempt: Attempt = { job, source, before, memory, candidate, created, passed };
    const stored = await store(attempt);
    if (stored === undefined || isChanged(before, statFd(source.fd))) return undefined;
    const xattrs = readXattrsFd(source.fd);
    await finish(attempt, xattrs, stored.flushed);
    isDone = true;
    return { ...stored, sequence: job.sequence, stat: before, xattrs };
  } finally {
    passed?.settle();
    closeFile(source.fd);
    for (const { file, path } of created) {
      closeFile(file.fd);
      if (!isDone) removeFile(path);
    }
  }
}

// stat(2); node:fs is not for this folder
const constants_S_IFMT = 0o170000;
const constants_S_IFREG = 0o100000;

function isChanged(before: ExactStat, after: ExactStat): boolean {
  return (
    before.sizeBytes !== after.sizeBytes ||
    before.mtimeNs !== after.mtimeNs ||
    before.ctimeNs !== after.ctimeNs
  );
}

async function finish(
  attempt: Attempt,
  xattrs: ReadonlyMap<string, Uint8Array> | undefined,
  flush: boolean,
): Promise<void> {
  for (const { file } of attempt.created) {
    onTarget(() => setAttributes(file.fd, { ...attempt.before, xattrs }));
    if (flush) {
      try {
        await flushFile(file.fd);
      } catch (thrown) {
        throw new TargetFailure("target", { cause: thrown });
      }
    }
  }
}

async function store(attempt: Attempt): Promise<Stored | undefined> {
  if (attempt.before.sizeBytes <= smallFileBytes) return storeSmall(attempt);
  try {
    return await storeLarge(attempt);
  } catch (thrown) {
    if (thrown instanceof SourceChanged) return undefined;
    throw thrown;
  }
}

/** A killed run may have made a directory where the source has a file by now. */
function createInPlace(path: string, direct: boolean): OpenedFile {
  try {
    return createForWriting(path, direct);
  } catch (thrown) {
    if (!isErrno(thrown, "EISDIR")) throw thrown;
    removeTree(path);
    return createForWriting(path, direct);
  }
}

function openData(attempt: Attempt, direct: boolean): OpenedFile {
  const { job, created } = attempt;
  const path = `${job.dataRoot}/${job.path}`;
  const file = onTarget(() => createInPlace(path, direct));
  created.push({ file, path });
  return file;
}

function storeSmall(attempt: Attempt): Stored | undefined {
  const { job, source, before, memory } = attempt;
  const { ring } = memory;
  const size = before.sizeBytes;
  const room = Math.ceil((size + 1) / alignmentBytes) * alignmentBytes;
  const count = readFullySync(source.fd, ring.subarray(0, room), 0);
  if (count !== size) return undefined;
  const content = ring.subarray(0, size);
  const sums = hashWhole(content, job.digests);
  const base = { outcome: "copied" as const, ...sums, reflinked: false, flushed: false };
  const packed = storeSmallPacked(attempt, content);
  if (packed !== undefined) return { ...base, packed, writtenBytes: packed.size };
  const ranges = smallRanges(attempt);
  const target = openData(attempt, false);
  if (job.reflink && cloneFile(source.fd, target.fd)) {
    return { ...base, holes: ranges.holes, writtenBytes: 0, reflinked: true };
  }
  let written = 0;
  for (const [start, end] of ranges.data) {
    onTarget(() => writeFullySync(target.fd, content.subarray(start, end), start));
    written += end - start;
  }
  if ((ranges.data.at(-1)?.[1] ?? 0) < size) onTarget(() => truncateFile(target.fd, size));
  return { ...base, holes: ranges.holes, writtenBytes: written };
}

interface Ranges {
  readonly data: readonly (readonly [number, number])[];
  readonly holes: readonly (readonly [number, number])[] | undefined;
}

/** Holes cost nothing as they are: such a file is stored plain. */
function isSparse(stat: ExactStat): boolean {
  return stat.sizeBytes > alignmentBytes && stat.storedBytes < stat.sizeBytes;
}

function smallRanges(attempt: Attempt): Ranges {
  const { before, source } = attempt;
  const size = before.sizeBytes;
  if (!isSparse(before)) {
    return { data: size === 0 ? [] : [[0, size]], holes: undefined };
  }
  return rangesOf(source.fd, size);
}

function rangesOf(fd: number, size: number): Ranges {
  const data = alignRanges(dataRanges(fd, size, maxHoles), size);
  const holes = holesBetween(data, size);
  return { data, holes: holes.length === 0 ? undefined : holes };
}

function storeSmallPacked(attempt: Attempt, content: Uint8Array): PackedContent | undefined {
  const { job, created } = attempt;
  if (isSparse(attempt.before)) return undefined;
  const packed = packWhole(content, job);
  const { pack } = job;
  if (packed === undefined || pack === undefined) return undefined;
  const target = onTarget(() => openPackTarget(pack, job.path));
  if (target === undefined) return undefined;
  created.push(target);
  onTarget(() => writeFullySync(target.file.fd, packed, 0));
  return describePacked(packed, pack);
}

async function storeLarge(attempt: Attempt): Promise<Stored> {
  const { job, source, before, memory } = attempt;
  const size = before.sizeBytes;
  const isPackable = attempt.candidate === undefined && job.pack !== undefined && !isSparse(before);
  if (isPackable && isSampleWorthwhile(source, job, size, memory.ring)) {
    const packed = await storeLargePacked(attempt);
    if (packed !== undefined) return packed;
  }
  const ranges =
    before.storedBytes >= size
      ? { data: [[0, size] as const], holes: undefined }
      : rangesOf(source.fd, size);
  const hashes = countedHashes(attempt);
  const isClone = job.reflink && attempt.candidate === undefined && cloneInto(attempt);
  const didWrite = await stream(attempt, ranges, hashes, isClone);
  const sums = hashes.finish();
  const base = { ...sums, holes: ranges.holes, flushed: true };
  if (isClone) return { ...base, outcome: "copied", writtenBytes: 0, reflinked: true };
  if (!didWrite) {
    if (sums.sha256 !== attempt.candidate?.sha256) throw new CandidateDiffers();
    return { ...base, outcome: "matched", writtenBytes: 0, reflinked: false };
  }
  const target = attempt.created.at(-1)?.file ?? openData(attempt, false);
  onTarget(() => truncateFile(target.fd, size));
  dropOwnCache(source.fd);
  dropCache(target.fd);
  const writtenBytes = ranges.data.reduce((sum, [start, end]) => sum + end - start, 0);
  return { ...base, outcome: "copied", writtenBytes, reflinked: false };
}

/** Creates the target as a clone of the source. @returns whether the file system could */
function cloneInto(attempt: Attempt): boolean {
  const target = openData(attempt, false);
  if (cloneFile(attempt.source.fd, target.fd)) return true;
  const made = attempt.created.pop();
  closeFile(target.fd);
  if (made !== undefined) removeFile(made.path);
  return false;
}

async function stream(attempt: Attempt, ranges: Ranges, hashes: FileHashes, readOnly: boolean) {
  const { source, before, memory, candidate } = attempt;
  try {
    return await streamFile({
      source,
      sizeBytes: before.sizeBytes,
      ranges: ranges.data,
      ring: memory.ring,
      hashes,
      // a file that is nothing but a hole is never written: its target is created afterwards
      openTarget: () => openData(attempt, true),
      readOnly,
      candidate: candidate?.xxh3,
      bytesPerSecond: attempt.job.bytesPerSecond,
    });
  } catch (thrown) {
    if (isErrno(thrown) && (thrown as { syscall?: string }).syscall === "write") {
      throw new TargetFailure("target", { cause: thrown });
    }
    throw thrown;
  }
}

async function storeLargePacked(attempt: Attempt): Promise<Stored | undefined> {
  const { job, source, before, memory, created } = attempt;
  const { pack } = job;
  if (pack === undefined) return undefined;
  const target = onTarget(() => openPackTarget(pack, job.path));
  if (target === undefined) return undefined;
  created.push(target);
  const hashes = countedHashes(attempt);
  const packed = await packStream(source, target.file, pack, before.sizeBytes, hashes, memory.ring);
  dropOwnCache(source.fd);
  const { sha256, xxh3, digests } = hashes.finish();
  return {
    outcome: "copied",
    sha256,
    xxh3,
    digests,
    packed,
    writtenBytes: packed.size,
    reflinked: false,
    flushed: true,
  };
}
