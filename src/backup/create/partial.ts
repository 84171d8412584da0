// `<id>.partial`: the directory in which a snapshot is built, who holds it, and the journal of what was copied, from
// which the next run goes on after a kill.

import { CitadelError, joinPath, type AbsolutePath } from "../../core/index.ts";
import { listDirectory, lstat, readText, syncDirectory, type System } from "../../system/index.ts";
import {
  SequentialWriter,
  makeDirectory,
  removeFile,
  removeTree,
  renamePath,
} from "../../system/raw-file.ts";
import { ScratchIndex } from "../../system/scratch-index.ts";
import {
  isPinnedAt,
  pinBelow,
  pinDirectory,
  pinOwn,
  type PinnedDirectory,
} from "../../system/pinned-directory.ts";
import { readBlocks, readSmallStored } from "../../system/stored-files.ts";
import {
  type BytePath,
  type ManifestEntry,
  formatManifestLine,
  fromText,
  parseManifestLine,
  parsePartialName,
  parseSnapshotId,
  parseSnapshotJson,
  areaDirectories,
  partialSuffix,
  type SnapshotArea,
  maxSnapshotJsonBytes,
  snapshotJsonName,
} from "../format/index.ts";

/** Holds the files of the work itself; taken out of the snapshot right before that gets its final name. */
export const workName = ".work";
const journalName = `${workName}/journal`;
const ownerName = `${workName}/owner`;
const scratchName = `${workName}/scratch`;
const maxOwnerBytes = 4096;

/** What a partial must have in common with a run that wants to go on with it. */
export interface PartialKind {
  readonly sourceIdentity: string;
  readonly source: string;
  readonly type: string;
  readonly compression: string;
  readonly checksums: string;
}

interface Owner {
  readonly pid: number;
  /** Start of the process in clock ticks since boot: a pid alone may be another one's by now. */
  readonly start: string;
  readonly boot: string;
}

function bootId(): string {
  return readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "unknown";
}

