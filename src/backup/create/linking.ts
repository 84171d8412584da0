// Sharing stored bytes between snapshots and paths: a hard link where the file system allows one.

import { isErrno, temporaryName } from "../../system/index.ts";
import { statExact } from "../../system/native.ts";
import {
  hardLink,
  makeDirectory,
  removeFile,
  removeTree,
  renamePath,
} from "../../system/raw-file.ts";

/**
 * `linked`: done. `full`: the inode has all the links it can (EMLINK). `forbidden`: fs.protected_hardlinks or rights.
 * `missing`: the stored file is gone, or is not of the size it should be. `unfit`: no file can be of that name, as it is
 * too long with its ending, or something else lies there.
 */
export type LinkOutcome = "linked" | "full" | "forbidden" | "missing" | "unfit";

/**
 * Gives stored bytes another name. Something that a killed run left under that name is replaced.
 * @param sizeBytes what the stored file must have
 * @throws the system's error for what is none of the outcomes
 */
export function shareStored(existing: string, path: string, sizeBytes: number): LinkOutcome {
  try {
    hardLink(existing, path);
  } catch (thrown) {
    if (isErrno(thrown, "EEXIST")) return replaceByLink(existing, path, sizeBytes);
    return outcomeOf(thrown);
  }
  return checkLinked(path, sizeBytes);
}

function checkLinked(path: string, sizeBytes: number): LinkOutcome {
  if (statExact(path).sizeBytes === sizeBytes) return "linked";
  removeFile(path);
  return "missing";
}

function outcomeOf(thrown: unknown): LinkOutcome {
  if (isErrno(thrown, "EMLINK")) return "full";
  if (isErrno(thrown, "EPERM", "EACCES", "EXDEV")) return "forbidden";
  if (isErrno(thrown, "ENOENT")) return "missing";
  if (isErrno(thrown, "ENAMETOOLONG", "ENOTDIR", "EISDIR", "ENOTEMPTY")) return "unfit";
  throw thrown;
}

/** Like shareStored, for a name that is taken: the new link takes its place in one step. */
export function replaceByLink(existing: string, path: string, sizeBytes: number): LinkOutcome {
  const temporary = `${path.slice(0, path.lastIndexOf("/") + 1)}${temporaryName()}`;
  try {
    hardLink(existing, temporary);
  } catch (thrown) {
    return outcomeOf(thrown);
  }
  try {
    // rename(2) does nothing where both names are links of one inode: remove the old name first
    removeTree(path);
    renamePath(temporary, path);
  } catch (thrown) {
    removeFile(temporary);
    return outcomeOf(thrown);
  }
  return checkLinked(path, sizeBytes);
}

/** Makes the directories above a path below `root`, and `root` itself. @throws the system's error */
export function makeParents(root: string, path: string): void {
  makeDirectory(root, 0o700);
  for (let cut = path.indexOf("/"); cut !== -1; cut = path.indexOf("/", cut + 1)) {
    makeDirectory(`${root}/${path.slice(0, cut)}`, 0o700);
  }
}
