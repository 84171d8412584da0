// What changed between generations without us: a link that a person removed and `repair` made again. Going back to a
// generation means the state that generation left, not the damage that a later one found.

import type { AbsolutePath } from "../core/index.ts";
import type { JournalView } from "./journal-view.ts";
import type { Operation, PathState } from "./operation.ts";
import { matches } from "./state.ts";

/** Names a step of a generation. */
export const stepKey = (generation: number, seq: number): string => `${generation}:${seq}`;

const judgedByState: ReadonlySet<PathState["type"]> = new Set(["link", "directory", "file"]);

/**
 * The steps after `generation` that were the first of theirs to touch a path and found it otherwise than the
 * generations before had left it.
 * @returns by `stepKey`, what had been left
 */
export function findDrift(view: JournalView, generation: number): Map<string, PathState> {
  const left = new Map<string, PathState>();
  const drifted = new Map<string, PathState>();
  for (const { id } of view.history().toReversed()) {
    const touched = new Set<string>();
    for (const { seq, operation } of view.stepsOf(id)) {
      const { path, before } = operation;
      const state = left.get(path);
      if (id > generation && state !== undefined && !touched.has(path) && !matches(before, state)) {
        drifted.set(stepKey(id, seq), state);
      }
      touched.add(path);
      follow(left, operation);
    }
  }
  return drifted;
}

/** Keeps track of what steps leave at each path, as far as a state describes it. */
function follow(left: Map<string, PathState>, { path, after, to }: Operation): void {
  if (to !== undefined) left.delete(to);
  if (judgedByState.has(after.type)) left.set(path, merge(left.get(path), after));
  else left.delete(path);
}

/** A later step may speak of the mode alone: what it does not name stays as it was. */
function merge(before: PathState | undefined, after: PathState): PathState {
  if (before === undefined || before.type !== after.type) return after;
  const named = Object.entries(after).filter(([, value]) => value !== undefined);
  return { ...before, ...Object.fromEntries(named) } as PathState;
}

/** The step from `found` to `wanted`, or why there is none. */
export function towards(
  path: AbsolutePath,
  found: PathState,
  wanted: PathState,
  generation: number,
  view: JournalView,
): Operation | string {
  const base = {
    path,
    before: found,
    after: wanted,
    why: `as it was before generation ${generation} found it changed`,
  };
  if (wanted.type === "link") {
    if (found.type === "link") return { ...base, op: "replace_link" };
    return found.type === "absent" ? { ...base, op: "create_link" } : "something else is there";
  }
  if (wanted.type === "directory") {
    if (found.type === "absent") return { ...base, op: "make_dir" };
    if (found.type !== "directory") return "something else is there";
    const isOwner = wanted.mode === undefined || wanted.mode === found.mode;
    return { ...base, op: isOwner ? "set_owner" : "set_mode" };
  }
  const sha256 = wanted.type === "file" ? wanted.sha256 : undefined;
  const content = sha256 === undefined ? undefined : view.content(sha256);
  if (content === undefined) return "its former content is no longer kept";
  const encoded = Buffer.from(content).toString("base64");
  return { ...base, op: "write_file", content: encoded, contentEncoding: "base64" };
}