function processStart(pid: number): string | undefined {
  const text = readText(`/proc/${pid}/stat`);
  // proc_pid_stat(5): the name in brackets may hold blanks; field 22 is the 20th after it
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

/** Whether a living process builds in this directory. */
export function isPartialHeld(directory: string): boolean {
  try {
    const text = readSmallStored(joinPath(directory, ownerName), maxOwnerBytes)?.toString("utf8");
    if (text === undefined) return false;
    const { pid, start, boot } = JSON.parse(text) as Owner;
    return boot === bootId() && processStart(pid) === start;
  } catch {
    return false; // half an owner file: its writer is gone
  }
}

function claim(directory: AbsolutePath, pid: number): void {
  makeDirectory(latin1(joinPath(directory, workName)), 0o700);
  const owner: Owner = { pid, start: processStart(pid) ?? "", boot: bootId() };
  // not flushed: after a power cut nobody holds it anyway
  const file = new SequentialWriter(latin1(joinPath(directory, ownerName)));
  file.write(`${JSON.stringify(owner)}\n`);
  file.close(false);
}

/**
 * The directory of an area, held open: its owner may be somebody else, who could swap it for a link at any moment.
 * @param make whether what is missing below the repository is made
 */
export function openArea(
  repository: AbsolutePath,
  area: SnapshotArea,
  make: boolean,
): PinnedDirectory | undefined {
  if (!make && lstat(repository) === undefined) return undefined;
  using root = pinDirectory(repository);
  return pinBelow(root, areaDirectories[area].split("/"), make);
}

/**
 * Finds the newest partial that a killed run left and this one can go on with. Only one of ours alone: in a directory
 * that somebody else prepared, `data` may be a link to anywhere.
 */
export function findResumable(
  area: PinnedDirectory,
  kind: PartialKind,
): { readonly name: string; readonly pin: PinnedDirectory } | undefined {
  const names = (listDirectory(area.through) ?? []).filter(
    (name) => parsePartialName(name) !== undefined,
  );
  for (const name of names.reverse()) {
    const pin = pinOwn(area.through, name);
    if (pin === undefined) continue;
    const header = isPartialHeld(pin.through) ? undefined : readHeader(pin.through);
    if (header !== undefined && isSameKind(header, kind)) return { name, pin };
    pin[Symbol.dispose]();
  }
  return undefined;
}

/**
 * Gives partials of this source that lack nothing but their final name that name: their run died between the two.
 * Everything in them was flushed before snapshot.json was written.
 */
export function finishCommitted(area: PinnedDirectory, sourceIdentity: string): void {
  for (const name of listDirectory(area.through) ?? []) {
    const id = parsePartialName(name);
    if (id === undefined) continue;
    using pin = pinOwn(area.through, name);
    if (pin === undefined || isPartialHeld(pin.through)) continue;
    if (lstat(joinPath(pin.through, workName)) !== undefined) continue;
    try {
      const path = joinPath(pin.through, snapshotJsonName);
      const bytes = readSmallStored(path, maxSnapshotJsonBytes);
      const record = bytes && parseSnapshotJson(bytes);
      if (record?.id !== id.id || record.source_identity !== sourceIdentity) continue;
    } catch {
      continue; // not finished after all
    }
    renamePath(latin1(`${area.through}/${name}`), latin1(`${area.through}/${id.id}`));
    syncDirectory(area.through);
  }
}

/** Removes what runs that died at their very end left beside their finished snapshots. */
export function removeOrphans(area: PinnedDirectory): void {
  for (const name of listDirectory(area.through) ?? []) {
    const id = parseSnapshotId(name.slice(1, -workName.length));
    if (id === undefined || !name.startsWith(".") || !name.endsWith(workName)) continue;
    const path = joinPath(area.through, name);
    const isWork = lstat(joinPath(path, snapshotJsonName)) === undefined; // not a snapshot under this name
    if (isWork && lstat(joinPath(area.through, id.id)) !== undefined) removeTree(latin1(path));
  }
}

/** Where the files of the work go when the snapshot is finished. */
export function orphanPath(area: PinnedDirectory, id: string): AbsolutePath {
  return joinPath(area.through, `.${id}${workName}`);
}

function isSameKind(left: PartialKind, right: PartialKind): boolean {
  const keys = ["sourceIdentity", "source", "type", "compression", "checksums"] as const;
  return keys.every((key) => left[key] === right[key]);
}

function readHeader(directory: string): PartialKind | undefined {
  try {
    for (const block of readBlocks(joinPath(directory, journalName), 64 * 1024)) {
      const end = block.indexOf(10);
      return end === -1 ? undefined : (JSON.parse(block.toString("utf8", 1, end)) as PartialKind);
    }
  } catch {
    // no journal, or none that can be read: nothing to go on with
  }
  return undefined;
}

/** A snapshot under construction. */
export interface Partial extends Disposable {
  /** The way to it through its descriptor: what is named by it cannot be swapped. */
  readonly directory: AbsolutePath;
  readonly pin: PinnedDirectory;
  readonly isResumed: boolean;
  readonly scratch: ScratchIndex;
  /** Notes a file that was copied. @param isFlushed it survives a power cut as it is */
  record(entry: ManifestEntry, isFlushed: boolean): void;
  /** Closes journal and scratch; still held until disposed of. */
  closeWork(): void;
  /** Lets go of the directory itself, as it is done with. */
  unpin(): void;
  /** Has it stay open for good: a worker that could not be stopped may still write through it. */
  keepPinned(): void;
  /** Writes what was noted, so that a kill does not lose it. */
  flushJournal(): void;
  /** What a killed run copied for this path, if it can be trusted. */
  findCopied(path: BytePath): ManifestEntry | undefined;
}

/** Takes a killed run's partial over under the new id, or makes a new one. @throws kind `conflict` */
function makePartial(
  area: PinnedDirectory,
  id: string,
  kind: PartialKind,
  pid: number,
): { readonly pin: PinnedDirectory; readonly isResumed: boolean } {
  const name = id + partialSuffix;
  const found = findResumable(area, kind);
  if (found !== undefined) {
    claim(found.pin.through, pid);
    renamePath(latin1(`${area.through}/${found.name}`), latin1(`${area.through}/${name}`));
    return { pin: found.pin, isResumed: true };
  }
  const isMade = makeDirectory(latin1(`${area.through}/${name}`), 0o700);
  const pin = isMade ? pinOwn(area.through, name) : undefined;
  if (pin === undefined || (listDirectory(pin.through) ?? []).length > 0) {
    throw new CitadelError({
      kind: "conflict",
      code: "ALREADY_EXISTS",
      message: `${area.path}/${name} exists`,
      path: `${area.path}/${name}`,
      hint: "run the command again",
      retry: "later",
    });
  }
  try {
    claim(pin.through, pid);
  } catch (thrown) {
    dropFresh(area, name, pin);
    throw thrown;
  }
  return { pin, isResumed: false };
}

/** One in which nothing could be begun: on a full disk each run would leave another, as none can be resumed. */
function dropFresh(area: PinnedDirectory, name: string, pin: PinnedDirectory): void {
  const path = `${area.through}/${name}`;
  const isOurs = isPinnedAt(pin, path);
  pin[Symbol.dispose]();
  if (isOurs) removeTree(latin1(path));
}

/** @throws kind `conflict`, code SNAPSHOT_REPLACED, where another directory has the name of the one that was built */
export function assertInPlace(partial: Partial, path: string, shown: string): void {
  if (isPinnedAt(partial.pin, path)) return;
  throw new CitadelError({
    kind: "conflict",
    code: "SNAPSHOT_REPLACED",
    message: `somebody moved the snapshot away while it was built: ${shown} is not what this run wrote`,
    path: shown,
    hint: "see who may write to the backup root (ls -ld), remove what lies there and run the backup again",
  });
}

/**
 * Makes `<id>.partial`, or takes over one of a killed run under the new id.
 * @throws kinds of fromErrno; kind `conflict` if the id is taken
 */
export function openPartial(
  area: PinnedDirectory,
  id: string,
  kind: PartialKind,
  system: Pick<System, "environment">,
): Partial {
  const { pin, isResumed } = makePartial(area, id, kind, system.environment.pid);
  const directory = pin.through;
  const { scratch, journal } = openWork(pin, kind, isResumed, () => {
    if (isResumed) pin[Symbol.dispose]();
    else dropFresh(area, id + partialSuffix, pin);
  });
  let isClosed = false;
  let isPinned = true;
  let mayUnpin = true;
  const closeWork = () => {
    if (isClosed) return;
    isClosed = true;
    journal.abandon();
    scratch[Symbol.dispose]();
  };
  return {
    directory,
    pin,
    isResumed,
    scratch,
    record(entry, isFlushed) {
      journal.write((isFlushed ? "F" : "U") + toLatin1(formatManifestLine(entry)));
    },
    flushJournal() {
      if (!isClosed) journal.flush();
    },
    findCopied(path) {
      if (!isResumed) return undefined;
      const line = scratch.findLine(path);
      return line === undefined ? undefined : parseManifestLine(line.text, 0);
    },
    closeWork,
    unpin() {
      isPinned = false;
      pin[Symbol.dispose]();
    },
    keepPinned() {
      mayUnpin = false;
    },
    [Symbol.dispose]() {
      closeWork();
      if (!isPinned) return;
      removeFile(latin1(joinPath(directory, ownerName))); // a retry of this process may go on with it
      if (mayUnpin) this.unpin();
    },
  };
}

/**
 * What belongs to the work in a partial. Where that cannot be had, nothing is kept open, and the partial nobody's.
 * @param drop lets go of the partial itself
 */
function openWork(pin: PinnedDirectory, kind: PartialKind, isResumed: boolean, drop: () => void) {
  const directory = pin.through;
  let scratch: ScratchIndex | undefined;
  try {
    makeDirectory(latin1(joinPath(directory, "data")), 0o700);
    scratch = new ScratchIndex(joinPath(directory, scratchName));
    if (isResumed) loadJournal(directory, scratch);
    return { scratch, journal: openJournal(directory, kind) };
  } catch (thrown) {
    scratch?.[Symbol.dispose]();
    removeFile(latin1(joinPath(directory, ownerName)));
    drop();
    throw thrown;
  }
}

function openJournal(directory: string, kind: PartialKind): SequentialWriter {
  const journal = new SequentialWriter(latin1(joinPath(directory, journalName)), true);
  // A new line first: the last one of a killed run may have no end.
  if (lstat(joinPath(directory, journalName))?.sizeBytes !== 0) journal.write("\n");
  journal.write(`H${toLatin1(JSON.stringify({ ...kind, boot: bootId() }))}\n`);
  journal.flush();
  return journal;
}

/** Reads what killed runs noted. What was not flushed counts only while the machine has not been restarted. */
function loadJournal(directory: string, scratch: ScratchIndex): void {
  const boot = bootId();
  let isThisBoot = false;
  for (const line of lenientLines(readBlocks(joinPath(directory, journalName)))) {
    const text = line.slice(1);
    if (line.startsWith("H")) isThisBoot = text.includes(`"boot":"${boot}"`);
    if (!line.startsWith("F") && !(line.startsWith("U") && isThisBoot)) continue;
    try {
      scratch.putLine(parseManifestLine(text, 0).path, line.slice(0, 1), text);
    } catch {
      // torn by the kill: that file is copied again
    }
  }
}

function* lenientLines(blocks: Iterable<Buffer>): Generator<string> {
  let rest = "";
  for (const block of blocks) {
    const lines = (rest + block.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield Buffer.from(line, "latin1").toString("utf8");
  }
}

/** UTF-8 text as one character per byte, which is what raw paths and writers take. */
export function toLatin1(text: string): string {
  // oxlint-disable-next-line no-control-regex -- ASCII is what the class means
  return /^[\x00-\x7f]*$/.test(text) ? text : fromText(text);
}

const latin1 = toLatin1;
