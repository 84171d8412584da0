// What is there: which questions a command has to ask about a desired layout, and the answers by path. The asking
// itself is done by `system/survey`.

import { isWithin, joinPath, nameOf, parentOf, type AbsolutePath } from "../core/index.ts";
import type { Answer, FoundEntry, Question } from "../system/survey/question.ts";
import type { DesiredLayout } from "./desired.ts";
import type { StorageRoot } from "./mounts.ts";

export interface Blocked {
  readonly kind: "blocked";
  readonly reason: string;
}

export type Finding = Answer | Blocked;

export interface Entry extends FoundEntry {
  readonly path: AbsolutePath;
}

export interface ActualLayout {
  /** What is at `path`; `absent` for a path that was not asked about. */
  at(path: string): Finding;
  /** Text of a file of the layout. */
  text(path: string): Finding;
  /** Links and temporaries in the layout's own directories that are not desired. */
  readonly entries: readonly Entry[];
  readonly roots: readonly StorageRoot[];
}

/** What a command looks at. `links verify` needs only links; a plan needs the directories too. */
export interface SurveyScope {
  readonly directories: boolean;
  readonly links: boolean;
  readonly files: boolean;
}

/** Why a path below a storage root must not be touched; undefined where it may. */
export function blockedReason(path: string, roots: readonly StorageRoot[]): string | undefined {
  const root = roots.find((each) => each.state !== "ok" && isWithin(path, each.path));
  return root && `${root.path}: ${root.reason ?? root.state}`;
}

/**
 * Lists what to ask. Paths below a blocked root are never asked about.
 * @param formerLinks where links of ours were made before
 */
export function layoutQuestions(
  desired: DesiredLayout,
  scope: SurveyScope,
  roots: readonly StorageRoot[],
  formerLinks: readonly AbsolutePath[],
): Question[] {
  const questions: Question[] = [];
  const asked = new Set<string>();
  const troubled = roots.some((root) => root.state !== "ok");
  const state = (path: string) => {
    if (asked.has(path) || (troubled && blockedReason(path, roots) !== undefined)) return;
    asked.add(path);
    questions.push({ kind: "state", path });
  };
  if (scope.directories) for (const { path } of desired.directories) state(path);
  if (scope.links) {
    for (const link of desired.links) {
      state(link.path);
      if (scope.directories || link.target !== link.targetPath) state(link.targetPath);
    }
    if (desired.home !== undefined) state(desired.home);
    for (const { path } of desired.skipped) state(path);
    for (const path of formerLinks) state(path);
  }
  if (scope.files) {
    for (const { path } of desired.files) {
      state(path);
      if (asked.has(path)) questions.push({ kind: "text", path });
    }
  }
  if (scope.links || scope.files) questions.push(...entryQuestions(desired, roots));
  return questions;
}

/** The directories in which links and files are made: where our temporaries and former links can lie. */
function entryQuestions(desired: DesiredLayout, roots: readonly StorageRoot[]): Question[] {
  const known = new Map<string, string[]>();
  for (const path of [...desired.links.map((link) => link.path), desired.scriptPath]) {
    const parent = parentOf(path);
    const names = known.get(parent);
    if (names === undefined) known.set(parent, [nameOf(path)]);
    else names.push(nameOf(path));
  }
  return [...known]
    .filter(([path]) => blockedReason(path, roots) === undefined)
    .map(([path, names]) => ({ kind: "entries", path, known: names }));
}

/** Puts the answers in order. */
export function toActualLayout(
  questions: readonly Question[],
  answers: readonly Answer[],
  roots: readonly StorageRoot[],
): ActualLayout {
  const states = new Map<string, Answer>();
  const texts = new Map<string, Answer>();
  const entries: Entry[] = [];
  for (const [at, question] of questions.entries()) {
    const answer = answers[at];
    if (answer === undefined) continue;
    if (question.kind === "state") states.set(question.path, answer);
    if (question.kind === "text") texts.set(question.path, answer);
    if (question.kind !== "entries" || answer.kind !== "entries") continue;
    for (const entry of answer.entries) {
      entries.push({ ...entry, path: joinPath(question.path, entry.name) });
    }
  }
  const troubled = roots.some((root) => root.state !== "ok");
  const absent = { kind: "absent" } as const;
  const find = (from: Map<string, Answer>) => (path: string) => {
    const reason = troubled ? blockedReason(path, roots) : undefined;
    if (reason !== undefined) return { kind: "blocked", reason } as const;
    return from.get(path) ?? absent;
  };
  return { at: find(states), text: find(texts), entries, roots };
}

/** Skips the cache links where the service user has no home directory on this host: it is not ours to make. */
export function withoutMissingHome(desired: DesiredLayout, actual: ActualLayout): DesiredLayout {
  const { home } = desired;
  if (home === undefined || actual.at(home).kind !== "absent") return desired;
  const cache = desired.links.filter(({ role }) => role === "cache");
  const reason = `the home directory ${home} does not exist`;
  return {
    get directories() {
      return desired.directories;
    },
    get files() {
      return desired.files;
    },
    get environment() {
      return desired.environment;
    },
    scriptPath: desired.scriptPath,
    aliases: desired.aliases,
    storageRoots: desired.storageRoots,
    warnings: desired.warnings,
    home: undefined,
    links: desired.links.filter(({ role }) => role !== "cache"),
    skipped: [...desired.skipped, ...cache.map(({ path }) => ({ path, reason }))],
  };
}
