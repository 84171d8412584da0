// The place of a restore: its space, its staging directory, and the leftovers of restores that were killed.

import * as fs from "node:fs";
import { nameOf, parentOf } from "../core/index.ts";
import { isErrno, withErrno } from "./errno.ts";
import { temporaryPrefix } from "./atomic-write.ts";
import { randomBytes } from "./random.ts";

/** Bytes that this process may still use on the file system of `path`. */
export function freeBytesAt(path: string): number {
  const stat = withErrno("statfs", path, () => fs.statfsSync(path));
  return stat.bavail * stat.bsize;
}

/** `absent`, `empty` directory, `filled` directory, or something `other`. Links are not followed. */
export function targetState(path: string): "absent" | "empty" | "filled" | "other" {
  try {
    if (!fs.lstatSync(path).isDirectory()) return "other";
    return withErrno("readdir", path, () => fs.readdirSync(path)).length === 0 ? "empty" : "filled";
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT", "ENOTDIR")) return "absent";
    throw thrown;
  }
}

const stagePrefix = (target: string) => `${temporaryPrefix}restore-${nameOf(target)}.`;

/** Makes a staging directory (0700) beside the target. Its name carries our pid, so that others see it lives. */
export function makeStage(target: string): string {
  const path = `${parentOf(target)}/${stagePrefix(target)}${process.pid}.${randomBytes(6).toString("hex")}`;
  withErrno("mkdir", path, () => fs.mkdirSync(path, { mode: 0o700 }));
  return path;
}

/**
 * Whether an opened stage is the one that we made: ours, closed to others, empty. Who owns the directory above could
 * have put one of his own there before it was opened.
 */
export function isFreshStage(fd: number): boolean {
  const stat = fs.fstatSync(fd);
  const isOurs = stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0;
  return isOurs && fs.readdirSync(`/proc/self/fd/${fd}`).length === 0;
}

/** Removes the staging directories of restores to `target` whose process is gone. @returns what was removed */
export function removeStaleStages(target: string): string[] {
  const parent = parentOf(target);
  const prefix = stagePrefix(target);
  const removed: string[] = [];
  for (const name of fs.readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(name.slice(prefix.length).split(".")[0]);
    if (!Number.isInteger(pid) || pid <= 0 || fs.existsSync(`/proc/${pid}`)) continue;
    fs.rmSync(`${parent}/${name}`, { recursive: true, force: true });
    removed.push(name);
  }
  return removed;
}

/** Renames the stage into place; an empty directory there is replaced. @throws kinds of fromErrno: NOT_EMPTY */
export function placeStage(stage: string, target: string): void {
  withErrno("rename", target, () => fs.renameSync(stage, target));
  const parent = parentOf(target);
  const fd = withErrno("open", parent, () => fs.openSync(parent, "r"));
  try {
    withErrno("fsync", parent, () => fs.fsyncSync(fd));
  } finally {
    fs.closeSync(fd);
  }
}

/** Whether two paths are the same inode, links not followed. */
export function isSameInode(path: string, fd: number): boolean {
  const [one, other] = [fs.lstatSync(path), fs.fstatSync(fd)];
  return one.ino === other.ino && one.dev === other.dev;
}
