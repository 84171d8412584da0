// Where the host lies: `/`, or a directory given with `--root`. A "host path" is what the booted system calls a
// file; a "real path" is where this process finds it. Engines work on real paths only.

import { existsSync, realpathSync, statSync } from "node:fs";
import { isWithin, joinPath, normalizePath, relativeTo, type AbsolutePath } from "../core/index.ts";
import { withErrno } from "./errno.ts";

export interface HostPaths {
  /** `/`, or the real path of `--root` with every link resolved. */
  readonly root: AbsolutePath;
  readonly relocated: boolean;
  /** Host path to real path. A path that lies below the root already is taken as it is (spec/cli.md). */
  real(hostPath: string): AbsolutePath;
  /** Real path to host path: the root taken off. */
  host(realPath: string): AbsolutePath;
  readonly etc: AbsolutePath;
  /** `/proc` and `/sys` to read facts from; below a root only if it holds `proc/self/mountinfo`, else undefined. */
  readonly proc: AbsolutePath | undefined;
  readonly sys: AbsolutePath | undefined;
  readonly dev: AbsolutePath;
  /** `/run/citadel-agent`: locks, status, the fallback journal. */
  readonly runtimeDir: AbsolutePath;
}

function rootOf(root: string): string {
  const path = realpathSync(root);
  if (statSync(path).isDirectory()) return path;
  throw Object.assign(new Error("ENOTDIR: not a directory"), { code: "ENOTDIR" });
}

/** @param root the argument of `--root`, or undefined. @throws kind `not-found` if it does not exist */
export function createHostPaths(root?: string): HostPaths {
  const base = root === undefined ? "/" : withErrno("open --root", root, () => rootOf(root));
  const relocated = base !== "/";
  const real = (hostPath: string) => {
    const path = normalizePath(hostPath) as AbsolutePath;
    return !relocated || isWithin(path, base) ? path : joinPath(base, path);
  };
  const hasProc = !relocated || existsSync(joinPath(base, "proc/self/mountinfo"));
  return {
    root: base as AbsolutePath,
    relocated,
    real,
    host: (path) =>
      relocated && isWithin(path, base)
        ? (`/${relativeTo(path, base)}` as AbsolutePath)
        : (path as AbsolutePath),
    etc: real("/etc"),
    proc: hasProc ? real("/proc") : undefined,
    sys: hasProc ? real("/sys") : undefined,
    dev: real("/dev"),
    runtimeDir: real("/run/citadel-agent"),
  };
}
