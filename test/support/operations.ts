// Operations for tests, short to write.

import type { AbsolutePath } from "../../src/core/index.ts";
import type { Operation, PathState } from "../../src/transaction/index.ts";

const absent = { type: "absent" } as const;
const link = (target: string): PathState => ({ type: "link", target });

export const makeDir = (path: AbsolutePath, mode = 0o755): Operation => ({
  op: "make_dir",
  path,
  why: "the directory is missing",
  before: absent,
  after: { type: "directory", mode },
});

export const removeDir = (path: AbsolutePath): Operation => ({
  op: "remove_dir",
  path,
  why: "not wanted",
  before: { type: "directory" },
  after: absent,
});

export const setMode = (path: AbsolutePath, before: number, after: number): Operation => ({
  op: "set_mode",
  path,
  why: "the mode is wrong",
  before: { type: "directory", mode: before },
  after: { type: "directory", mode: after },
});

export const setOwner = (path: AbsolutePath, uid: number, gid: number): Operation => ({
  op: "set_owner",
  path,
  why: "the owner is wrong",
  before: { type: "directory" },
  after: { type: "directory", uid, gid },
});

export const createLink = (path: AbsolutePath, target: string): Operation => ({
  op: "create_link",
  path,
  why: "the link is missing",
  before: absent,
  after: link(target),
});

export const replaceLink = (path: AbsolutePath, from: string, to: string): Operation => ({
  op: "replace_link",
  path,
  why: "the link goes elsewhere",
  before: link(from),
  after: link(to),
});

export const removeLink = (path: AbsolutePath, target: string): Operation => ({
  op: "remove_link",
  path,
  why: "obsolete",
  before: link(target),
  after: absent,
});

export const writeFile = (
  path: AbsolutePath,
  content: string,
  more: Partial<Operation> = {},
): Operation => ({
  op: "write_file",
  path,
  why: "stale",
  before: absent,
  after: { type: "file" },
  content,
  ...more,
});

export const removeFile = (path: AbsolutePath): Operation => ({
  op: "remove_file",
  path,
  why: "not wanted",
  before: { type: "file" },
  after: absent,
});

export const moveAside = (path: AbsolutePath, to: AbsolutePath, before: PathState): Operation => ({
  op: "move_aside",
  path,
  to,
  why: "it stands where a link belongs",
  before,
  after: absent,
});
