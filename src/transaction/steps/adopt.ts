// adopt: the content of what stands where a link belongs goes into the link's target; then the link takes the
// place in one exchange; and last, after the commit, the original is deleted. A kill before the exchange leaves the
// original untouched, a kill after it loses nothing.

import { CitadelError, formatBytes, isWithin, parentOf } from "../../core/index.ts";
import { fileSystemUsage } from "../../system/index.ts";
import type { DirectoryHandle } from "../../system/directory-handle.ts";
import type { Operation, PathState } from "../operation.ts";
import { hostChanged, isCode, observeEntry } from "../state.ts";
import {
  kept,
  nothingToUndo,
  targetOf,
  undone,
  type AdoptedEntry,
  type Prepared,
  type Step,
  type StepContext,
  type StepKind,
  type UndoOutcome,
} from "../step.ts";
import { sameFileContent } from "../../system/verified-copy.ts";
import {
  bytesOf,
  bytesToCopy,
  changed,
  conflict,
  deleteSource,
  emptyTarget,
  fillTarget,
  judge,
  listTree,
  sameTree,
  within,
} from "./adopt-tree.ts";
import { dropTemporary, linkState, makeLink, placeOf } from "./links.ts";
import { identityOf } from "./move-aside.ts";

/** Space that a copy across file systems leaves free. */
const spareBytes = 64 * 1024 * 1024;

function prepare(context: StepContext, operation: Operation, found: PathState): Prepared {
  const to = targetOf(operation);
  const { path } = operation;
  if (isWithin(to, path) || isWithin(path, to)) throw conflict(path, `it and ${to} overlap`);
  const { directory, name } = context.tree.locate(path);
  const stat = directory.lstat(name);
  if (stat === undefined) throw hostChanged(path, operation.before, found);
  const target = context.tree.tryOpen(to);
  let entries: AdoptedEntry[];
  if (stat.type === "directory") {
    entries = within(directory, Buffer.from(name), (source) => listTree(source, target, stat.dev));
  } else {
    const judged = judge(directory, target, Buffer.from(name), stat, stat.dev);
    const latin1 = Buffer.from(name).toString("latin1");
    entries = [{ name: latin1, sizeBytes: stat.sizeBytes, ...judged }];
  }
  assertSpace(context, operation, stat.dev, entries);
  return {
    operation: { ...operation, before: found },
    undo: { identity: identityOf(stat), entries },
  };
}

/** Across file systems the content must fit before the first byte is copied. @throws kind `no-space` */
function assertSpace(
  context: StepContext,
  operation: Operation,
  dev: number,
  entries: readonly AdoptedEntry[],
): void {
  let existing = targetOf(operation);
  let directory = context.tree.tryOpen(existing);
  // ends at the tree's own root at the latest, which is there
  while (directory === undefined && existing !== "/") {
    existing = parentOf(existing);
    directory = context.tree.tryOpen(existing);
  }
  if (directory?.lstat(".")?.dev === dev) return;
  const needBytes = bytesToCopy(entries) + spareBytes;
  const { availableBytes } = fileSystemUsage(existing);
  if (needBytes <= availableBytes) return;
  throw new CitadelError({
    kind: "no-space",
    code: "NO_SPACE",
    message: `${operation.path} does not fit below ${existing}: ${formatBytes(needBytes)} needed, ${formatBytes(availableBytes)} free`,
    path: operation.path,
    operation: "adopt",
    hint: "free space there, or move it aside with --move-aside",
    details: { needBytes, availableBytes },
  });
}

async function apply(context: StepContext, step: Step): Promise<void> {
  const { operation, undo, seq } = step;
  const { directory, name } = context.tree.locate(operation.path);
  if (identityOf(directory.lstat(name)) !== undo.identity) {
    throw hostChanged(operation.path, operation.before, observeEntry(directory, name, false));
  }
  await fill(context, step, directory, name);
  switchToLink(context, step, directory, name);
  const aside = context.temporary(seq, "aside");
  context.tree.forget(operation.path);
  // What was written there between the listing and the exchange has no copy: then everything goes back.
  const entries = undo.entries ?? [];
  const complete =
    operation.before.type !== "directory" ||
    within(directory, Buffer.from(aside), (source) => sameTree(source, entries));
  if (!complete || identityOf(directory.lstat(aside)) !== undo.identity) {
    throw changed(operation.path);
  }
}

async function fill(
  context: StepContext,
  step: Step,
  directory: DirectoryHandle,
  name: string,
): Promise<void> {
  const { operation, undo, seq } = step;
  const entries = undo.entries ?? [];
  const totalBytes = bytesToCopy(entries);
  let doneBytes = 0;
  let sinceBytes = 0;
  const filler = {
    temporary: context.temporary(seq, "do"),
    onBytes: async (path: string, bytes: number) => {
      doneBytes += bytes;
      sinceBytes += bytes + 1024;
      if (bytes > 0) context.onProgress?.(path, doneBytes, totalBytes);
      if (sinceBytes < 8 * 1024 * 1024) return;
      sinceBytes = 0;
      await context.pause();
    },
  };
  const target = context.tree.open(targetOf(operation));
  if (operation.before.type !== "directory") {
    return fillTarget(directory, target, entries, filler);
  }
  const source = directory.openDirectory(name);
  try {
    await fillTarget(source, target, entries, filler);
  } finally {
    source.close();
  }
}

