// desired layout - what is there = plan. Pure: the same input gives the same plan, to the byte. What it decides is
// data: steps, conflicts, and what is left for a person.

import { isWithin, parentOf, type AbsolutePath } from "../core/index.ts";
import type { Conflict, Operation, Plan } from "../transaction/index.ts";
import type { ActualLayout } from "./actual.ts";
import type { DesiredDirectory, DesiredLayout } from "./desired.ts";
import type { LayoutHistory } from "./history.ts";
import { planDirectories } from "./plan-directories.ts";
import { planFiles } from "./plan-files.ts";
import { planLeftovers, planLinks, planObsolete } from "./plan-links.ts";

/** Something that the plan does not mend, and what a person can do. */
export interface Remainder {
  readonly path: AbsolutePath;
  /** Stable code for `explain`. */
  readonly code: string;
  readonly state: string;
  readonly message: string;
  readonly hint: string;
  /** What many remainders share, so that a person reads it once: why a storage root is blocked. */
  readonly reason?: string | undefined;
  /** `blocked`: the host cannot; `cache`: a cache link alone; `decision`: a person has to say so. */
  readonly because: "blocked" | "cache" | "decision" | "skipped";
}

export interface PlanScope {
  readonly directories: boolean;
  readonly links: boolean;
  readonly files: boolean;
}

export interface PlanRequest {
  readonly command: string;
  readonly desired: DesiredLayout;
  readonly actual: ActualLayout;
  readonly history: LayoutHistory;
  readonly scope: PlanScope;
  /** `strict`: a conflict stops everything. `mend`: what can be mended is, the rest is left for a person. */
  readonly manner: "strict" | "mend";
  readonly adopt: boolean;
  /** Links whose place cannot be adopted although it was asked for, with the reason. */
  readonly notAdoptable?: ReadonlyMap<string, string> | undefined;
  readonly moveAside: boolean;
  readonly force: boolean;
  readonly verifyTargets: boolean;
  readonly createMissingTargets: boolean;
  /** Owners are compared and set: root, or a caller who owns the real host's tree. */
  readonly setOwners: boolean;
  readonly annotations: Readonly<Record<string, unknown>>;
}

export interface LayoutPlan {
  readonly plan: Plan;
  readonly remainders: readonly Remainder[];
}

/** What the parts of the planner share while one plan is made. */
export interface Draft {
  readonly request: PlanRequest;
  readonly directories: ReadonlyMap<string, DesiredDirectory>;
  /** Directories that exist or that a step makes. */
  readonly usable: Map<string, boolean>;
  readonly makeDirs: Operation[];
  readonly operations: Operation[];
  readonly conflicts: Conflict[];
  readonly remainders: Remainder[];
  readonly warnings: string[];
  unchanged: number;
}

/** Computes the plan. */
export function planLayout(request: PlanRequest): LayoutPlan {
  const { desired, scope } = request;
  const draft: Draft = {
    request,
    directories: new Map(desired.directories.map((directory) => [directory.path, directory])),
    usable: new Map(),
    makeDirs: [],
    operations: [],
    conflicts: [],
    remainders: [],
    warnings: [...desired.warnings],
    unchanged: 0,
  };
  if (scope.directories) planDirectories(draft);
  planLeftovers(draft);
  if (scope.links) {
    planLinks(draft);
    planObsolete(draft);
  }
  if (scope.files) planFiles(draft);
  const makeDirs = draft.makeDirs.sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    plan: {
      command: request.command,
      operations: [...makeDirs, ...draft.operations],
      conflicts: draft.conflicts,
      unchanged: draft.unchanged,
      onTheHost: [],
      warnings: draft.warnings,
      annotations: request.annotations,
    },
    remainders: draft.remainders,
  };
}

/** A problem that stops a strict plan and is listed by a mending one. */
export function refuse(draft: Draft, remainder: Remainder): void {
  draft.remainders.push(remainder);
  if (draft.request.manner === "mend" || remainder.because !== "decision") return;
  const { path, code, message, hint } = remainder;
  draft.conflicts.push({ path, code, message, hint });
}

/** What to do about a storage root that is not there, is another one, or hangs. */
export function blockedHint(reason: string): string {
  return reason.includes("not answer")
    ? "see `dmesg` and `findmnt`; mount it anew (`umount -l`, `mount`), then run the command again"
    : "mount the storage (`findmnt`, `mount -a`), then run the command again";
}

/**
 * Makes sure that `path` is a directory when its turn comes, parents included: there already, or made by this plan.
 * @param reason why it is needed, for the step
 * @returns false where it cannot be had; the reason is among the remainders then
 */
export function needDirectory(draft: Draft, path: AbsolutePath, reason: string): boolean {
  const known = draft.usable.get(path);
  if (known !== undefined) return known;
  const usable = makeUsable(draft, path, reason);
  draft.usable.set(path, usable);
  return usable;
}

function makeUsable(draft: Draft, path: AbsolutePath, reason: string): boolean {
  const found = draft.request.actual.at(path);
  const wanted = draft.directories.get(path);
  if (found.kind === "state" && found.type === "directory") {
    // seen through a link above it is no place to work in: the engine opens no path through links
    const above = parentOf(path);
    return !draft.directories.has(above) || needDirectory(draft, above, reason);
  }
  if (wanted === undefined) return found.kind === "absent" && isAboveEverything(draft, path);
  if (found.kind === "absent") {
    if (wanted.role === "home" || !needDirectory(draft, parentOf(path), reason)) return false;
    draft.makeDirs.push(makeDir(wanted, reason, draft.request.setOwners));
    return true;
  }
  if (found.kind === "state") {
    const { home } = draft.request.desired;
    // what only the cache links need never stops the rest
    const onlyCache = wanted.role === "home" || (home !== undefined && isWithin(path, home));
    refuse(draft, notADirectory(path, found.type, onlyCache ? "cache" : "decision"));
  }
  return false;
}

/** Whether something above `path` is among the remainders: then that is what a person has to look at. */
export function isExplained(draft: Draft, path: AbsolutePath): boolean {
  return draft.remainders.some((remainder) => isWithin(path, remainder.path));
}

/** `/`, or the directory of `--root`: nobody asked about it, it is there. */
function isAboveEverything(draft: Draft, path: string): boolean {
  return draft.request.desired.directories.every((each) => isWithin(each.path, path));
}

export function makeDir(directory: DesiredDirectory, why: string, setOwners: boolean): Operation {
  const { path, mode, owner } = directory;
  return {
    op: "make_dir",
    path,
    why,
    before: { type: "absent" },
    after: { type: "directory", mode, ...(setOwners && owner) },
  };
}

function notADirectory(path: AbsolutePath, type: string, because: Remainder["because"]): Remainder {
  const isLink = type === "link";
  return {
    path,
    code: isLink ? "SYMLINK_IN_PATH" : "NOT_A_DIRECTORY",
    state: "not_a_directory",
    message: `${path} should be a directory and is a ${isLink ? "symbolic link" : type}`,
    hint: isLink
      ? `set the path to what it resolves to (\`realpath ${path}\`), or move the link away`
      : `look at it, move it away (\`mv ${path} ${path}.old\`), then run the command again`,
    because,
  };
}
