// The way back to an earlier generation, as a plan: every later step turned round, last first, judged against what
// is on disk now. Only what we made and is still as we left it is touched; everything else is a conflict.

import { CitadelError, joinPath, nameOf, parentOf, type AbsolutePath } from "../core/index.ts";
import type { DirectoryTree } from "../system/directory-tree.ts";
import { cancelPairs } from "./cancel-pairs.ts";
import { invert } from "./invert.ts";
import { joinChanges } from "./join-changes.ts";
import type { JournalView } from "./journal-view.ts";
import type { Conflict, Operation, PathState, Plan } from "./operation.ts";
import { describeState, matches, observe } from "./state.ts";

/**
 * Plans the way from now to the state after `generation` (0: before the first set-up). Taking the newest generation
 * back gives what it found, also where somebody had changed things since the one before: what a person wants back
 * after `--force` is the link that was replaced.
 * @param stays whether a file that lies in a directory of ours is ours too and not to be removed (a log): its directory
 *   stays with a warning instead of being a conflict
 * @throws code GENERATION_UNKNOWN (2), ROLLBACK_PAST_DAMAGE or ROLLBACK_TOO_OLD (6)
 */
export function planRollback(
  view: JournalView,
  tree: DirectoryTree,
  generation: number,
  stays: (path: AbsolutePath) => boolean = () => false,
): Plan {
  const latest = view.generation;
  assertReachable(view, generation, latest);
  const planner = new RollbackPlanner(view, tree, stays);
  for (let at = latest; at > generation; at -= 1) {
    for (const step of view.stepsOf(at).reverse()) {
      planner.add(step.operation, at);
    }
  }
  const now = view.latestAnnotations();
  const then = generation === 0 ? {} : view.annotationsAt(generation);
  const dropped = Object.keys(now).filter((key) => !(key in then));
  return {
    command: `rollback ${generation}`,
    operations: joinChanges(cancelPairs(planner.operations)),
    conflicts: planner.conflicts,
    unchanged: planner.unchanged,
    onTheHost: [],
    warnings: planner.kept,
    annotations: { ...then, ...Object.fromEntries(dropped.map((key) => [key, null])) },
  };
}

/**
 * Plans the way back of some generations only (`tune rollback`), newest first; what others did in between stays, and
 * is a conflict where it touched the same path.
 */
export function planUndoOf(
  view: JournalView,
  tree: DirectoryTree,
  command: string,
  generations: readonly number[],
): Plan {
  const planner = new RollbackPlanner(view, tree, () => false);
  for (const generation of [...generations].sort((a, b) => b - a)) {
    for (const step of view.stepsOf(generation).reverse()) planner.add(step.operation, generation);
  }
  return {
    command,
    operations: joinChanges(cancelPairs(planner.operations)),
    conflicts: planner.conflicts,
    unchanged: planner.unchanged,
    onTheHost: [],
    warnings: [],
  };
}

function assertReachable(view: JournalView, generation: number, latest: number): void {
  if (!Number.isInteger(generation) || generation < 0 || generation > latest) {
    throw new CitadelError({
      kind: "usage",
      code: "GENERATION_UNKNOWN",
      message: `there is no generation ${generation}; the newest is ${latest}`,
      hint: "see `citadel-agent history`",
    });
  }
  const known = new Set(view.history().map(({ id }) => id));
  for (let at = generation + 1; at <= latest; at += 1) {
    if (known.has(at)) continue;
    throw tooOld("ROLLBACK_TOO_OLD", `the changes of generation ${at} are no longer kept`);
  }
  const { setAside } = view;
  const oldest = Math.min(...known);
  if (setAside !== undefined && (known.size === 0 || generation < oldest)) {
    throw tooOld("ROLLBACK_PAST_DAMAGE", `what was before lies in a damaged journal (${setAside})`);
  }
}

function tooOld(code: string, message: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code,
    message,
    hint: "choose a later generation (`citadel-agent history`), or mend with `citadel-agent repair`",
  });
}