/** The finished link takes the place in one exchange, the original gets the name `aside`. */
function switchToLink(
  context: StepContext,
  { operation, seq }: Step,
  directory: DirectoryHandle,
  name: string,
): void {
  const temporary = context.temporary(seq, "do");
  const aside = context.temporary(seq, "aside");
  makeLink(directory, temporary, linkState(operation.after, operation));
  if (directory.exchange(temporary, name)) {
    directory.renameNoReplace(temporary, aside);
    return;
  }
  // Without renameat2 there is a moment without either; recovery knows both names.
  directory.renameNoReplace(name, aside);
  directory.rename(temporary, name);
}

function undo(context: StepContext, step: Step): UndoOutcome {
  const { operation, seq } = step;
  const place = placeOf(context, operation);
  if (place === undefined) return nothingToUndo;
  const { directory, name } = place;
  const switchedBack = restoreOriginal(context, step, directory, name);
  if (switchedBack === "blocked") {
    return kept(
      `something else is there now; the original is ${directory.pathOf(context.temporary(seq, "aside"))}`,
    );
  }
  context.tree.forget(operation.path);
  const target = context.tree.tryOpen(targetOf(operation));
  if (target === undefined) return switchedBack === "restored" ? undone : nothingToUndo;
  const entries = step.undo.entries ?? [];
  const temporary = context.temporary(seq, "do");
  const isTree = operation.before.type === "directory";
  const left = isTree
    ? within(directory, Buffer.from(name), (s) => emptyTarget(s, target, entries, temporary))
    : emptyTarget(directory, target, entries, temporary);
  const [first] = left;
  return first === undefined
    ? undone
    : kept(`the original is back; ${first} changed meanwhile and stays (${left.length} in all)`);
}

/** Puts the original back at its path from wherever a kill left it. */
function restoreOriginal(
  context: StepContext,
  { operation, seq, undo: record }: Step,
  directory: DirectoryHandle,
  name: string,
): "untouched" | "restored" | "blocked" {
  const temporary = context.temporary(seq, "do");
  const aside = context.temporary(seq, "aside");
  const isOriginal = (entry: string) => identityOf(directory.lstat(entry)) === record.identity;
  if (isOriginal(name)) {
    if (directory.lstat(temporary)?.type === "link") dropTemporary(directory, temporary);
    return "untouched";
  }
  const original = [aside, temporary].find(isOriginal);
  if (original === undefined) return "blocked";
  const there = observeEntry(directory, name, false);
  if (there.type === "absent") directory.renameNoReplace(original, name);
  else if (there.type !== "link" || there.target !== linkState(operation.after, operation).target) {
    return "blocked";
  } else if (directory.exchange(original, name)) directory.unlink(original);
  else {
    directory.unlink(name);
    directory.renameNoReplace(original, name);
  }
  if (directory.lstat(temporary)?.type === "link") dropTemporary(directory, temporary);
  return "restored";
}

function cleanup(context: StepContext, step: Step): UndoOutcome {
  const { operation, seq } = step;
  const place = placeOf(context, operation);
  if (place === undefined) return nothingToUndo;
  const { directory, name } = place;
  const aside = context.temporary(seq, "aside");
  const stat = directory.lstat(aside);
  if (stat === undefined) return nothingToUndo;
  const target = context.tree.open(targetOf(operation));
  const entries = step.undo.entries ?? [];
  let left: string[];
  if (stat.type === "directory") {
    left = within(directory, Buffer.from(aside), (s) => deleteSource(s, target, entries));
  } else {
    left = deleteFile(directory, aside, target, entries[0]);
  }
  if (left.length === 0 && stat.type === "directory") {
    try {
      directory.rmdir(aside);
    } catch (thrown) {
      if (!isCode(thrown, "NOT_EMPTY")) throw thrown;
      left.push(directory.pathOf(aside));
    }
  }
  if (left.length === 0) return undone;
  // It must not look like a leftover of ours: a person decides about it.
  const visible = `${name}.not-adopted-${aside.slice(-12, -4)}`;
  directory.renameNoReplace(aside, visible);
  return kept(
    `${left.length} entries changed while they were adopted: see ${directory.pathOf(visible)}`,
  );
}

function deleteFile(
  directory: DirectoryHandle,
  aside: string,
  target: DirectoryHandle,
  entry: AdoptedEntry | undefined,
): string[] {
  const path = directory.pathOf(aside);
  if (entry === undefined || target.lstat(bytesOf(entry.name)) === undefined) return [path];
  if (!sameFileContent(directory, aside, target, bytesOf(entry.name))) return [path];
  directory.unlink(aside);
  return [];
}

export const adopt: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare,
  apply,
  undo,
  cleanup,
};
