// The tree of an adopt: listed once before anything is changed, put into the target, taken out again by an undo,
// deleted at its old place after the commit. Entry by entry, through handles, comparing both sides each time.

import { CitadelError } from "../../core/index.ts";
import type { FileStat } from "../../system/index.ts";
import type { DirectoryHandle } from "../../system/directory-handle.ts";
import { copyVerified, sameFileContent } from "../../system/verified-copy.ts";
import { isCode } from "../state.ts";
import type { AdoptedEntry } from "../step.ts";

const maxDepth = 128;
const maxEntries = 1_000_000;
/** utimes(2) through node:fs loses up to 120 ns; file systems may keep 1 s. */
const timeSlackMs = 1000;

export const bytesOf = (name: string) => Buffer.from(name, "latin1");

/** A directory, or its absence (a target that an earlier step will make). */
type Side = DirectoryHandle | undefined;

export function within<T>(
  directory: DirectoryHandle,
  name: Buffer,
  call: (inner: DirectoryHandle) => T,
): T {
  const inner = directory.openDirectory(name);
  try {
    return call(inner);
  } finally {
    inner.close();
  }
}

/** Lists `source`, judging each entry against `target`. @throws code ADOPT_CONFLICT */
export function listTree(
  source: DirectoryHandle,
  target: Side,
  dev: number,
  count = { entries: 0 },
  depth = 0,
): AdoptedEntry[] {
  if (depth > maxDepth) throw conflict(source.path, `more than ${maxDepth} directories deep`);
  return source.list().map((name) => {
    count.entries += 1;
    if (count.entries > maxEntries) throw conflict(source.path, `more than ${maxEntries} entries`);
    const stat = source.lstat(name);
    if (stat === undefined) throw conflict(source.pathOf(name), "it vanished");
    const { existed, type } = judge(source, target, name, stat, dev);
    const entry = { name: name.toString("latin1"), type, existed, sizeBytes: stat.sizeBytes };
    if (type !== "directory") return entry;
    const entries = within(source, name, (inner) =>
      existed && target !== undefined
        ? within(target, name, (there) => listTree(inner, there, dev, count, depth + 1))
        : listTree(inner, undefined, dev, count, depth + 1),
    );
    return { ...entry, entries };
  });
}

/** What an entry is, and whether the target has it already. @throws code ADOPT_CONFLICT if it has another */
export function judge(
  source: DirectoryHandle,
  target: Side,
  name: Buffer,
  stat: FileStat,
  dev: number,
): Pick<AdoptedEntry, "existed" | "type"> {
  const path = source.pathOf(name);
  const { type } = stat;
  if (type !== "directory" && type !== "file" && type !== "link") {
    throw conflict(path, `it is a ${type}`);
  }
  if (stat.dev !== dev) throw conflict(path, "another file system is mounted there");
  const there = target?.lstat(name);
  if (there === undefined || target === undefined) return { existed: false, type };
  if (there.type !== type) {
    throw conflict(path, `${target.pathOf(name)} exists and is a ${there.type}`);
  }
  const same =
    type === "directory" ||
    (type === "link"
      ? source.readlinkBytes(name).equals(target.readlinkBytes(name))
      : sameFileContent(source, name, target, name));
  if (!same) throw conflict(path, `${target.pathOf(name)} exists with different content`);
  return { existed: true, type };
}

/** How many bytes a copy would take. */
export function bytesToCopy(entries: readonly AdoptedEntry[]): number {
  let sum = 0;
  for (const entry of entries) {
    if (entry.type === "directory") sum += 4096 + bytesToCopy(entry.entries ?? []);
    else if (!entry.existed) sum += entry.sizeBytes + 4096;
  }
  return sum;
}

export interface Filler {
  readonly temporary: string;
  readonly onBytes: (path: string, bytes: number) => Promise<void>;
}

/** Puts the entries into `target`: hard links, or verified copies across file systems. Replaces nothing. */
export async function fillTarget(
  source: DirectoryHandle,
  target: DirectoryHandle,
  entries: readonly AdoptedEntry[],
  filler: Filler,
): Promise<void> {
  for (const entry of entries) {
    const name = bytesOf(entry.name);
    await filler.onBytes(source.pathOf(name), 0);
    const stat = source.lstat(name);
    if (stat === undefined || stat.type !== entry.type) throw changed(source.pathOf(name));
    const { existed } = judge(source, target, name, stat, stat.dev);
    if (existed !== entry.existed) throw changed(target.pathOf(name));
    if (entry.type === "directory") {
      await fillDirectory(source, target, name, entry, stat, filler);
    } else if (!existed) {
      if (entry.type === "link") fillLink(source, target, name, stat);
      else await fillFile(source, target, name, filler);
    }
  }
  target.sync();
}

async function fillDirectory(
  source: DirectoryHandle,
  target: DirectoryHandle,
  name: Buffer,
  entry: AdoptedEntry,
  stat: FileStat,
  filler: Filler,
): Promise<void> {
  const { mode, uid, gid } = stat;
  if (!entry.existed) target.mkdir(name, { mode, uid, gid });
  const inner = source.openDirectory(name);
  try {
    const there = target.openDirectory(name);
    try {
      await fillTarget(inner, there, entry.entries ?? [], filler);
    } finally {
      there.close();
    }
  } finally {
    inner.close();
  }
  if (!entry.existed) target.setTimes(name, stat.mtimeMs);
}

