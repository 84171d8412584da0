// Links of a plan: what is made, replaced, adopted, moved aside or removed, and what is left alone and why.

import type { AbsolutePath } from "../core/index.ts";
import { parentOf } from "../core/index.ts";
import type { PathState } from "../transaction/index.ts";
import type { FoundState } from "../system/survey/question.ts";
import {
  classifyLink,
  isOwnedBy,
  leftoversIn,
  obsoleteLinks,
  resolutionAt,
  type LinkVerdict,
} from "./classify.ts";
import type { DesiredLink } from "./desired.ts";
import {
  blockedHint,
  isExplained,
  needDirectory,
  refuse,
  type Draft,
  type Remainder,
} from "./plan.ts";

/**
 * The name that `--move-aside` gives: with the time of the last change of what is moved, not of the command, so that
 * the plan that was shown is the plan that is done.
 */
export function asidePath(path: AbsolutePath, mtimeMs: number): AbsolutePath {
  const seconds = new Date(mtimeMs).toISOString().slice(0, 19);
  return `${path}.moved-${seconds.replace(/[-:]/g, "")}Z` as AbsolutePath;
}

/** Plans every link of the layout. */
export function planLinks(draft: Draft): void {
  const { desired, actual, history, setOwners } = draft.request;
  for (const { path, reason } of desired.skipped) {
    const message = `${path} is skipped: ${reason}`;
    const hint = "create the user, or set SYMLINK_SYMLINK_OWNER to one that exists";
    refuse(draft, {
      path,
      code: "LINK_SKIPPED",
      state: "skipped",
      message,
      hint,
      because: "skipped",
    });
  }
  for (const link of desired.links) {
    planLink(draft, link, classifyLink(link, actual, history, setOwners));
  }
}

function planLink(draft: Draft, link: DesiredLink, verdict: LinkVerdict): void {
  const { request } = draft;
  switch (verdict.state) {
    case "healthy":
      draft.unchanged += 1;
      return;
    case "wrong_owner":
      return setOwner(draft, link);
    case "blocked":
      return leave(draft, link, verdict, "BLOCKED", blockedHint(verdict.reason), "blocked");
    case "missing":
      return place(draft, link, "create_link", { type: "absent" }, "the link is missing");
    case "not_a_link":
      return replaceReal(draft, link, verdict);
    case "foreign": {
      if (request.force) return replace(draft, link, verdict);
      const hint = "look where it leads; `citadel-agent links create --force` replaces it";
      return leave(draft, link, verdict, "LINK_FOREIGN", hint, "decision");
    }
    default:
      return replace(draft, link, verdict);
  }
}

/** Not mended by this plan: a conflict, a blocked storage root, or a cache link that must not stop the rest. */
function leave(
  draft: Draft,
  link: DesiredLink,
  verdict: LinkVerdict,
  code: string,
  hint: string,
  because: Remainder["because"],
): void {
  const cache = because === "decision" && link.role === "cache";
  refuse(draft, {
    path: link.path,
    code,
    state: verdict.state,
    message: `${link.path}: ${verdict.reason}`,
    hint,
    reason: verdict.reason,
    because: cache ? "cache" : because,
  });
}

function setOwner(draft: Draft, link: DesiredLink): void {
  const found = draft.request.actual.at(link.path) as FoundState;
  const { uid, gid, target } = found;
  if (!draft.request.setOwners || link.owner === undefined || target === undefined) return;
  if (isOwnedBy(found, link.owner)) return;
  const before = { type: "link", target, uid, gid } as const;
  const why = `owner is ${uid}:${gid}, wanted ${link.owner.uid}:${link.owner.gid}`;
  const after = { type: "link", target, ...link.owner } as const;
  draft.operations.push({ op: "set_owner", path: link.path, why, before, after });
}

/** A link of ours that leads elsewhere, a dead one, or one that `--force` may replace. */
function replace(draft: Draft, link: DesiredLink, verdict: LinkVerdict): void {
  const found = draft.request.actual.at(link.path) as FoundState;
  const target = found.target ?? "";
  if (target === link.target) {
    // the link is right, what it names is not there or is no directory
    if (targetReady(draft, link, verdict)) setOwner(draft, link);
    return;
  }
  place(draft, link, "replace_link", { type: "link", target }, verdict.reason);
}

function place(
  draft: Draft,
  link: DesiredLink,
  op: "create_link" | "replace_link",
  before: PathState,
  why: string,
): void {
  const state = op === "create_link" ? "missing" : "broken";
  const verdict: LinkVerdict = { state, actual: null, reason: why };
  if (!targetReady(draft, link, verdict)) return;
  if (!parentReady(draft, link, verdict)) return;
  draft.operations.push({ op, path: link.path, why, before, after: linkState(draft, link) });
}

function linkState(draft: Draft, link: DesiredLink): PathState {
  const owner = draft.request.setOwners ? link.owner : undefined;
  return { type: "link", target: link.target, ...owner };
}

