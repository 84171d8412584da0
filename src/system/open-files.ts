// Who uses a file system: processes with an open file, a mapping, a working directory or a root below a path. For
// messages; whether something may be unmounted is decided by umount(2) itself, which cannot be raced.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isWithin } from "../core/index.ts";

export interface PathUser {
  readonly pid: number;
  /** /proc/PID/comm. */
  readonly name: string;
  /** One of the paths in use. */
  readonly path: string;
}

const maxUsers = 20;
const maxFiles = 200_000;

/**
 * Lists processes that use something below `path`, at most 20.
 * Without privilege only our own processes can be seen.
 * @param proc where /proc lies
 */
export function listPathUsers(path: string, proc = "/proc"): PathUser[] {
  const users: PathUser[] = [];
  let files = 0;
  for (const entry of namesIn(proc)) {
    if (!/^\d+$/.test(entry) || users.length >= maxUsers || files > maxFiles) continue;
    const base = `${proc}/${entry}`;
    const descriptors = namesIn(`${base}/fd`);
    files += descriptors.length;
    const links = ["cwd", "root", "exe", ...descriptors.map((fd) => `fd/${fd}`)];
    const used =
      links.map((link) => linkOf(`${base}/${link}`)).find((target) => isBelow(target, path)) ??
      mappedPath(base, path);
    if (used !== undefined) {
      users.push({ pid: Number(entry), name: textOf(`${base}/comm`).trim(), path: used });
    }
  }
  return users;
}

const isBelow = (target: string | undefined, path: string) =>
  target !== undefined && isWithin(target, path);

/** proc_pid_maps(5): the path is what follows the fifth column. */
function mappedPath(base: string, path: string): string | undefined {
  const text = textOf(`${base}/maps`);
  if (!text.includes(path)) return undefined;
  return text
    .split("\n")
    .map((line) => /^(?:\S+\s+){5}(\/.*)$/.exec(line)?.[1])
    .find((mapped) => isBelow(mapped, path));
}

// A process may end, or refuse us, between any two of these calls: then it does not count.
function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
