// Who may change the layout: root, or anyone below --root; a user only where root has laid out nothing.

import { CitadelError, joinPath, type AbsolutePath } from "../core/index.ts";
import { lstat } from "../system/index.ts";
import { journalName, openJournalView } from "./journal-view.ts";

/** @throws kind `permission`, code `PERMISSION` (exit 1) */
export function assertMayChange(
  options: {
    readonly privileged: boolean;
    readonly systemStateDir?: AbsolutePath | undefined;
    readonly stateDir: AbsolutePath;
    readonly runtimeDir: AbsolutePath;
  },
  privileged: boolean | undefined,
): void {
  const { systemStateDir } = options;
  if (privileged ?? options.privileged) return;
  if (systemStateDir === undefined || systemStateDir === options.stateDir) return;
  if (lstat(systemStateDir) === undefined) return;
  // What we may not read we may not rule out: root's directory is 0700.
  using view = openJournalView({ stateDir: systemStateDir, runtimeDir: options.runtimeDir });
  const unreadable = view.problem !== undefined || !mayList(systemStateDir);
  if (!unreadable && view.generation === 0) return;
  throw new CitadelError({
    kind: "permission",
    code: "PERMISSION",
    message: `this host's layout belongs to root (${joinPath(systemStateDir, journalName)})`,
    path: systemStateDir,
    hint: "run the command with sudo",
  });
}

function mayList(directory: AbsolutePath): boolean {
  try {
    lstat(joinPath(directory, journalName));
    return true;
  } catch {
    return false; // no right to look inside: root may have anything there
  }
}
