// What is wrong with one link or directory of the layout: one judgement for verify, plan, status and the daemon.

import type { AbsolutePath } from "../core/index.ts";
import { destination } from "../system/survey/local.ts";
import { temporaryPattern } from "../system/survey/probe.ts";
import type { FoundState, Resolution } from "../system/survey/question.ts";
import type { ActualLayout, Entry, Finding } from "./actual.ts";
import type { DesiredDirectory, DesiredLink, Ownership } from "./desired.ts";
import type { LayoutHistory } from "./history.ts";

/** As in the JSON documents of `links verify`. */
export type LinkState =
  | "missing"
  | "broken"
  | "wrong_target"
  | "not_a_link"
  | "loop"
  | "leftover"
  | "wrong_owner"
  | "foreign"
  | "obsolete"
  | "blocked"
  | "skipped";

export interface LinkVerdict {
  readonly state: LinkState | "healthy";
  /** The present target, or what is there instead of a link; null where nothing is. */
  readonly actual: string | null;
  readonly reason: string;
}

const healthy = (actual: string): LinkVerdict => ({ state: "healthy", actual, reason: "" });

/** @param ownersMatter false where owners cannot be set (an unprivileged caller below `--root`) */
export function classifyLink(
  link: DesiredLink,
  actual: ActualLayout,
  history: LayoutHistory,
  ownersMatter: boolean,
): LinkVerdict {
  const found = actual.at(link.path);
  const unseen = unseenReason(found) ?? blockedTarget(link, actual);
  const at = found.kind === "state" ? (found.target ?? describeType(found)) : null;
  if (unseen !== undefined) return { state: "blocked", actual: at, reason: unseen };
  if (found.kind !== "state") return { state: "missing", actual: null, reason: "nothing is there" };
  const { target } = found;
  if (found.type !== "link" || target === undefined) {
    const what = describeType(found);
    return { state: "not_a_link", actual: what, reason: `a ${what} is in its place` };
  }
  if (target !== link.target && destination(link.path, target) !== link.targetPath) {
    return classifyOther(link, target, found.resolves, history);
  }
  return classifyTarget(link, target, found, actual, ownersMatter);
}

/** A link that leads somewhere else than it should. */
function classifyOther(
  link: DesiredLink,
  target: string,
  resolves: Resolution | undefined,
  history: LayoutHistory,
): LinkVerdict {
  const instead = `it leads to ${target}`;
  if (history.ownedTargets(link.path).has(target)) {
    return {
      state: "wrong_target",
      actual: target,
      reason: `${instead}, as an older layout had it`,
    };
  }
  if (resolves === "missing") {
    return { state: "broken", actual: target, reason: `${instead}, which does not exist` };
  }
  if (resolves === "loop") return { state: "loop", actual: target, reason: `${instead}: a loop` };
  if (resolves === undefined) {
    return { state: "blocked", actual: target, reason: `${instead}, which does not answer` };
  }
  return { state: "foreign", actual: target, reason: `${instead}; the agent did not make it` };
}

/** A link that names the right place. */
function classifyTarget(
  link: DesiredLink,
  target: string,
  found: FoundState,
  actual: ActualLayout,
  ownersMatter: boolean,
): LinkVerdict {
  const resolves = link.target === link.targetPath ? found.resolves : undefined;
  const leads = resolves ?? resolutionAt(actual.at(link.targetPath));
  if (leads === "loop") return { state: "loop", actual: target, reason: "its target is a loop" };
  if (leads === "missing") {
    return { state: "broken", actual: target, reason: "its target does not exist" };
  }
  if (leads === undefined) {
    return { state: "blocked", actual: target, reason: "its target does not answer" };
  }
  if (leads !== "directory") {
    const reason = leads === "denied" ? "its target may not be read" : "its target is no directory";
    return { state: "broken", actual: target, reason };
  }
  const { owner } = link;
  if (ownersMatter && owner !== undefined && !isOwnedBy(found, owner)) {
    const reason = `owner ${found.uid}:${found.gid}, wanted ${owner.uid}:${owner.gid}`;
    return { state: "wrong_owner", actual: target, reason };
  }
  return healthy(target);
}

