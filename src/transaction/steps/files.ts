// write_file, remove_file, remove_leftover. Former contents lie in the journal, so that every one of them can be
// put back; files too large for it are refused when the plan is prepared.

import { CitadelError } from "../../core/index.ts";
import { sha256Hex } from "../../system/index.ts";
import type { DirectoryHandle } from "../../system/directory-handle.ts";
import type { Operation, PathState } from "../operation.ts";
import { hostChanged, isCode, matches, observeEntry } from "../state.ts";
import {
  kept,
  nothingToUndo,
  prepareAsFound,
  undone,
  type Prepared,
  type Projection,
  type Step,
  type StepContext,
  type StepKind,
  type UndoOutcome,
} from "../step.ts";
import { dropTemporary, makeLink, placeOf } from "./links.ts";

type FileState = Extract<PathState, { type: "file" }>;

const verifyTimeoutMs = 30_000;

function fileState(state: PathState, operation: Operation): FileState {
  if (state.type === "file") return state;
  throw new TypeError(`${operation.op} ${operation.path}: expected a file state`);
}

function newContent(operation: Operation): Buffer {
  if (operation.content === undefined) throw new TypeError(`${operation.op} without content`);
  return Buffer.from(operation.content, operation.contentEncoding ?? "utf8");
}

/** The former content, to be kept with the plan. */
function keepFormer(found: PathState, projection: Projection, into: Map<string, Uint8Array>): void {
  if (found.type !== "file" || found.sha256 === undefined) return;
  into.set(found.sha256, projection.former());
}

function prepareWrite(
  context: StepContext,
  operation: Operation,
  found: PathState,
  projection: Projection,
): Prepared {
  const bytes = newContent(operation);
  const sha256 = sha256Hex(bytes);
  const after = fileState(operation.after, operation);
  if (after.sha256 !== undefined && after.sha256 !== sha256) {
    throw new TypeError(`write_file ${operation.path}: content and after.sha256 differ`);
  }
  const contents = new Map<string, Uint8Array>([[sha256, bytes]]);
  keepFormer(found, projection, contents);
  const place = placeOf(context, operation);
  const backupExisted =
    operation.backupName !== undefined &&
    place?.directory.lstat(operation.backupName) !== undefined;
  const former = found.type === "file" ? found : undefined;
  const { content: _content, contentEncoding: _encoding, ...rest } = operation;
  return {
    // The content lies in the journal by its digest; an owner or mode not asked for stays as it is.
    operation: {
      ...rest,
      before: found,
      after: {
        type: "file",
        sha256,
        mode: after.mode ?? former?.mode ?? 0o644,
        uid: after.uid ?? former?.uid,
        gid: after.gid ?? former?.gid,
      },
    },
    undo: { backupExisted },
    contents,
  };
}

export const writeFile: StepKind = {
  atomic: false,
  needsDigest: true,
  prepare: prepareWrite,
  apply(context, step) {
    const { operation, seq } = step;
    const { directory, name } = context.tree.locate(operation.path);
    const after = fileState(operation.after, operation);
    const temporary = context.temporary(seq, "do");
    directory.createFile(temporary, context.content(after.sha256 ?? ""), ownership(after));
    verify(context, operation, directory.pathOf(temporary));
    const found = observeEntry(directory, name, true);
    if (!matches(found, operation.before)) {
      throw hostChanged(operation.path, operation.before, found);
    }
    if (operation.before.type === "absent") {
      directory.renameNoReplace(temporary, name);
      return;
    }
    keepBackup(directory, name, step);
    directory.rename(temporary, name);
  },
  undo: undoWrite,
};

function ownership(state: FileState) {
  return { mode: state.mode ?? 0o644, uid: state.uid, gid: state.gid };
}

/** A second name for the former file; one that is there already is the older truth and stays. */
function keepBackup(directory: DirectoryHandle, name: string, step: Step): void {
  const { backupName } = step.operation;
  if (backupName === undefined || step.undo.backupExisted === true) return;
  directory.link(name, backupName);
}

function verify(context: StepContext, operation: Operation, path: string): void {
  const command = operation.verifyCommand;
  if (command === undefined) return;
  const result = context.run(
    command.map((word) => (word === "{}" ? path : word)),
    verifyTimeoutMs,
  );
  if (result.exitCode === 0) return;
  const said = (result.stderr || result.stdout).trim().replaceAll(path, operation.path);
  throw new CitadelError({
    kind: "conflict",
    code: "CONTENT_REFUSED",
    message: `the new ${operation.path} did not pass \`${command[0]}\`: ${said.slice(0, 500)}`,
    path: operation.path,
    operation: command[0],
    hint: "nothing was changed; correct what the message names, then run the command again",
  });
}

