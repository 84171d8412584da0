// Takes out of a sequence of operations what a later one turns back. A way back that crosses an earlier way back would
// redo and undo all of it; recorded as it is, the next one would do so twice, and so on.

import { parentOf } from "../core/index.ts";
import type { Operation } from "./operation.ts";
import { matches } from "./state.ts";

interface Live {
  readonly operation: Operation;
  readonly at: number;
}

/**
 * Drops pairs of an operation and its reverse, where nothing between them happened to the path, to what it lies in or
 * to what lies in it. Time and memory grow with the number of operations times the depth of their paths.
 * @param operations a possible sequence; what it amounts to stays the same
 */
export function cancelPairs(operations: readonly Operation[]): Operation[] {
  const kept = new Set<number>();
  /** By path: what happened there and was not turned back. */
  const own = new Map<string, Live[]>();
  /** By directory: when something happened below it that was not turned back. */
  const below = new Map<string, number[]>();
  for (const [at, operation] of operations.entries()) {
    const former = own.get(turnedPath(operation))?.at(-1);
    const isPair = former !== undefined && isReverse(former.operation, operation);
    if (isPair && isUntouchedSince(former, own, below)) {
      kept.delete(former.at);
      forget(former, own, below);
    } else {
      kept.add(at);
      remember({ operation, at }, own, below);
    }
  }
  return shortenRuns(operations.filter((_operation, at) => kept.has(at)));
}

/** A command that is run for its effect on somebody else (a daemon that reads its files again): no state changes. */
const isSignal = ({ op, before, after }: Operation) =>
  op === "run_command" && before.type === after.type && matches(before, after);

/** Of signals to the same ear with nothing between them, the first and the last are enough. */
function shortenRuns(operations: readonly Operation[]): Operation[] {
  return operations.filter((operation, at) => {
    const isSame = (other: Operation | undefined) =>
      other !== undefined && isSignal(other) && other.path === operation.path;
    return !(isSignal(operation) && isSame(operations[at - 1]) && isSame(operations[at + 1]));
  });
}

/** The paths an operation is about: a move has two. */
const pathsOf = ({ path, to }: Operation) => (to === undefined ? [path] : [path, to]);

/** Where the operation that this one turns back would be found. */
const turnedPath = ({ op, path, to }: Operation) => (op === "move_aside" ? (to ?? path) : path);

function isReverse(former: Operation, operation: Operation): boolean {
  if (isSignal(operation)) return false; // it stands where it stands because of what is between
  if (former.op === "move_aside" || operation.op === "move_aside") {
    return (
      former.op === operation.op && former.path === operation.to && former.to === operation.path
    );
  }
  const { after, before } = operation;
  if (former.before.type !== after.type || former.after.type !== before.type) return false;
  if (!matches(former.before, after) || !matches(former.after, before)) return false;
  return sameWords(former.command?.apply, operation.command?.undo);
}

const sameWords = (a: readonly string[] | undefined, b: readonly string[] | undefined) =>
  JSON.stringify(a) === JSON.stringify(b);

function isUntouchedSince(
  { at, operation }: Live,
  own: ReadonlyMap<string, readonly Live[]>,
  below: ReadonlyMap<string, readonly number[]>,
): boolean {
  return pathsOf(operation).every(
    (path) =>
      (below.get(path)?.at(-1) ?? -1) <= at &&
      [path, ...ancestorsOf(path)].every((each) => (own.get(each)?.at(-1)?.at ?? -1) <= at),
  );
}

function remember(live: Live, own: Map<string, Live[]>, below: Map<string, number[]>): void {
  for (const path of pathsOf(live.operation)) {
    push(own, path, live);
    for (const ancestor of ancestorsOf(path)) push(below, ancestor, live.at);
  }
}

function forget(live: Live, own: Map<string, Live[]>, below: Map<string, number[]>): void {
  for (const path of pathsOf(live.operation)) {
    own.get(path)?.pop(); // the newest there: nothing happened to the path since
    for (const ancestor of ancestorsOf(path)) {
      const times = below.get(ancestor) ?? [];
      times.splice(times.lastIndexOf(live.at), 1); // near the end: what is newer was turned back already, mostly
    }
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function ancestorsOf(path: string): string[] {
  const found: string[] = [];
  for (let at = path; at !== "/";) {
    at = parentOf(at);
    found.push(at);
  }
  return found;
}
