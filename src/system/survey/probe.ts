// Answers one question by asking the kernel. Runs in a child for whatever may hang, in the process itself for the
// rest; imports next to nothing, because the child has to be up in milliseconds.

import * as fs from "node:fs";
import type { Answer, FoundEntry, Question, Resolution, Stranger } from "./question.ts";
import type { FileType } from "../files.ts";

/** Names that `atomic-write.ts` gives to temporaries: nobody else writes such names. */
export const temporaryPattern = /^\.citadel-agent\.[0-9a-f]{24}\.tmp$/;

const textLimitBytes = 1024 * 1024;
const entryLimit = 200_000;
const nameLimit = 1000;

const errnoOf = (thrown: unknown): string =>
  thrown instanceof Error && "code" in thrown ? String(thrown.code) : "EUNKNOWN";

function typeOf(stat: fs.Stats): FileType {
  switch (stat.mode & fs.constants.S_IFMT) {
    case fs.constants.S_IFDIR:
      return "directory";
    case fs.constants.S_IFLNK:
      return "link";
    case fs.constants.S_IFREG:
      return "file";
    case fs.constants.S_IFIFO:
      return "fifo";
    case fs.constants.S_IFSOCK:
      return "socket";
    case fs.constants.S_IFBLK:
      return "block";
    case fs.constants.S_IFCHR:
      return "character";
    default:
      return "unknown";
  }
}

/** Follows a link to its end. */
export function resolveLink(path: string): Resolution {
  try {
    const stat = fs.statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? "missing" : resolutionOf(typeOf(stat));
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === "ELOOP") return "loop";
    if (errno === "ENOTDIR") return "missing";
    return errno === "EACCES" ? "denied" : "error";
  }
}

/** What a resolved type means for a link. */
export function resolutionOf(type: FileType): Resolution {
  return type === "directory" || type === "file" ? type : "other";
}

/** @param resolve how to find where a link leads; undefined: leave it open */
export function stateOf(
  path: string,
  resolve: ((path: string, target: string) => Resolution | undefined) | undefined,
): Answer {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { kind: "absent" };
  const type = typeOf(stat);
  const found = {
    kind: "state",
    type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtimeMs: stat.mtimeMs,
  } as const;
  if (type !== "link") return found;
  const target = fs.readlinkSync(path);
  return { ...found, target, resolves: resolve?.(path, target) };
}

/** Answers a question; never throws. */
export function answer(question: Question): Answer {
  try {
    switch (question.kind) {
      case "state":
        return stateOf(question.path, resolveLink);
      case "entries":
        return entriesOf(question.path, question.known);
      case "real":
        return { kind: "real", path: fs.realpathSync(question.path) };
      case "names":
        return { kind: "names", names: fs.readdirSync(question.path).slice(0, nameLimit) };
      case "text":
        return textOf(question.path);
      case "access":
        return accessOf(question.path);
      case "usage":
        return usageOf(question.path);
      case "strangers":
        return strangersBelow(question.path, question.uid, question.gid);
    }
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === "ENOENT" || errno === "ENOTDIR") return { kind: "absent" };
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return { kind: "error", errno, text };
  }
}

function entriesOf(path: string, known: readonly string[]): Answer {
  const skip = new Set(known);
  const entries: FoundEntry[] = [];
  for (const entry of fs.readdirSync(path, { withFileTypes: true }).slice(0, entryLimit)) {
    const { name } = entry;
    if (skip.has(name) || !(entry.isSymbolicLink() || temporaryPattern.test(name))) continue;
    const at = `${path}/${name}`;
    const stat = fs.lstatSync(at, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    const type = typeOf(stat);
    const target = type === "link" ? fs.readlinkSync(at) : undefined;
    entries.push({ name, type, mtimeMs: stat.mtimeMs, target });
  }
  return { kind: "entries", entries };
}

function textOf(path: string): Answer {
  // O_NONBLOCK: a fifo that somebody put there must not hold us
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  const fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile() || stat.size > textLimitBytes) {
      return { kind: "error", errno: "EFBIG", text: "not a small file" };
    }
    const text = fs.readFileSync(fd, "utf8");
    return { kind: "text", text, mode: stat.mode & 0o7777 };
  } finally {
    fs.closeSync(fd);
  }
}

function accessOf(path: string): Answer {
  const { R_OK, W_OK, X_OK } = fs.constants;
  let readOnly = false;
  const may = (mode: number) => {
    try {
      fs.accessSync(path, mode);
      return true;
    } catch (thrown) {
      if (errnoOf(thrown) === "EROFS") readOnly = true;
      return false;
    }
  };
  if (fs.statSync(path, { throwIfNoEntry: false }) === undefined) return { kind: "absent" };
  const rights = { read: may(R_OK), write: may(W_OK), pass: may(X_OK) };
  return { kind: "access", ...rights, readOnly };
}

function usageOf(path: string): Answer {
  const s = fs.statfsSync(path);
  const usedBytes = (s.blocks - s.bfree) * s.bsize;
  const availableBytes = s.bavail * s.bsize;
  const reach = usedBytes + availableBytes;
  return {
    kind: "usage",
    totalBytes: s.blocks * s.bsize,
    availableBytes,
    usedBytes,
    usage: reach === 0 ? 0 : usedBytes / reach,
    inodeUsage: s.files === 0 ? undefined : (s.files - s.ffree) / s.files,
  };
}

const strangerLimit = 100_000;

/** Walks without following links and without leaving the file system. */
function strangersBelow(top: string, uid: number, gid: number): Answer {
  const { dev } = fs.lstatSync(top);
  const found: Stranger[] = [];
  const pending = [top];
  let multipleNames = 0;
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const name of fs.readdirSync(folder)) {
      const path = `${folder}/${name}`;
      const stat = fs.lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined || stat.dev !== dev) continue;
      const type = typeOf(stat);
      if (type === "directory") pending.push(path);
      if (type !== "directory" && type !== "file") continue;
      if (stat.uid === uid && stat.gid === gid) continue;
      if (type === "file" && stat.nlink > 1) multipleNames += 1;
      else if (found.length < strangerLimit) {
        found.push({ path, type, uid: stat.uid, gid: stat.gid });
      } else return { kind: "strangers", found, multipleNames, truncated: true };
    }
  }
  return { kind: "strangers", found, multipleNames, truncated: false };
}