/** Where a path leads, from its own state. */
export function resolutionAt(found: Finding): Resolution | undefined {
  if (found.kind === "absent") return "missing";
  if (found.kind !== "state") return undefined;
  if (found.type === "link") return found.resolves;
  return found.type === "directory" || found.type === "file" ? found.type : "other";
}

function blockedTarget(link: DesiredLink, actual: ActualLayout): string | undefined {
  const target = actual.at(link.targetPath);
  return target.kind === "blocked" ? target.reason : undefined;
}

/** Why nothing can be said about a path; undefined where it was seen. */
export function unseenReason(found: Finding): string | undefined {
  if (found.kind === "blocked") return found.reason;
  if (found.kind === "unknown") return `${found.mountpoint}: ${found.reason}`;
  if (found.kind === "error") return `it cannot be looked at: ${found.text}`;
  return undefined;
}

export const isOwnedBy = (found: FoundState, owner: Ownership): boolean =>
  found.uid === owner.uid && found.gid === owner.gid;

/** `directory`, `file`, `fifo`, …: what a person calls it. */
export function describeType(found: FoundState): string {
  return found.type === "link" ? "symbolic link" : found.type;
}

export type DirectoryState =
  "missing" | "not_a_directory" | "wrong_mode" | "wrong_owner" | "blocked" | "unknown";

export interface DirectoryVerdict {
  readonly state: DirectoryState | "healthy";
  readonly actual: string | null;
  readonly reason: string;
}

export const formatMode = (mode: number): string => mode.toString(8).padStart(4, "0");

/** Judges one directory; parents only have to be there. */
export function classifyDirectory(
  directory: DesiredDirectory,
  found: Finding,
  ownersMatter: boolean,
): DirectoryVerdict {
  if (found.kind === "blocked") return { state: "blocked", actual: null, reason: found.reason };
  const unseen = unseenReason(found);
  if (unseen !== undefined) return { state: "unknown", actual: null, reason: unseen };
  if (found.kind !== "state") return { state: "missing", actual: null, reason: "it is missing" };
  if (found.type !== "directory") {
    const what = describeType(found);
    return { state: "not_a_directory", actual: what, reason: `a ${what} is in its place` };
  }
  if (directory.role === "parent" || directory.role === "home") return okDirectory(found);
  if (found.mode !== directory.mode) {
    const reason = `mode ${formatMode(found.mode)}, wanted ${formatMode(directory.mode)}`;
    return { state: "wrong_mode", actual: formatMode(found.mode), reason };
  }
  const { owner } = directory;
  if (ownersMatter && owner !== undefined && !isOwnedBy(found, owner)) {
    const actual = `${found.uid}:${found.gid}`;
    const reason = `owner ${actual}, wanted ${owner.uid}:${owner.gid}`;
    return { state: "wrong_owner", actual, reason };
  }
  return okDirectory(found);
}

const okDirectory = (found: FoundState): DirectoryVerdict => ({
  state: "healthy",
  actual: formatMode(found.mode),
  reason: "",
});

/** Temporaries that no running transaction can own: without one all of them, else those older than its start. */
export function leftoversIn(
  entries: readonly Entry[],
  pendingSinceMs: number | undefined,
): Entry[] {
  return entries.filter(
    (entry) =>
      temporaryPattern.test(entry.name) &&
      (pendingSinceMs === undefined || entry.mtimeMs < pendingSinceMs),
  );
}

export interface ObsoleteLink {
  readonly path: AbsolutePath;
  readonly target: string;
}

/** Links that a generation made and that the layout no longer has. */
export function obsoleteLinks(
  actual: ActualLayout,
  history: LayoutHistory,
  wanted: ReadonlySet<string>,
): ObsoleteLink[] {
  const found = new Map<string, ObsoleteLink>();
  const consider = (path: AbsolutePath, target: string | undefined) => {
    if (target === undefined || wanted.has(path)) return;
    if (history.ownedTargets(path).has(target)) found.set(path, { path, target });
  };
  for (const entry of actual.entries) consider(entry.path, entry.target);
  for (const path of history.linkPaths) {
    const state = actual.at(path);
    if (state.kind === "state") consider(path, state.target);
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