function fillLink(
  source: DirectoryHandle,
  target: DirectoryHandle,
  name: Buffer,
  stat: FileStat,
): void {
  target.symlink(source.readlinkBytes(name), name);
  target.lchown(name, stat.uid, stat.gid);
  target.setTimes(name, stat.mtimeMs);
}

async function fillFile(
  source: DirectoryHandle,
  target: DirectoryHandle,
  name: Buffer,
  filler: Filler,
): Promise<void> {
  try {
    source.link(name, name, target);
  } catch (thrown) {
    // Another file system, or one without hard links, or a file that may not have more of them.
    const errno = thrown instanceof CitadelError ? thrown.errno : undefined;
    if (!["EXDEV", "EPERM", "EMLINK", "EOPNOTSUPP"].includes(errno ?? "")) throw thrown;
    await copyVerified(source, name, target, {
      temporary: filler.temporary,
      onBytes: (bytes) => filler.onBytes(source.pathOf(name), bytes),
    });
  }
}

/** Whether the tree holds just these entries still, same types and sizes. */
export function sameTree(source: DirectoryHandle, entries: readonly AdoptedEntry[]): boolean {
  const names = source.list();
  if (names.length !== entries.length) return false;
  return entries.every((entry) => {
    const name = bytesOf(entry.name);
    const stat = source.lstat(name);
    if (stat === undefined || stat.type !== entry.type) return false;
    if (entry.type === "directory") {
      return within(source, name, (inner) => sameTree(inner, entry.entries ?? []));
    }
    return entry.type === "link" || stat.sizeBytes === entry.sizeBytes;
  });
}

/**
 * Takes out of `target` what an adopt put there, as far as `source` still has it: the same inode, or an equal copy.
 * @returns paths that were left, because they are no longer equal
 */
export function emptyTarget(
  source: DirectoryHandle,
  target: DirectoryHandle,
  entries: readonly AdoptedEntry[],
  temporary: string,
): string[] {
  const left: string[] = [];
  if (target.lstat(temporary) !== undefined) target.unlink(temporary);
  for (const entry of entries.toReversed()) {
    const name = bytesOf(entry.name);
    const there = target.lstat(name);
    const here = source.lstat(name);
    if (there === undefined || here === undefined || there.type !== here.type) continue;
    if (entry.type === "directory") {
      const inner = within(source, name, (from) =>
        within(target, name, (to) => emptyTarget(from, to, entry.entries ?? [], temporary)),
      );
      left.push(...inner);
      if (!entry.existed && !removeEmpty(target, name)) left.push(target.pathOf(name));
    } else if (!entry.existed) {
      if (isCopy(source, target, name, here, there)) target.unlink(name);
      else left.push(target.pathOf(name));
    }
  }
  if (target.dirty) target.sync();
  return left;
}

/** Deletes at the old place what the target has for certain. @returns paths that were kept */
export function deleteSource(
  source: DirectoryHandle,
  target: DirectoryHandle,
  entries: readonly AdoptedEntry[],
): string[] {
  const left: string[] = [];
  for (const entry of entries) {
    const name = bytesOf(entry.name);
    const here = source.lstat(name);
    if (here === undefined) continue; // deleted by the run that was killed
    const there = target.lstat(name);
    if (there === undefined || there.type !== here.type) left.push(source.pathOf(name));
    else if (entry.type === "directory") {
      const inner = within(source, name, (from) =>
        within(target, name, (to) => deleteSource(from, to, entry.entries ?? [])),
      );
      left.push(...inner);
      if (!removeEmpty(source, name)) left.push(source.pathOf(name));
    } else if (isCopy(source, target, name, here, there) || sameEntry(source, target, name, here)) {
      source.unlink(name);
    } else left.push(source.pathOf(name));
  }
  return left;
}

/** The same inode, or a copy with equal size and time; for links: the same target. */
function isCopy(
  source: DirectoryHandle,
  target: DirectoryHandle,
  name: Buffer,
  here: FileStat,
  there: FileStat,
): boolean {
  if (here.type === "link") return source.readlinkBytes(name).equals(target.readlinkBytes(name));
  if (here.dev === there.dev && here.ino === there.ino) return true;
  const sameTime = Math.abs(here.mtimeMs - there.mtimeMs) < timeSlackMs;
  return here.sizeBytes === there.sizeBytes && sameTime;
}

/** Equal content under another time: it was in the target before the adopt. */
function sameEntry(
  source: DirectoryHandle,
  target: DirectoryHandle,
  name: Buffer,
  here: FileStat,
): boolean {
  return here.type === "file" && sameFileContent(source, name, target, name);
}

function removeEmpty(directory: DirectoryHandle, name: Buffer): boolean {
  try {
    directory.rmdir(name);
    return true;
  } catch (thrown) {
    if (isCode(thrown, "NOT_EMPTY")) return false;
    throw thrown;
  }
}

export function conflict(path: string, why: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "ADOPT_CONFLICT",
    message: `${path} cannot be adopted: ${why}`,
    path,
    hint: "compare the two, keep one, then run the command again; or use --move-aside",
  });
}

export function changed(path: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "HOST_CHANGED",
    message: `${path} changed while it was adopted`,
    path,
    hint: "stop what writes there, then run the command again",
  });
}
