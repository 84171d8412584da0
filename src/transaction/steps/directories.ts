// make_dir, remove_dir, set_mode, set_owner.

import { parentOf } from "../../core/index.ts";
import type { DirectoryHandle } from "../../system/directory-handle.ts";
import type { Operation, PathState } from "../operation.ts";
import { hostChanged, isCode, matches, observeEntry } from "../state.ts";
import { kept, nothingToUndo, prepareAsFound, undone, type StepKind } from "../step.ts";
import { placeOf } from "./links.ts";

type DirectoryState = Extract<PathState, { type: "directory" }>;

const defaultMode = 0o755;

function directoryState(state: PathState, operation: Operation): DirectoryState {
  if (state.type === "directory") return state;
  throw new TypeError(`${operation.op} ${operation.path}: expected a directory state`);
}

export const makeDir: StepKind = {
  atomic: true,
  needsDigest: false,
  prepare: prepareAsFound,
  apply(context, { operation }) {
    const { directory, name } = context.tree.locate(operation.path);
    const { mode = defaultMode, uid, gid } = directoryState(operation.after, operation);
    try {
      directory.mkdir(name, { mode, uid, gid });
    } catch (thrown) {
      if (!isCode(thrown, "ALREADY_EXISTS")) throw thrown;
      throw hostChanged(operation.path, operation.before, observeEntry(directory, name, false));
    }
  },
  undo(context, { operation }) {
    const place = placeOf(context, operation);
    const found = place?.directory.lstat(place.name);
    if (place === undefined || found === undefined) return nothingToUndo;
    if (found.type !== "directory") return kept("not the directory we made");
    context.tree.forget(operation.path);
    try {
      place.directory.rmdir(place.name);
    } catch (thrown) {
      if (!isCode(thrown, "NOT_EMPTY")) throw thrown;
      return kept("no longer empty");
    }
    return undone;
  },
};

export const removeDir: StepKind = {
  atomic: false,
  needsDigest: false,
  prepare: prepareAsFound,
  apply(context, { operation }) {
    const { directory, name } = context.tree.locate(operation.path);
    const found = observeEntry(directory, name, false);
    if (found.type !== "directory") throw hostChanged(operation.path, operation.before, found);
    context.tree.forget(operation.path);
    directory.rmdir(name);
  },
  undo(context, { operation }) {
    const place = placeOf(context, operation);
    if (place === undefined) return kept("its directory is gone");
    const found = observeEntry(place.directory, place.name, false);
    const { mode = defaultMode, uid, gid } = directoryState(operation.before, operation);
    if (found.type === "directory") {
      if (matches(found, operation.before)) return nothingToUndo;
      place.directory.change(place.name, { mode, uid, gid }); // killed between mkdir and its mode
      return undone;
    }
    if (found.type !== "absent") return kept("something else is there now");
    place.directory.mkdir(place.name, { mode, uid, gid });
    return undone;
  },
};

/** set_mode and set_owner differ only in which members of `after` they set. */
function setAttributes(pick: (state: PathState) => Attributes, whole: boolean): StepKind {
  return {
    atomic: true,
    needsDigest: false,
    prepare: prepareAsFound,
    apply(context, { operation }) {
      const { directory, name } = context.tree.locate(operation.path);
      const found = observeEntry(directory, name, false);
      if (!matches(found, withoutDigest(operation.before))) {
        throw hostChanged(operation.path, operation.before, found);
      }
      setOn(context.tree.open(parentOf(operation.path)), name, found, pick(operation.after));
    },
    undo(context, { operation }) {
      const place = placeOf(context, operation);
      if (place === undefined) return nothingToUndo;
      const found = observeEntry(place.directory, place.name, false);
      if (found.type !== operation.before.type) return kept("something else is there now");
      const wanted = pick(operation.before);
      const current = pick(found);
      // A chown clears setuid and setgid bits: the owner's undo puts the mode back as well.
      const mode = whole ? attributesOf(operation.before).mode : undefined;
      const same = wanted.mode === current.mode && wanted.uid === current.uid;
      const sameMode = mode === undefined || mode === attributesOf(found).mode;
      if (same && wanted.gid === current.gid && sameMode) return nothingToUndo;
      setOn(place.directory, place.name, found, { ...wanted, mode: wanted.mode ?? mode });
      return undone;
    },
  };
}

interface Attributes {
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

const attributesOf = (state: PathState) => state as Attributes;

function withoutDigest(state: PathState): PathState {
  return state.type === "file" ? { ...state, sha256: undefined } : state;
}

function setOn(
  directory: Pick<DirectoryHandle, "change" | "lchown">,
  name: string,
  found: PathState,
  wanted: Attributes,
): void {
  if (found.type !== "link") return directory.change(name, wanted);
  const { uid, gid } = attributesOf(found);
  directory.lchown(name, wanted.uid ?? uid ?? 0, wanted.gid ?? gid ?? 0);
}

export const setMode = setAttributes((state) => ({ mode: attributesOf(state).mode }), false);
export const setOwner = setAttributes(
  (state) => ({ uid: attributesOf(state).uid, gid: attributesOf(state).gid }),
  true,
);
