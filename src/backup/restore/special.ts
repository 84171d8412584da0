// Makes what has no content: symbolic links, FIFOs, sockets, devices. The same for a new tree and for one that is there
// already, whose directories may be somebody else's: attributes go to what was made, not to what lies there by then.

import { makeNode } from "../../system/native-files.ts";
import { makeSymlink, setAttributesOfNew } from "../../system/raw-file.ts";
import { type BytePath, toBytes } from "../format/byte-path.ts";
import type { ManifestEntry, SpecialEntry } from "../format/manifest.ts";
import { attributesOf } from "./attributes.ts";
import type { RestoreOptions } from "./restore.ts";

/** inode(7) */
const typeBits = {
  fifo: 0o010000,
  character: 0o020000,
  block: 0o060000,
  socket: 0o140000,
} as const;

/** Whether a rule keeps it out of a restore: sockets and devices come with `--privileged` only. */
export function isLeftOut({ type }: ManifestEntry, options: RestoreOptions): boolean {
  return !options.privileged && (type === "socket" || type === "block" || type === "character");
}

/**
 * Makes it at `place`, where nothing may lie, with owner, mode, time and extended attributes as far as we may give them.
 * @param place one character per byte
 * @throws the system's error; EEXIST where something lies there, or took its place
 */
export function restoreSpecial(entry: SpecialEntry, place: string, options: RestoreOptions): void {
  if (entry.type === "symlink") makeSymlink(entry.target, place);
  else {
    const hasDevice = entry.type === "block" || entry.type === "character";
    const [major, minor] = hasDevice ? [entry.major, entry.minor] : [0, 0];
    makeNode(toBytes(place as BytePath), typeBits[entry.type] | 0o600, major, minor);
  }
  setAttributesOfNew(place, attributesOf(entry, options));
}
