// From a plan to steps: each operation completed with what is there now (its full former state, its contents), as
// it will be when its turn comes. Looks, and changes nothing.

import { parentOf, type AbsolutePath } from "../core/index.ts";
import { sha256Hex } from "../system/index.ts";
import { MissingNames } from "../system/missing-names.ts";
import type { Operation, PathState } from "./operation.ts";
import { contentLimitBytes, hostChanged, matches, observe, observeEntry } from "./state.ts";
import type { Step, StepContext } from "./step.ts";
import { stepKinds } from "./steps/index.ts";

export interface PreparedPlan {
  readonly steps: readonly Step[];
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

/**
 * Completes the operations of a plan in order. A path that an earlier step changes is taken as that step leaves it.
 * @throws code HOST_CHANGED if a path is not as the plan expects: nothing was touched
 */
export function preparePlan(context: StepContext, operations: readonly Operation[]): PreparedPlan {
  const steps: Step[] = [];
  const contents = new Map<string, Uint8Array>();
  const host = new ProjectedHost(context, contents);
  for (const [seq, operation] of operations.entries()) {
    const kind = stepKinds[operation.op];
    const { found, projected } = host.observe(operation);
    if (!matches(found, operation.before)) {
      throw hostChanged(operation.path, operation.before, found);
    }
    const former = () => host.contentOf(operation, found);
    const prepared = kind.prepare(context, operation, found, { projected, former });
    for (const [sha256, content] of prepared.contents ?? []) contents.set(sha256, content);
    steps.push({ seq, operation: prepared.operation, undo: prepared.undo });
    host.advance(prepared.operation, found);
  }
  return { steps, contents };
}

/** The host as it will be after the steps so far: as on disk, but for the paths they change. */
class ProjectedHost {
  readonly #states = new Map<string, PathState>();
  /** Directories that are not on disk yet: nothing is below them but what steps put there. */
  readonly #fresh = new Set<string>();
  /** Where something that a step moves lies on disk still. */
  readonly #origins = new Map<string, AbsolutePath>();
  readonly #missing = new MissingNames();

  constructor(
    private readonly context: StepContext,
    private readonly contents: ReadonlyMap<string, Uint8Array>,
  ) {}

  observe(operation: Operation): { found: PathState; projected: boolean } {
    const { path } = operation;
    const { needsDigest } = stepKinds[operation.op];
    const known = this.#states.get(path);
    if (known === undefined) {
      if (this.#fresh.has(parentOf(path))) return { found: { type: "absent" }, projected: true };
      const found =
        stepKinds[operation.op].observe?.(this.context, operation) ??
        observe(this.context.tree, path, needsDigest, this.#missing);
      return { found, projected: false };
    }
    // A file that was only moved so far was not hashed then.
    const origin = this.#origins.get(path);
    if (needsDigest && known.type === "file" && known.sha256 === undefined) {
      const there = observe(this.context.tree, origin ?? path, true);
      return { found: { ...there, ...definedOnly(known) }, projected: true };
    }
    return { found: known, projected: true };
  }

  contentOf({ path }: Operation, found: PathState): Uint8Array {
    const sha256 = found.type === "file" ? found.sha256 : undefined;
    const known = sha256 === undefined ? undefined : this.contents.get(sha256);
    if (known !== undefined) return known;
    const { directory, name } = this.context.tree.locate(this.#origins.get(path) ?? path);
    const bytes = directory.readFile(name, contentLimitBytes);
    if (sha256Hex(bytes) === sha256) return bytes;
    throw hostChanged(path, found, observeEntry(directory, name, true));
  }

  advance(operation: Operation, found: PathState): void {
    const { op, path, to, after } = operation;
    // where nothing was there is nothing to keep of it: ten thousand new links need no copies
    const state = found.type === "absent" ? after : { ...found, ...definedOnly(after) };
    this.#states.set(path, state);
    if (op === "make_dir") this.#fresh.add(path);
    if (op !== "move_aside" || to === undefined) return;
    this.#states.set(to, found);
    this.#origins.set(to, this.#origins.get(path) ?? path);
    if (found.type === "directory") this.#fresh.add(to);
  }
}

/** The members of `state` that are set: a set_mode keeps the owner that was there. */
function definedOnly(state: PathState): PathState {
  const entries = Object.entries(state).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries) as unknown as PathState;
}