function undoWrite(context: StepContext, step: Step): UndoOutcome {
  const { operation, seq } = step;
  const place = placeOf(context, operation);
  if (place === undefined) return nothingToUndo;
  const { directory, name } = place;
  dropTemporary(directory, context.temporary(seq, "do"));
  dropTemporary(directory, context.temporary(seq, "undo"));
  const found = observeEntry(directory, name, true);
  if (operation.before.type === "absent") {
    if (found.type === "absent") return nothingToUndo;
    if (!sameContent(found, operation.after)) return kept("no longer the content we wrote");
    directory.unlink(name);
    return undone;
  }
  const before = fileState(operation.before, operation);
  const outcome = restoreFile(context, step, directory, name, before, found);
  dropBackup(directory, name, step);
  return outcome;
}

function restoreFile(
  context: StepContext,
  step: Step,
  directory: DirectoryHandle,
  name: string,
  before: FileState,
  found: PathState,
): UndoOutcome {
  if (sameContent(found, before) && matches(found, before)) return nothingToUndo;
  const ours = sameContent(found, step.operation.after) || sameContent(found, before);
  if (found.type !== "absent" && !ours) return kept("no longer the content we wrote");
  const temporary = context.temporary(step.seq, "undo");
  directory.createFile(temporary, context.content(before.sha256 ?? ""), ownership(before));
  directory.rename(temporary, name);
  return undone;
}

const sameContent = (found: PathState, wanted: PathState) =>
  found.type === "file" && wanted.type === "file" && found.sha256 === wanted.sha256;

/** Takes the backup back that this step made; `name` holds the same content again by now. */
function dropBackup(directory: DirectoryHandle, name: string, step: Step): void {
  const { backupName, before } = step.operation;
  if (backupName === undefined || step.undo.backupExisted !== false) return;
  if (!sameContent(observeEntry(directory, backupName, true), before)) return;
  if (sameContent(observeEntry(directory, name, true), before)) directory.unlink(backupName);
}

export const removeFile: StepKind = {
  atomic: false,
  needsDigest: true,
  prepare(_context, operation, found, projection) {
    const contents = new Map<string, Uint8Array>();
    keepFormer(found, projection, contents);
    return { operation: { ...operation, before: found }, undo: {}, contents };
  },
  apply(context, { operation }) {
    const { directory, name } = context.tree.locate(operation.path);
    const found = observeEntry(directory, name, true);
    if (!sameContent(found, operation.before)) {
      throw hostChanged(operation.path, operation.before, found);
    }
    directory.unlink(name);
  },
  undo(context, step) {
    const { operation, seq } = step;
    const place = placeOf(context, operation);
    if (place === undefined) return kept("its directory is gone");
    dropTemporary(place.directory, context.temporary(seq, "undo"));
    const found = observeEntry(place.directory, place.name, true);
    const before = fileState(operation.before, operation);
    return restoreFile(context, step, place.directory, place.name, before, found);
  },
};

/** A temporary that a killed process left: a link or an empty directory goes now, a file after the commit point. */
export const removeLeftover: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare: prepareAsFound,
  apply(context, { operation }) {
    const { directory, name } = context.tree.locate(operation.path);
    const found = observeEntry(directory, name, false);
    if (!matches(found, operation.before)) {
      throw hostChanged(operation.path, operation.before, found);
    }
    if (found.type === "link") directory.unlink(name);
    else if (found.type === "directory") {
      context.tree.forget(operation.path);
      directory.rmdir(name);
    }
  },
  undo(context, { operation }) {
    const place = placeOf(context, operation);
    if (place === undefined || place.directory.lstat(place.name) !== undefined) {
      return nothingToUndo;
    }
    const { before } = operation;
    if (before.type === "link") makeLink(place.directory, place.name, before);
    if (before.type === "directory") {
      const { mode = 0o755, uid, gid } = before;
      place.directory.mkdir(place.name, { mode, uid, gid });
    }
    return undone;
  },
  cleanup(context, { operation }) {
    if (operation.before.type !== "file") return nothingToUndo;
    const place = placeOf(context, operation);
    if (place?.directory.lstat(place.name)?.type !== "file") return nothingToUndo;
    try {
      place.directory.unlink(place.name);
    } catch (thrown) {
      if (!isCode(thrown, "NOT_FOUND")) throw thrown;
    }
    return undone;
  },
};
