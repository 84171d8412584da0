// What is at a path, as a PathState, and whether that is what a step expects.

import { CitadelError, nameOf, parentOf, type AbsolutePath } from "../core/index.ts";
import { sha256Hex } from "../system/index.ts";
import type { DirectoryHandle } from "../system/directory-handle.ts";
import type { MissingNames } from "../system/missing-names.ts";
import type { DirectoryTree } from "../system/directory-tree.ts";
import type { PathState } from "./operation.ts";

/** Files up to this size are hashed and kept in the journal; larger ones are never written or removed by a step. */
export const contentLimitBytes = 16 * 1024 * 1024;

/**
 * Looks at `path` through its parent's handle.
 * @param hash whether to read a file's content for its digest
 * @param missing what the looks at other paths have shown
 */
export function observe(
  tree: DirectoryTree,
  path: AbsolutePath,
  hash: boolean,
  missing?: MissingNames,
): PathState {
  const parent = parentOf(path);
  const name = nameOf(path);
  if (missing?.lacks(parent, name) === true) return { type: "absent" };
  const directory = tree.tryOpen(parent);
  if (directory === undefined) return { type: "absent" };
  const found = observeEntry(directory, name, hash);
  if (found.type === "absent") missing?.note(parent, () => directory.names());
  return found;
}

export function observeEntry(directory: DirectoryHandle, name: string, hash: boolean): PathState {
  const stat = directory.lstat(name);
  if (stat === undefined) return { type: "absent" };
  const { mode, uid, gid } = stat;
  switch (stat.type) {
    case "directory":
      return { type: "directory", mode, uid, gid };
    case "link":
      return { type: "link", target: directory.readlink(name), uid, gid };
    case "file": {
      const sha256 = hash ? sha256Hex(directory.readFile(name, contentLimitBytes)) : undefined;
      return { type: "file", sha256, mode, uid, gid };
    }
    case "unknown":
      return { type: "other", what: "character" };
    default:
      return { type: "other", what: stat.type };
  }
}

/** Whether `found` is `wanted`; members that are undefined in either are not compared. */
export function matches(found: PathState, wanted: PathState): boolean {
  if (found.type !== wanted.type) return false;
  const a = found as Readonly<Record<string, unknown>>;
  const b = wanted as Readonly<Record<string, unknown>>;
  for (const key of ["target", "sha256", "mode", "uid", "gid", "value", "what"]) {
    if (b[key] !== undefined && a[key] !== undefined && a[key] !== b[key]) return false;
  }
  return true;
}

/** A state in words: `a link to /a/b`, `a directory (755, 0:0)`. */
export function describeState(state: PathState): string {
  switch (state.type) {
    case "absent":
      return "nothing";
    case "link":
      return `a link to ${state.target}`;
    case "directory":
    case "file": {
      const mode = state.mode === undefined ? "" : `mode ${state.mode.toString(8)}`;
      const owner = state.uid === undefined ? "" : `owner ${state.uid}:${state.gid ?? "?"}`;
      const facts = [mode, owner].filter((fact) => fact !== "").join(", ");
      return `a ${state.type}${facts === "" ? "" : ` (${facts})`}`;
    }
    case "value":
    case "external":
      return JSON.stringify(state.value);
    case "other":
      return `a ${state.what}`;
  }
}

/** The host is not as the plan expects it: the plan is made anew, never forced. */
export function hostChanged(
  path: AbsolutePath,
  expected: PathState,
  found: PathState,
): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "HOST_CHANGED",
    message: `${path} is ${describeState(found)}, the plan expects ${describeState(expected)}`,
    path,
    hint: "something else changes these paths; run the command again to plan anew",
    details: { expected, found },
  });
}

export function isCode(thrown: unknown, ...codes: string[]): boolean {
  return thrown instanceof CitadelError && codes.includes(thrown.code);
}