class RollbackPlanner {
  readonly operations: Operation[] = [];
  readonly conflicts: Conflict[] = [];
  /** Directories of ours that stay because of what they hold, with the reason. */
  readonly kept: string[] = [];
  unchanged = 0;
  /** What each path will be after the operations so far; not in the map: as on disk. */
  readonly #projected = new Map<string, PathState>();

  constructor(
    private readonly view: JournalView,
    private readonly tree: DirectoryTree,
    private readonly stays: (path: AbsolutePath) => boolean,
  ) {}

  add(done: Operation, generation: number): void {
    if (done.op === "remove_leftover") return; // a temporary of ours: nobody wants it back
    const found = this.#stateOf(done);
    if (matches(found, done.before) && !matches(found, done.after)) {
      this.unchanged += 1;
      return;
    }
    if (done.before.type === found.type && found.type === "absent") return;
    if (done.op === "make_dir" && matches(found, done.after) && this.#keeps(done.path)) return;
    const reason = this.#whyNot(done, found);
    const inverse = reason === undefined ? invert(done, found, generation, this.view) : undefined;
    if (inverse === undefined || typeof inverse === "string") {
      this.#conflict(done, found, reason ?? inverse ?? "this step has no way back");
      return;
    }
    this.operations.push(inverse);
    this.#projected.set(done.path, inverse.op === "move_aside" ? done.before : inverse.after);
    if (done.op === "move_aside" && done.to !== undefined) {
      this.#projected.set(done.to, { type: "absent" });
      this.#projected.set(done.path, done.before);
    }
  }

  #stateOf(done: Operation): PathState {
    const known = this.#projected.get(done.path);
    if (known !== undefined) return known;
    // What only the kernel or a command can tell is checked when the step's turn comes.
    if (done.op === "set_value" || done.op === "run_command") return done.after;
    return observe(this.tree, done.path, done.after.type === "file");
  }

  #whyNot(done: Operation, found: PathState): string | undefined {
    if (!matches(found, done.after)) {
      return `it is ${describeState(found)}, we left ${describeState(done.after)}`;
    }
    if (done.op === "make_dir") return this.#whyNotEmpty(done.path);
    if (done.op === "move_aside" && done.to !== undefined) {
      const aside = this.#projected.get(done.to) ?? observe(this.tree, done.to, false);
      if (aside.type !== done.before.type) return `${done.to} is ${describeState(aside)}`;
    }
    return undefined;
  }

  readonly #keptPaths = new Set<string>();

  /** A directory that holds nothing but what stays, stays too: it is no reason to refuse the rollback. */
  #keeps(path: AbsolutePath): boolean {
    const inside = [...this.#contentOf(path)].map((name) => joinPath(path, name));
    const staying = inside.filter((each) => this.#keptPaths.has(each) || this.stays(each));
    if (staying.length === 0 || staying.length < inside.length) return false;
    this.#keptPaths.add(path);
    this.kept.push(`${path} stays: it holds ${staying.map(nameOf).join(", ")}`);
    return true;
  }

  #contentOf(path: AbsolutePath): Set<string> {
    const directory = this.tree.tryOpen(path);
    const inside = new Set(directory?.list().map((name) => name.toString()));
    for (const [other, state] of this.#projected) {
      if (parentOf(other) !== path) continue;
      if (state.type === "absent") inside.delete(nameOf(other));
      else inside.add(nameOf(other));
    }
    return inside;
  }

  #whyNotEmpty(path: AbsolutePath): string | undefined {
    const inside = this.#contentOf(path);
    const [first] = inside;
    if (first === undefined) return undefined;
    return `it is not empty: it holds ${first}${inside.size > 1 ? ` and ${inside.size - 1} more` : ""}`;
  }

  #conflict(done: Operation, found: PathState, reason: string): void {
    this.conflicts.push({
      path: done.path,
      code: "ROLLBACK_NOT_OURS",
      message: `${done.path} cannot be taken back: ${reason}`,
      hint: "put it back as the agent left it, or move it away, then plan the rollback again",
      found,
    });
  }
}
