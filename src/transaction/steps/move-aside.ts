// move_aside: what stands where a link belongs gets another name, on the same file system, replacing nothing.

import { nameOf, parentOf } from "../../core/index.ts";
import type { FileStat } from "../../system/index.ts";
import { hostChanged, isCode, observeEntry } from "../state.ts";
import { kept, nothingToUndo, targetOf, undone, type StepKind } from "../step.ts";

export const identityOf = (stat: FileStat | undefined) =>
  stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;

export const moveAside: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare(context, operation, found) {
    const { directory, name } = context.tree.locate(operation.path);
    const identity = identityOf(directory.lstat(name));
    return { operation: { ...operation, before: found }, undo: { identity } };
  },
  apply(context, { operation, undo }) {
    const { directory, name } = context.tree.locate(operation.path);
    if (identityOf(directory.lstat(name)) !== undo.identity) {
      throw hostChanged(operation.path, operation.before, observeEntry(directory, name, false));
    }
    const to = targetOf(operation);
    const aside = context.tree.open(parentOf(to));
    directory.renameNoReplace(name, nameOf(to), aside);
    context.tree.forget(operation.path);
  },
  undo(context, { operation, undo }) {
    const to = targetOf(operation);
    const aside = context.tree.tryOpen(parentOf(to));
    if (aside === undefined) return nothingToUndo;
    if (identityOf(aside.lstat(nameOf(to))) !== undo.identity) return nothingToUndo;
    const { directory, name } = context.tree.locate(operation.path);
    try {
      aside.renameNoReplace(nameOf(to), name, directory);
    } catch (thrown) {
      if (!isCode(thrown, "ALREADY_EXISTS")) throw thrown;
      // link + unlink, killed between the two: both names are one file, the new one goes
      if (identityOf(directory.lstat(name)) !== undo.identity) {
        return kept(`something else is there now; what was there is ${to}`);
      }
      aside.unlink(nameOf(to));
    }
    context.tree.forget(to);
    return undone;
  },
};
