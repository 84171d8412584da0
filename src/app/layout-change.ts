// From a wish (`links create --adopt`) to a change of the host: what must hold first, the plan, the transaction.
// Commands and the daemon go through here, so that all of them refuse the same things.

import { CitadelError, ExitCode, isWithin, parentOf, type AbsolutePath } from "../core/index.ts";
import {
  judgeRoot,
  planLayout,
  type LayoutPlan,
  type PlanScope,
  type Remainder,
  type StorageRoot,
} from "../layout/index.ts";
import { survey, type Question } from "../system/survey/index.ts";
import { planHash, type Engine, type EngineState } from "../transaction/index.ts";
import type { ChangeReport, Operation, Plan } from "../transaction/index.ts";
import type { App } from "./app.ts";
import { mountsContext, viewLayout, type LayoutView } from "./layout.ts";

export interface LayoutWish {
  /** As a person typed it: `links create --force`. */
  readonly command: string;
  readonly scope: PlanScope;
  readonly manner: "strict" | "mend";
  readonly adopt?: boolean | undefined;
  readonly moveAside?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly linksInside?: boolean | undefined;
  readonly acceptPaths?: boolean | undefined;
  readonly acceptDisk?: boolean | undefined;
  /** Every storage root has to be usable: `setup`. */
  readonly needsAllRoots?: boolean | undefined;
  /** Ownership repair was asked for: an owner that does not exist is an error, not a warning. */
  readonly insistOnOwners?: boolean | undefined;
  /** Links whose place cannot be adopted, with the reason. */
  readonly notAdoptable?: ReadonlyMap<string, string> | undefined;
  /** Drops steps of the plan: the daemon mends links of ours only. */
  readonly keepStep?: ((step: Operation) => boolean) | undefined;
  /** Steps beside the layout's own: files below it, `repair --permissions --files`. */
  readonly moreSteps?: ((view: LayoutView) => Promise<readonly Operation[]>) | undefined;
}

export interface LayoutPreview extends LayoutPlan {
  readonly hash: string;
  readonly view: LayoutView;
}

/**
 * Computes what a wish would do, from the state that is given.
 * @throws codes PATHS_CHANGED and WRONG_DISK (6), NOT_MOUNTED (7), PERMISSION and OWNER_MISSING (1)
 */
export async function previewLayout(
  app: App,
  state: EngineState,
  wish: LayoutWish,
  signal?: AbortSignal,
): Promise<LayoutPreview> {
  const { scope, linksInside, acceptDisk } = wish;
  const looks = { directories: true, links: scope.links, files: scope.files };
  const view = await viewLayout(app, state, { scope: looks, linksInside, acceptDisk, signal });
  assertChangeable(view, wish);
  const { isRoot } = app.system.environment;
  const { links } = view.options;
  const made = planLayout({
    command: wish.command,
    desired: view.desired,
    actual: view.actual,
    history: view.history,
    scope,
    manner: wish.manner,
    adopt: wish.adopt ?? false,
    notAdoptable: wish.notAdoptable,
    moveAside: wish.moveAside ?? false,
    force: (wish.force ?? false) || links.forceRecreate,
    verifyTargets: links.verifyTargets,
    createMissingTargets: links.createMissingTargets,
    setOwners: isRoot,
    annotations: view.annotations,
  });
  const more = (await wish.moreSteps?.(view)) ?? [];
  const plan = finishPlan(app, wish, made.plan, more, view);
  if (!isRoot) await assertRights(plan, app.system.environment.uid, signal);
  return { plan, remainders: made.remainders, hash: planHash(plan), view };
}

/**
 * What an adoption would meet when its turn comes, found beforehand: the plan alone does not look into the trees.
 * @returns one remainder for each adoption that would be refused
 */
export function foreseeAdoptions(engine: Engine, { plan, view }: LayoutPreview): Remainder[] {
  return plan.operations.flatMap((operation): Remainder[] => {
    if (operation.op !== "adopt") return [];
    try {
      engine.rehearse([operation]);
      return [];
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown;
      const { code, message, hint = "look at both places" } = thrown;
      const isCache = view.desired.links.some(
        ({ path, role }) => path === operation.path && role === "cache",
      );
      const because = isCache ? "cache" : "decision";
      return [{ path: operation.path, code, state: "not_a_link", message, hint, because }];
    }
  });
}

