// /proc/self/mountinfo (proc_pid_mountinfo(5)): what is mounted where, with which options.

import { readFileSync } from "node:fs";
import { isWithin, joinPath, type AbsolutePath } from "../core/index.ts";
import { withErrno } from "./errno.ts";

export interface Mount {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of the file system, as in st_dev; btrfs and overlay give an anonymous one. */
  readonly device: string;
  /** The part of the file system that is mounted: `/` but for bind mounts and subvolumes. */
  readonly fsRoot: string;
  readonly mountpoint: AbsolutePath;
  /** Options of this mount; a sandbox may show `ro` here where the file system is writable. */
  readonly mountOptions: readonly string[];
  readonly fstype: string;
  /** What was mounted: `/dev/nvme0n1p1`, `host:/export`, `tmpfs`. */
  readonly source: string;
  /** Options of the file system itself; the truth about read-only. */
  readonly superOptions: readonly string[];
}

/** The kernel writes blank, tab, newline, backslash (and `#` in fstab-like files) as three octal digits. */
export function unescapeOctal(text: string): string {
  if (!text.includes("\\")) return text;
  const bytes = text.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return bytes;
}

/** Parses mountinfo text; lines that do not parse are left out. Order is kept: later mounts cover earlier ones. */
export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const separator = fields.indexOf("-", 6);
    const [id, parentId, device, fsRoot, mountpoint, options] = fields;
    const [fstype, source, superOptions] = fields.slice(separator + 1);
    if (separator === -1 || mountpoint === undefined || fstype === undefined) continue;
    mounts.push({
      id: Number(id),
      parentId: Number(parentId),
      device: device ?? "",
      fsRoot: unescapeOctal(fsRoot ?? "/"),
      mountpoint: unescapeOctal(mountpoint) as AbsolutePath,
      mountOptions: (options ?? "").split(","),
      fstype,
      source: unescapeOctal(source ?? ""),
      superOptions: (superOptions ?? "").split(","),
    });
  }
  return mounts;
}

/** The mounts of this process's namespace. @param proc where /proc lies (HostPaths.proc) */
export function readMounts(proc = "/proc"): Mount[] {
  const path = joinPath(proc, "self/mountinfo");
  return parseMountinfo(withErrno("read", path, () => readFileSync(path, "utf8")));
}

/**
 * The mount that holds `path`: the longest mount point by whole parts; of several on one place the last, which
 * covers the others. Judged by text: resolve links first where they matter.
 */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (!isWithin(path, mount.mountpoint)) continue;
    if (best === undefined || mount.mountpoint.length >= best.mountpoint.length) best = mount;
  }
  return best;
}
