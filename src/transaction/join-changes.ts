// Joins what a way back over several generations does to one path into one step, so that no reader sees the states
// between and nothing is done that is taken back in the same plan.

import { isWithin } from "../core/index.ts";
import type { Operation } from "./operation.ts";
import { matches } from "./state.ts";

const linkOps: ReadonlySet<string> = new Set(["create_link", "replace_link", "remove_link"]);
const fileOps: ReadonlySet<string> = new Set(["write_file", "remove_file"]);
const plainOps: ReadonlySet<string> = new Set([
  ...linkOps,
  ...fileOps,
  "make_dir",
  "remove_dir",
  "set_mode",
  "set_owner",
  "set_value",
]);

interface Span {
  readonly first: Operation;
  last: Operation;
  /** Every operation on the path is one whose states say all there is to know. */
  plain: boolean;
}

/** @param operations a possible sequence; what it amounts to stays the same */
export function joinChanges(operations: readonly Operation[]): Operation[] {
  const moves = operations.filter(({ op }) => !plainOps.has(op));
  const touched = moves.flatMap(({ path, to }) => (to === undefined ? [path] : [path, to]));
  const moved = (path: string) =>
    touched.some((other) => isWithin(path, other) || isWithin(other, path));
  const spans = spansOf(operations, moved);
  const needed = operations.filter(({ path }) => {
    const span = spans.get(path);
    return span === undefined || !span.plain || !isNothing(span.first, span.last);
  });
  return joinContents(needed);
}

function spansOf(
  operations: readonly Operation[],
  moved: (path: string) => boolean,
): Map<string, Span> {
  const spans = new Map<string, Span>();
  for (const operation of operations) {
    const span = spans.get(operation.path);
    if (span === undefined) {
      spans.set(operation.path, {
        first: operation,
        last: operation,
        plain: !moved(operation.path),
      });
    } else span.last = operation;
  }
  return spans;
}

function isNothing(first: Operation, last: Operation): boolean {
  return (
    first !== last && first.before.type === last.after.type && matches(first.before, last.after)
  );
}

/** Several changes of one link, or of one file, become the last one, from what the first one finds. */
function joinContents(operations: readonly Operation[]): Operation[] {
  const positions = new Map<string, number[]>();
  for (const [at, { path }] of operations.entries()) {
    const known = positions.get(path);
    if (known === undefined) positions.set(path, [at]);
    else known.push(at);
  }
  return operations.flatMap((operation, at) => {
    const where = positions.get(operation.path) ?? [];
    const first = operations[where[0] ?? at];
    if (where.length < 2 || first === undefined || !mayJoin(operations, where)) return [operation];
    return at === where.at(-1) ? [joined(first, operation)] : [];
  });
}

/** All of one sort, and the directory above stays where it is between the first and the last. */
function mayJoin(operations: readonly Operation[], where: readonly number[]): boolean {
  const all = where.map((at) => operations[at]).filter((operation) => operation !== undefined);
  const [first] = all;
  const family = [linkOps, fileOps].find((ops) => first !== undefined && ops.has(first.op));
  if (first === undefined || family === undefined) return false;
  const between = operations.slice(where[0], where.at(-1));
  return (
    all.every(({ op }) => family.has(op)) &&
    !between.some((other) => !isContent(other) && isWithin(first.path, other.path))
  );
}

const isContent = ({ op }: Operation) => linkOps.has(op) || fileOps.has(op);

function joined(first: Operation, last: Operation): Operation {
  const { before } = first;
  if (last.op === "write_file") return { ...last, before };
  if (last.after.type === "absent") {
    return { ...last, op: before.type === "link" ? "remove_link" : "remove_file", before };
  }
  return { ...last, op: before.type === "absent" ? "create_link" : "replace_link", before };
}
