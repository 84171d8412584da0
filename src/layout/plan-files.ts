// Generated files of a plan: the environment script. A file of somebody else's is never written over unasked.

import type { AbsolutePath } from "../core/index.ts";
import { parentOf } from "../core/index.ts";
import type { Operation, PathState } from "../transaction/index.ts";
import { describeType, formatMode, unseenReason } from "./classify.ts";
import type { DesiredFile } from "./desired.ts";
import { scriptMarker } from "./env-script.ts";
import { asidePath } from "./plan-links.ts";
import { needDirectory, refuse, type Draft } from "./plan.ts";

export const sha256 = (text: string): string =>
  new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** Plans every generated file. */
export function planFiles(draft: Draft): void {
  for (const file of draft.request.desired.files) planFile(draft, file);
}

function planFile(draft: Draft, file: DesiredFile): void {
  const { path } = file;
  const { actual } = draft.request;
  const found = actual.at(path);
  const unseen = unseenReason(found);
  if (unseen !== undefined) {
    const message = `${path} is left alone: ${unseen}`;
    const hint = "see why it cannot be read, then run the command again";
    refuse(draft, {
      path,
      code: "BLOCKED",
      state: "blocked",
      message,
      hint,
      reason: unseen,
      because: "blocked",
    });
    return;
  }
  if (!needDirectory(draft, parentOf(path), "the environment script lies there")) return;
  if (found.kind !== "state") {
    draft.operations.push(write(file, { type: "absent" }, "the environment script is missing"));
    return;
  }
  if (found.type !== "file") {
    const state = otherState(found.type, found.target);
    return replaceOther(draft, file, describeType(found), state, found.mtimeMs);
  }
  const text = actual.text(path);
  if (text.kind !== "text") {
    return replaceOther(draft, file, "file that cannot be read", { type: "file" }, found.mtimeMs);
  }
  if (text.text === file.content) {
    if (found.mode === file.mode) draft.unchanged += 1;
    else draft.operations.push(setMode(file, found.mode));
    return;
  }
  const before: PathState = { type: "file", sha256: sha256(text.text) };
  if (isOurs(draft, path, text.text)) {
    draft.operations.push(write(file, before, "the environment script is stale"));
    return;
  }
  if (draft.request.force) {
    draft.operations.push(write(file, before, "somebody else wrote it; --force replaces it"));
    return;
  }
  replaceOther(draft, file, "file that the agent did not write", before, found.mtimeMs);
}

function otherState(type: string, target: string | undefined): PathState {
  if (type === "directory") return { type: "directory" };
  return target === undefined ? { type: "other", what: "fifo" } : { type: "link", target };
}

function isOurs(draft: Draft, path: AbsolutePath, text: string): boolean {
  if (text.startsWith(scriptMarker)) return true;
  return draft.request.history.writtenHashes(path).has(sha256(text));
}

function write(file: DesiredFile, before: PathState, why: string): Operation {
  const { path, content, mode } = file;
  const after = { type: "file", sha256: sha256(content), mode } as const;
  return { op: "write_file", path, why, before, after, content, contentEncoding: "utf8" };
}

function setMode(file: DesiredFile, mode: number): Operation {
  const base = { type: "file", sha256: sha256(file.content) } as const;
  return {
    op: "set_mode",
    path: file.path,
    why: `mode is ${formatMode(mode)}, wanted ${formatMode(file.mode)}`,
    before: { ...base, mode },
    after: { ...base, mode: file.mode },
  };
}

function replaceOther(
  draft: Draft,
  file: DesiredFile,
  what: string,
  before: PathState,
  mtimeMs: number,
): void {
  const { path } = file;
  const movable = before.type === "file" || before.type === "directory" || before.type === "link";
  if (draft.request.moveAside && movable) {
    const to = asidePath(path, mtimeMs);
    const why = `a ${what} is in the place of the environment script`;
    draft.operations.push(
      { op: "move_aside", path, why, before, after: { type: "absent" }, to },
      write(file, { type: "absent" }, "the environment script is missing"),
    );
    return;
  }
  refuse(draft, {
    path,
    code: "FILE_FOREIGN",
    state: "foreign",
    message: `${path} is a ${what}`,
    hint: "look at it; `citadel-agent env --write --move-aside` renames it and writes the script",
    because: "decision",
  });
}
