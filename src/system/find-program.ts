// Where a program lies, in the fixed directories that our children search.

import { accessSync, constants } from "node:fs";
import type { HostPaths } from "./host-paths.ts";
import { childEnvironment } from "./processes.ts";

/** @returns the host path of the first executable with this name; undefined where there is none */
export function findProgram(name: string, hostPaths: Pick<HostPaths, "real">): string | undefined {
  for (const folder of (childEnvironment["PATH"] ?? "").split(":")) {
    const path = `${folder}/${name}`;
    try {
      accessSync(hostPaths.real(path), constants.X_OK);
      return path;
    } catch {
      // not in this directory
    }
  }
  return undefined;
}