function finishPlan(
  app: App,
  wish: LayoutWish,
  plan: Plan,
  more: readonly Operation[],
  view: LayoutView,
): Plan {
  const warnings = [...view.warnings, ...plan.warnings];
  const { isRoot } = app.system.environment;
  const { hostPaths } = app.system;
  if (!isRoot && view.user.ownership !== undefined && !hostPaths.relocated) {
    warnings.push("owners are not set: only root can give files away");
  }
  const operations = [...plan.operations, ...more];
  const keep = wish.keepStep;
  return {
    ...plan,
    operations: keep === undefined ? operations : operations.filter(keep),
    warnings,
  };
}

export interface LayoutChangeRequest {
  /** `--plan-hash`: the plan has to be exactly this one. */
  readonly planHash?: string | undefined;
  /** What a person said yes to just now. */
  readonly confirmedHash?: string | undefined;
  readonly lockTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((path: string, bytes: number, totalBytes: number) => void) | undefined;
}

export interface LayoutChange {
  readonly report: ChangeReport;
  readonly preview: LayoutPreview;
}

/**
 * Plans under the lock and applies, as one transaction. A cache link whose place cannot be adopted never stops the
 * rest: the change is made without it, and it is among the remainders.
 * @throws as `previewLayout` and `Engine.change`
 */
export async function changeLayout(
  app: App,
  engine: Engine,
  wish: LayoutWish,
  request: LayoutChangeRequest,
): Promise<LayoutChange> {
  let preview: LayoutPreview | undefined;
  const { planHash: wanted, confirmedHash, ...rest } = request;
  try {
    const report = await engine.change({
      command: wish.command,
      plan: async (state) => {
        preview = await previewLayout(app, state, wish, request.signal);
        return preview.plan;
      },
      guard: () => preview !== undefined && assertStillMounted(app, preview.view),
      expectedHash: wanted ?? confirmedHash,
      ...rest,
    });
    if (preview === undefined) throw new TypeError("the engine applied without planning");
    return { report, preview };
  } catch (thrown) {
    const without = wanted === undefined ? withoutCache(thrown, preview, wish) : undefined;
    if (without === undefined) throw thrown;
    // what is done now is a part of what a person saw
    return changeLayout(app, engine, without, rest);
  }
}

/** The same wish without the cache link that could not be adopted; undefined where the error is another one. */
function withoutCache(
  thrown: unknown,
  preview: LayoutPreview | undefined,
  wish: LayoutWish,
): LayoutWish | undefined {
  if (!(thrown instanceof CitadelError) || thrown.code !== "ADOPT_CONFLICT") return undefined;
  const { path: at, message } = thrown;
  const link = preview?.view.desired.links.find(
    ({ path, role }) => role === "cache" && at !== undefined && isWithin(at, path),
  );
  if (link === undefined || wish.notAdoptable?.has(link.path) === true) return undefined;
  return { ...wish, notAdoptable: new Map([...(wish.notAdoptable ?? []), [link.path, message]]) };
}

/** What must hold before anything is changed, whatever the plan is. */
function assertChangeable(view: LayoutView, wish: LayoutWish): void {
  if (view.changedPaths.length > 0 && wish.acceptPaths !== true) throw pathsChanged(view);
  const wrong = view.roots.find((root) => root.state === "wrong_disk");
  if (wrong !== undefined) {
    throw new CitadelError({
      kind: "conflict",
      code: "WRONG_DISK",
      message: `${wrong.path} is not the disk of the last set-up: ${wrong.reason}`,
      path: wrong.path,
      hint: "mount the right disk; or accept this one with `citadel-agent setup --accept-disk`",
    });
  }
  const missing = view.roots.filter((root) => root.state !== "ok");
  if (missing.length > 0 && wish.needsAllRoots === true) throw notMounted(missing);
  if (wish.insistOnOwners === true && view.user.ownership === undefined) {
    throw new CitadelError({
      kind: "not-found",
      code: "OWNER_MISSING",
      message: view.user.problem ?? "the owner of the layout does not exist",
      hint: `create it (\`useradd --system --create-home ${view.options.links.owner}\`), or set SYMLINK_SYMLINK_OWNER`,
    });
  }
}

