// Which programs the host has, looked up as our children find them: on a fixed PATH, below `--root` in that tree.

import { joinPath, type AbsolutePath } from "../core/index.ts";
import { childEnvironment, mayAccess, stat } from "../system/index.ts";
import type { HostPaths } from "../system/index.ts";

/** Where a program lies, as a host path; undefined where the host has none. */
export function findTool(paths: Pick<HostPaths, "real">, name: string): AbsolutePath | undefined {
  const directories = (childEnvironment["PATH"] ?? "").split(":");
  return directories
    .map((directory) => joinPath(directory, name))
    .find((path) => isProgram(paths.real(path)));
}

function isProgram(path: AbsolutePath): boolean {
  try {
    return stat(path)?.type === "file" && mayAccess(path, "execute");
  } catch {
    return false; // a loop of links, or a directory we may not enter: nobody could run it either
  }
}
