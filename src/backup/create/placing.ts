// Directories and links of the snapshot's tree. What a killed run left under a name, and does not fit, gives way.

import { isErrno } from "../../system/index.ts";
import { readXattrs, setMtime, setXattr, statExact } from "../../system/native.ts";
import { makeDirectory, makeSymlink, removeTree, setOwner } from "../../system/raw-file.ts";
import { typeOfMode } from "./entry.ts";

/** Makes a directory that only we may enter for now; its own mode comes when everything in it is there. */
export function placeDirectory(path: string): void {
  if (makeDirectory(path, 0o700)) return;
  if (typeOfMode(statExact(path).mode) === "directory") return;
  removeTree(path);
  makeDirectory(path, 0o700);
}

export function placeSymlink(
  path: string,
  target: string,
  attributes: {
    readonly uid: number;
    readonly gid: number;
    readonly mtimeNs: bigint;
    readonly xattrs: ReadonlyMap<string, Uint8Array> | undefined;
  },
): void {
  try {
    makeSymlink(target, path);
  } catch (thrown) {
    if (!isErrno(thrown, "EEXIST")) throw thrown;
    removeTree(path);
    makeSymlink(target, path);
  }
  setOwner(path, attributes.uid, attributes.gid);
  for (const [name, value] of attributes.xattrs ?? []) setXattr(path, name, value);
  setMtime(path, attributes.mtimeNs);
}

/**
 * Extended attributes of what the walk has just seen. Gone or replaced meanwhile: it had none.
 * @param fail gets the name of what else goes wrong
 */
export function readPresentXattrs(
  path: string,
  fail: (errno: string) => void,
): ReadonlyMap<string, Uint8Array> | undefined {
  try {
    return readXattrs(path);
  } catch (thrown) {
    if (!isErrno(thrown)) throw thrown;
    if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(thrown.code)) fail(thrown.code);
    return undefined;
  }
}