function pathsChanged(view: LayoutView): CitadelError {
  const lines = view.changedPaths.map(
    ({ name, recorded, now }) => `${name}: ${recorded} -> ${now}`,
  );
  return new CitadelError({
    kind: "conflict",
    code: "PATHS_CHANGED",
    message: `the paths are not those of the last generation (${lines.join("; ")})`,
    hint: "see where they come from with `citadel-agent config show --origin`; `citadel-agent setup --accept-paths` takes the new ones",
    details: { paths: view.changedPaths },
  });
}

/** @param missing roots that cannot be used */
export function notMounted(
  missing: readonly Pick<StorageRoot, "path" | "mountpoint" | "reason" | "state">[],
): CitadelError {
  const paths = missing.map(({ path }) => path);
  const unclear = missing.every(
    ({ mountpoint, state }) => state === "unknown" && mountpoint !== undefined,
  );
  return new CitadelError({
    kind: "not-mounted",
    code: "NOT_MOUNTED",
    message: `storage is not usable: ${missing.map(({ path, reason }) => `${path} (${reason})`).join(", ")}`,
    path: paths[0],
    hint: unclear
      ? "run the command as root; if it is the right disk, `citadel-agent setup --accept-disk` takes it"
      : `mount it (\`mount ${paths[0]}\`, \`findmnt --verify\`), then run the command again`,
    details: { paths },
  });
}

/** Between survey and apply a disk can vanish: what was mounted has to be mounted still. */
function assertStillMounted(app: App, view: LayoutView): void {
  const context = mountsContext(app, view.options, view.annotations);
  const lost = view.roots
    .filter((root) => root.state === "ok")
    .map((root) => judgeRoot(root.path, context))
    .filter((root) => root.state !== "ok");
  if (lost.length > 0) throw notMounted(lost);
}

/**
 * Checks that this user may do every step, before the first one.
 * @throws kind `permission`, code `PERMISSION`, that names every path
 */
async function assertRights(
  plan: Plan,
  uid: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const made = new Set<string>();
  const parents = new Map<AbsolutePath, AbsolutePath[]>();
  const refused: string[] = [];
  for (const { op, path, before } of plan.operations) {
    if (op === "make_dir") made.add(path);
    if (op === "set_mode" || op === "set_owner") {
      if ("uid" in before && before.uid !== undefined && before.uid !== uid) refused.push(path);
      continue;
    }
    const parent = parentOf(path);
    if (!made.has(parent)) parents.set(parent, [...(parents.get(parent) ?? []), path]);
  }
  const questions: Question[] = [...parents.keys()].map((path) => ({ kind: "access", path }));
  const answers = await survey(questions, { signal });
  for (const [at, paths] of [...parents.values()].entries()) {
    const answer = answers[at];
    const writable = answer?.kind === "access" && answer.write && answer.pass;
    const decidesLater = answer?.kind === "access" && answer.readOnly; // the step itself says EROFS, exit 7
    if (!writable && !decidesLater) refused.push(...paths);
  }
  if (refused.length === 0) return;
  const within = refused.filter((path) => !refused.some((o) => o !== path && isWithin(path, o)));
  throw new CitadelError({
    kind: "permission",
    code: "PERMISSION",
    message: `no right to change ${within.length === 1 ? "" : `${within.length} paths: `}${within.join(", ")}`,
    path: within[0],
    hint: "run the command as root (sudo)",
    details: { paths: refused },
  });
}

/** The exit code of a change with what it left. */
export function exitCodeOfRemainders(remainders: readonly Remainder[]): ExitCode {
  const has = (because: Remainder["because"]) => remainders.some((r) => r.because === because);
  if (has("blocked")) return ExitCode.hostCannot;
  if (has("decision")) return ExitCode.findings;
  return has("cache") ? ExitCode.partial : ExitCode.success;
}
