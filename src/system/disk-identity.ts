// Which file system lies behind a mount: its UUID, without blkid: from udev's database, else from the links that udev
// makes in /dev/disk/by-uuid, both small local files. Where udev never ran, the superblock itself is asked.

import { readlinkSync } from "node:fs";
import { joinPath, nameOf } from "../core/index.ts";
import { listDirectory, readText } from "./files.ts";
import type { HostPaths } from "./host-paths.ts";
import type { Mount } from "./mountinfo.ts";
import { readSuperblockUuid } from "./superblock.ts";

/** `ID_FS_UUID` from the text of /run/udev/data/b8:1; each property is a line `E:NAME=value`. */
export function parseUdevUuid(text: string): string | undefined {
  return /^E:ID_FS_UUID=(.+)$/m.exec(text)?.[1];
}

/**
 * The UUID of the mounted file system; undefined where it has none (tmpfs, nfs), or where udev knows none and the
 * device may not be read.
 */
export function readFileSystemUuid(mount: Mount, hostPaths: HostPaths): string | undefined {
  const udev = joinPath(hostPaths.real("/run/udev/data"), `b${mount.device}`);
  const recorded = parseUdevUuid(readText(udev) ?? "");
  if (recorded !== undefined) return recorded;
  if (!mount.source.startsWith("/dev/")) return undefined;
  const wanted = deviceName(hostPaths.real(mount.source), nameOf(mount.source));
  const folder = joinPath(hostPaths.dev, "disk/by-uuid");
  for (const uuid of listDirectory(folder) ?? []) {
    if (nameOf(linkText(joinPath(folder, uuid)) ?? "") === wanted) return uuid;
  }
  return readSuperblockUuid(hostPaths.real(mount.source), mount.device, mount.fstype);
}

/** `/dev/mapper/vg-data` is a link to `../dm-0`: what by-uuid points at. */
function deviceName(path: string, name: string): string {
  const target = linkText(path);
  return target === undefined ? name : nameOf(target);
}

/** Where a link leads, as text; undefined where no link is, or where it cannot be read. */
export function linkText(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // the caller has another source
  }
}
