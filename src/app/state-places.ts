// Where state and locks lie for whoever calls. Apart from the engine, so that a command that only reads loads little.

import { absolutePath, joinPath, type AbsolutePath } from "../core/index.ts";
import type { System } from "../system/system.ts";

const systemStateDir = "/var/lib/citadel-agent";

export interface StatePlaces {
  readonly stateDir: AbsolutePath;
  /** Locks, the fallback journal, status. */
  readonly runtimeDir: AbsolutePath;
  /** Root's state directory. */
  readonly systemStateDir: AbsolutePath;
  /** Whether this caller may change a layout that root has made: root, or anyone below --root. */
  readonly privileged: boolean;
}

/**
 * Where state and locks lie (spec/links.md, Transaction): root and `--root` use the host's directories, a user
 * without privilege `$XDG_STATE_HOME` and `$XDG_RUNTIME_DIR`.
 * @param configured CITADEL_STATE_DIR; only root's calls use it
 */
export function statePlaces(
  system: Pick<System, "environment" | "hostPaths">,
  configured: string = systemStateDir,
): StatePlaces {
  const { environment, hostPaths } = system;
  const ofSystem = hostPaths.real(configured);
  const privileged = environment.isRoot || hostPaths.relocated;
  if (privileged) {
    const stateDir = hostPaths.relocated ? hostPaths.real(systemStateDir) : ofSystem;
    const { runtimeDir } = hostPaths;
    return { stateDir, runtimeDir, systemStateDir: stateDir, privileged };
  }
  const { HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR } = environment.variables;
  const home = absolutePath(XDG_STATE_HOME ?? joinPath(HOME ?? "/", ".local/state"));
  const stateDir = joinPath(home, "citadel-agent");
  const runtimeDir =
    XDG_RUNTIME_DIR === undefined || XDG_RUNTIME_DIR === ""
      ? joinPath(stateDir, "run")
      : joinPath(absolutePath(XDG_RUNTIME_DIR), "citadel-agent");
  return { stateDir, runtimeDir, systemStateDir: ofSystem, privileged };
}
