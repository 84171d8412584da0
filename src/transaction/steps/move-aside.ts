// move_aside: what stands where a link belongs gets another name, on the same file system, replacing nothing.

import { nameOf, parentOf, type AbsolutePath } from "../../core/index.ts";
import type { FileStat } from "../../system/index.ts";
import type { DirectoryHandle } from "../../system/directory-handle.ts";
import { hostChanged, isCode, matches, observeEntry } from "../state.ts";
import {
  kept,
  nothingToUndo,
  targetOf,
  undone,
  type Step,
  type StepContext,
  type StepKind,
} from "../step.ts";

export const identityOf = (stat: FileStat | undefined) =>
  stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;

/** Whether the entry is what the step moves: by inode, or by its state where an earlier step made it. */
function isMoved(directory: DirectoryHandle, name: string, { operation, undo }: Step): boolean {
  const stat = directory.lstat(name);
  if (stat === undefined) return false;
  if (undo.identity !== undefined) return identityOf(stat) === undo.identity;
  const hash = operation.before.type === "file" && operation.before.sha256 !== undefined;
  return matches(observeEntry(directory, name, hash), operation.before);
}

export const moveAside: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare(context, operation, found, { projected }) {
    const identity = projected ? undefined : identityOf(lstatOf(context, operation.path));
    return { operation: { ...operation, before: found }, undo: { identity } };
  },
  apply(context, step) {
    const { operation } = step;
    const { directory, name } = context.tree.locate(operation.path);
    if (!isMoved(directory, name, step)) {
      throw hostChanged(operation.path, operation.before, observeEntry(directory, name, false));
    }
    const to = targetOf(operation);
    const aside = context.tree.open(parentOf(to));
    directory.renameNoReplace(name, nameOf(to), aside);
    context.tree.forget(operation.path);
  },
  undo(context, step) {
    const { operation } = step;
    const to = targetOf(operation);
    const aside = context.tree.tryOpen(parentOf(to));
    if (aside === undefined) return nothingToUndo;
    const { directory, name } = context.tree.locate(operation.path);
    // A later step of the plan may have rewritten it, and its undo restored it: equal, but another inode.
    const restored =
      directory.lstat(name) === undefined &&
      matches(observeEntry(aside, nameOf(to), false), operation.before);
    if (!isMoved(aside, nameOf(to), step) && !restored) return nothingToUndo;
    try {
      aside.renameNoReplace(nameOf(to), name, directory);
    } catch (thrown) {
      if (!isCode(thrown, "ALREADY_EXISTS")) throw thrown;
      // link + unlink, killed between the two: both names are one file, the new one goes
      const same = identityOf(directory.lstat(name)) === identityOf(aside.lstat(nameOf(to)));
      if (!same) return kept(`something else is there now; what was there is ${to}`);
      aside.unlink(nameOf(to));
    }
    context.tree.forget(to);
    return undone;
  },
};

function lstatOf(context: StepContext, path: AbsolutePath): FileStat | undefined {
  const { directory, name } = context.tree.locate(path);
  return directory.lstat(name);
}