function parentReady(draft: Draft, link: DesiredLink, verdict: LinkVerdict): boolean {
  if (needDirectory(draft, parentOf(link.path), "links lie there")) return true;
  if (isExplained(draft, link.path)) return false;
  const lost = { ...verdict, reason: `its directory ${parentOf(link.path)} cannot be used` };
  const hint = `create ${parentOf(link.path)} as its owner, then run the command again`;
  leave(draft, link, lost, "LINK_PARENT_UNUSABLE", hint, "decision");
  return false;
}

/** Whether the target is there, or is made by this plan, or may be missing by the settings. */
function targetReady(draft: Draft, link: DesiredLink, verdict: LinkVerdict): boolean {
  const { actual, createMissingTargets, verifyTargets } = draft.request;
  const resolution = resolutionAt(actual.at(link.targetPath));
  if (resolution === "directory") return true;
  if (resolution !== "missing") {
    const lost = { ...verdict, reason: `its target ${link.targetPath} is no directory` };
    const hint = `look at ${link.targetPath} and move it away, then run the command again`;
    leave(draft, link, lost, "LINK_TARGET_NOT_A_DIRECTORY", hint, "decision");
    return false;
  }
  if (draft.usable.get(link.targetPath) === true) return true;
  const ours = draft.directories.has(link.targetPath);
  if (createMissingTargets && ours) {
    if (needDirectory(draft, link.targetPath, "a link leads there")) return true;
  } else if (!verifyTargets) {
    draft.warnings.push(`${link.path}: its target ${link.targetPath} does not exist`);
    return true;
  }
  const lost = { ...verdict, reason: `its target ${link.targetPath} does not exist` };
  const hint = ours
    ? "run `citadel-agent dirs create`, or set SYMLINK_CREATE_MISSING_TARGETS=true"
    : `bring the model back, or go back to the configured one (\`citadel-agent models activate ${link.alias ?? "ALIAS"} --default\`)`;
  leave(draft, link, lost, "LINK_TARGET_MISSING", hint, "decision");
  return false;
}

/** A real file or directory where the link belongs. */
function replaceReal(draft: Draft, link: DesiredLink, verdict: LinkVerdict): void {
  const { request } = draft;
  const found = request.actual.at(link.path) as FoundState;
  const { path } = link;
  const movable = found.type === "directory" || found.type === "file";
  const obstacle = request.notAdoptable?.get(path);
  const adopts = request.adopt && movable && obstacle === undefined;
  if (!adopts && !(request.moveAside && movable)) {
    const hint = placeTakenHint(link, movable, obstacle);
    const reason = obstacle ?? verdict.reason;
    return leave(draft, link, { ...verdict, reason }, "LINK_PLACE_TAKEN", hint, "decision");
  }
  if (!targetReady(draft, link, verdict)) return;
  const before: PathState = { type: found.type === "directory" ? "directory" : "file" };
  const after = linkState(draft, link);
  if (adopts) {
    const why = `${verdict.reason}: its content moves to the target`;
    draft.operations.push({ op: "adopt", path, why, before, after, to: link.targetPath });
    return;
  }
  const to = asidePath(path, found.mtimeMs);
  const absent = { type: "absent" } as const;
  draft.operations.push(
    { op: "move_aside", path, why: verdict.reason, before, after: absent, to },
    { op: "create_link", path, why: "the link is missing", before: absent, after },
  );
}

function placeTakenHint(link: DesiredLink, movable: boolean, obstacle: string | undefined): string {
  const { path, targetPath } = link;
  if (!movable) return `look at it and remove it by hand: \`ls -ld ${path}\``;
  const aside = "`citadel-agent links create --move-aside` renames it";
  if (obstacle !== undefined) return `compare the two and keep one; or ${aside}`;
  return `\`citadel-agent links create --adopt\` moves its content into ${targetPath}; ${aside}`;
}

/** Temporaries of transactions that are over. */
export function planLeftovers(draft: Draft): void {
  const { actual, history } = draft.request;
  for (const entry of leftoversIn(actual.entries, history.pendingSinceMs)) {
    const { path, target, type } = entry;
    const why = "a temporary of the agent that no transaction owns";
    const before: PathState | undefined =
      target === undefined
        ? type === "file"
          ? { type: "file" }
          : undefined
        : { type: "link", target };
    if (before !== undefined) {
      draft.operations.push({
        op: "remove_leftover",
        path,
        why,
        before,
        after: { type: "absent" },
      });
      continue;
    }
    const message = `${path} has the name of a temporary and is a ${type}`;
    const hint = `look at it and remove it by hand: \`ls -ld ${path}\``;
    refuse(draft, {
      path,
      code: "LEFTOVER_ODD",
      state: "leftover",
      message,
      hint,
      because: "skipped",
    });
  }
}

/** Links of ours that the layout no longer has. */
export function planObsolete(draft: Draft): void {
  const { actual, desired, history } = draft.request;
  const wanted = new Set<string>([...desired.links, ...desired.skipped].map(({ path }) => path));
  for (const { path, target } of obsoleteLinks(actual, history, wanted)) {
    const why = "the layout no longer has this link, and the agent made it";
    const before = { type: "link", target } as const;
    draft.operations.push({ op: "remove_link", path, why, before, after: { type: "absent" } });
  }
}
