// The report of `links verify`, `dirs verify` and of everything that shows the layout's health. Pure.

import type { ActualLayout } from "./actual.ts";
import {
  classifyDirectory,
  classifyLink,
  leftoversIn,
  obsoleteLinks,
  unseenReason,
  type DirectoryState,
  type LinkState,
  type LinkVerdict,
} from "./classify.ts";
import type { DesiredLayout, LinkRole } from "./desired.ts";
import type { LayoutHistory } from "./history.ts";

export interface LinkIssue {
  readonly path: string;
  readonly expected: string | null;
  readonly actual: string | null;
  readonly state: LinkState;
  readonly reason: string;
}

export interface LinkItem {
  readonly path: string;
  readonly target: string;
  readonly role: LinkRole;
  readonly alias: string | null;
  readonly state: LinkVerdict["state"];
}

export interface LinksReport {
  /** Configured links, skipped ones included. */
  readonly total: number;
  readonly healthy: number;
  readonly issues: readonly LinkIssue[];
  readonly links: readonly LinkItem[];
}

/** Judges every link. `ownersMatter` as in `classifyLink`. */
export function verifyLinks(
  desired: DesiredLayout,
  actual: ActualLayout,
  history: LayoutHistory,
  ownersMatter: boolean,
): LinksReport {
  const issues: LinkIssue[] = [];
  const links: LinkItem[] = [];
  let healthy = 0;
  for (const link of desired.links) {
    const verdict = classifyLink(link, actual, history, ownersMatter);
    const { path, target, role, alias } = link;
    links.push({ path, target, role, alias: alias ?? null, state: verdict.state });
    if (verdict.state === "healthy") healthy += 1;
    else issues.push({ ...verdict, path, expected: target, state: verdict.state });
  }
  for (const { path, reason } of desired.skipped) {
    issues.push({ path, expected: null, actual: null, state: "skipped", reason });
  }
  for (const { path, target } of leftoversIn(actual.entries, history.pendingSinceMs)) {
    const reason = "a temporary of the agent that no transaction owns";
    issues.push({ path, expected: null, actual: target ?? null, state: "leftover", reason });
  }
  const wanted = new Set<string>([...desired.links, ...desired.skipped].map(({ path }) => path));
  for (const { path, target } of obsoleteLinks(actual, history, wanted)) {
    const reason = "the layout no longer has this link";
    issues.push({ path, expected: null, actual: target, state: "obsolete", reason });
  }
  return { total: desired.links.length + desired.skipped.length, healthy, issues, links };
}

export interface DirectoryIssue {
  readonly path: string;
  readonly expected: string;
  readonly actual: string | null;
  readonly state: DirectoryState;
  readonly reason: string;
}

export interface DirectoriesReport {
  readonly total: number;
  readonly healthy: number;
  readonly issues: readonly DirectoryIssue[];
}

/** Judges every directory of the layout; parents and homes only count where they are missing. */
export function verifyDirectories(
  desired: DesiredLayout,
  actual: ActualLayout,
  ownersMatter: boolean,
): DirectoriesReport {
  const issues: DirectoryIssue[] = [];
  let total = 0;
  for (const directory of desired.directories) {
    if (directory.role === "parent" || directory.role === "home") continue;
    total += 1;
    const verdict = classifyDirectory(directory, actual.at(directory.path), ownersMatter);
    if (verdict.state === "healthy") continue;
    const expected = `directory ${directory.mode.toString(8).padStart(4, "0")}`;
    issues.push({ ...verdict, path: directory.path, expected, state: verdict.state });
  }
  return { total, healthy: total - issues.length, issues };
}

export type ScriptState = "current" | "missing" | "stale" | "unknown";

/** Whether the environment script says what it would say if it were written now. */
export function verifyScript(desired: DesiredLayout, actual: ActualLayout): ScriptState {
  const [script] = desired.files;
  if (script === undefined) return "current";
  const found = actual.text(script.path);
  if (found.kind === "absent") return "missing";
  if (found.kind === "text") return found.text === script.content ? "current" : "stale";
  return unseenReason(found) === undefined ? "stale" : "unknown";
}

/** Whether a report calls for somebody: skipped links are known and need nobody. */
export const hasFindings = (report: { readonly issues: readonly { readonly state: string }[] }) =>
  report.issues.some(({ state }) => state !== "skipped");
