// Directories of a plan: made where missing, mode and owner set where they differ. Only the layout's own.

import type { Operation } from "../transaction/index.ts";
import { classifyDirectory, formatMode } from "./classify.ts";
import type { DesiredDirectory } from "./desired.ts";
import { blockedHint, needDirectory, refuse, type Draft } from "./plan.ts";
import type { FoundState } from "../system/survey/question.ts";

/** Plans every directory of the layout. */
export function planDirectories(draft: Draft): void {
  for (const directory of draft.request.desired.directories) {
    if (directory.role === "parent" || directory.role === "home") continue;
    const found = draft.request.actual.at(directory.path);
    const verdict = classifyDirectory(directory, found, draft.request.setOwners);
    if (verdict.state === "blocked" || verdict.state === "unknown") {
      refuseBlocked(draft, directory, verdict.reason);
      continue;
    }
    if (!needDirectory(draft, directory.path, "the directory is missing")) continue;
    if (verdict.state === "healthy") draft.unchanged += 1;
    if (found.kind === "state" && found.type === "directory")
      mendDirectory(draft, directory, found);
  }
}

function refuseBlocked(draft: Draft, directory: DesiredDirectory, reason: string): void {
  const { path } = directory;
  const message = `${path} is left alone: ${reason}`;
  const hint = blockedHint(reason);
  refuse(draft, {
    path,
    code: "BLOCKED",
    state: "blocked",
    message,
    hint,
    reason,
    because: "blocked",
  });
}

function mendDirectory(draft: Draft, directory: DesiredDirectory, found: FoundState): void {
  const { path, mode, owner } = directory;
  if (directory.role === "parent" || directory.role === "home") return;
  const base = { type: "directory" } as const;
  const steps: Operation[] = [];
  // the owner first: chown clears setgid bits, so the mode has the last word (chown(2))
  const { uid, gid } = found;
  if (draft.request.setOwners && owner !== undefined && (uid !== owner.uid || gid !== owner.gid)) {
    const why = `owner is ${uid}:${gid}, wanted ${owner.uid}:${owner.gid}`;
    const before = { ...base, uid, gid };
    steps.push({ op: "set_owner", path, why, before, after: { ...base, ...owner } });
  }
  if (found.mode !== mode) {
    const why = `mode is ${formatMode(found.mode)}, wanted ${formatMode(mode)}`;
    // with a set_owner before it the owner is another one when its turn comes
    const owned = steps.length === 0 ? { uid, gid } : {};
    const before = { ...base, mode: found.mode, ...owned };
    steps.push({ op: "set_mode", path, why, before, after: { ...base, mode } });
  }
  draft.operations.push(...steps);
}
