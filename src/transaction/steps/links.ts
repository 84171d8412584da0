// create_link, replace_link, remove_link. A link is replaced by one rename of a finished temporary link: no reader
// ever finds it missing.

import type { DirectoryHandle } from "../../system/directory-handle.ts";
import type { Operation, PathState } from "../operation.ts";
import { hostChanged, isCode, observeEntry } from "../state.ts";
import {
  kept,
  nothingToUndo,
  prepareAsFound,
  undone,
  type Step,
  type StepContext,
  type StepKind,
  type UndoOutcome,
} from "../step.ts";

type LinkState = Extract<PathState, { type: "link" }>;

export function linkState(state: PathState, operation: Operation): LinkState {
  if (state.type === "link") return state;
  throw new TypeError(`${operation.op} ${operation.path}: expected a link state`);
}

/** Makes a link with its owner; an owner that is not given stays what the kernel makes it. */
export function makeLink(directory: DirectoryHandle, name: string, link: LinkState): void {
  directory.symlink(link.target, name);
  if (link.uid !== undefined && link.gid !== undefined) {
    directory.lchown(name, link.uid, link.gid);
  }
}

/** Removes a temporary of ours if it is there. */
export function dropTemporary(directory: DirectoryHandle, name: string): boolean {
  if (directory.lstat(name) === undefined) return false;
  directory.unlink(name);
  return true;
}

export const createLink: StepKind = {
  atomic: true,
  needsDigest: false,
  prepare: prepareAsFound,
  apply(context, { operation }) {
    const { directory, name } = context.tree.locate(operation.path);
    try {
      makeLink(directory, name, linkState(operation.after, operation));
    } catch (thrown) {
      if (!isCode(thrown, "ALREADY_EXISTS")) throw thrown;
      const found = observeEntry(directory, name, false);
      throw hostChanged(operation.path, operation.before, found);
    }
  },
  undo(context, { operation }) {
    const after = linkState(operation.after, operation);
    const place = placeOf(context, operation);
    if (place === undefined) return nothingToUndo;
    const found = observeEntry(place.directory, place.name, false);
    if (found.type === "absent") return nothingToUndo;
    if (found.type !== "link" || found.target !== after.target) return kept("not the link we made");
    place.directory.unlink(place.name);
    return undone;
  },
};

export const replaceLink: StepKind = {
  atomic: true,
  needsDigest: false,
  prepare: prepareAsFound,
  apply(context, step) {
    const { operation } = step;
    const { directory, name } = context.tree.locate(operation.path);
    expectLink(directory, name, operation);
    const temporary = context.temporary(step.seq, "do");
    makeLink(directory, temporary, linkState(operation.after, operation));
    directory.rename(temporary, name);
  },
  undo(context, step) {
    return restoreLink(context, step, linkState(step.operation.after, step.operation).target);
  },
};

export const removeLink: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare: prepareAsFound,
  apply(context, { operation }) {
    const { directory, name } = context.tree.locate(operation.path);
    expectLink(directory, name, operation);
    directory.unlink(name);
  },
  undo: (context, step) => restoreLink(context, step, undefined),
};

/** Puts `before` back over a link to `ours` or over nothing; anything else there is not ours. */
function restoreLink(context: StepContext, step: Step, ours: string | undefined): UndoOutcome {
  const { operation, seq } = step;
  const before = linkState(operation.before, operation);
  const place = placeOf(context, operation);
  if (place === undefined) return kept("its directory is gone");
  const { directory, name } = place;
  dropTemporary(directory, context.temporary(seq, "do"));
  dropTemporary(directory, context.temporary(seq, "undo"));
  const found = observeEntry(directory, name, false);
  if (found.type === "link" && found.target === before.target) return nothingToUndo;
  if (found.type !== "absent" && !(found.type === "link" && found.target === ours)) {
    return kept("something else is there now");
  }
  const temporary = context.temporary(seq, "undo");
  makeLink(directory, temporary, before);
  directory.rename(temporary, name);
  return undone;
}

function expectLink(directory: DirectoryHandle, name: string, operation: Operation): void {
  const before = linkState(operation.before, operation);
  const found = observeEntry(directory, name, false);
  if (found.type === "link" && found.target === before.target) return;
  throw hostChanged(operation.path, before, found);
}

/** Where the operation's path is; undefined if its directory does not exist (never made, or undone already). */
export function placeOf(
  context: StepContext,
  operation: Operation,
): { directory: DirectoryHandle; name: string } | undefined {
  try {
    return context.tree.locate(operation.path);
  } catch (thrown) {
    if (isCode(thrown, "NOT_FOUND", "NOT_A_DIRECTORY")) return undefined;
    throw thrown;
  }
}
