// Whether the backup disk is there: what works on it looks first, for an empty mount point looks like no backups, and
// what is written to it fills the root file system unseen.

import { checkMounts, isUnmounted } from "../backup/create/source.ts";
import { CitadelError, type AbsolutePath } from "../core/index.ts";
import { lstat } from "../system/index.ts";
import type { App } from "./app.ts";

/** Whether storage roots have to be mounts: `auto` means yes, but no below --root. */
export function requiresMounts({ settings, system }: App): boolean {
  const wanted = settings.agent.require_mounts;
  return wanted === "auto" ? !system.hostPaths.relocated : wanted;
}

/** Whether the backup disk should be mounted and is not. */
export function isBackupUnmounted(app: App): boolean {
  const root = app.system.hostPaths.real(app.settings.paths.backup_root);
  return requiresMounts(app) && isUnmounted(root, app.system);
}

/** What to say where the backup disk should be mounted and is not: an empty list would look like no backups. */
export function unmountedWarning(app: App): string | undefined {
  const root = app.system.hostPaths.real(app.settings.paths.backup_root);
  if (!isBackupUnmounted(app)) return missingWarning(root);
  return `${root} lies on the root file system: the backup disk is not mounted, its snapshots are not seen`;
}

/** An absent backup root looks like an empty one, and is not the same. */
function missingWarning(root: AbsolutePath): string | undefined {
  if (lstat(root) !== undefined) return undefined;
  return `there is no ${root}: either no backup was ever made here, or the backup disk lies elsewhere`;
}

/**
 * Before anything is written to or moved onto the backup disk.
 * @throws kind `not-mounted`, code NOT_MOUNTED
 */
export function assertBackupMounted(app: App): void {
  if (!requiresMounts(app)) return;
  checkMounts([app.system.hostPaths.real(app.settings.paths.backup_root)], app.system);
}

/** An unknown snapshot says that its disk is not mounted, where that is why. @returns what to throw */
export function explainUnknown(app: App, thrown: unknown): unknown {
  if (!(thrown instanceof CitadelError) || thrown.code !== "SNAPSHOT_UNKNOWN") return thrown;
  const why = unmountedWarning(app);
  if (why === undefined) return thrown;
  return new CitadelError({
    kind: "not-found",
    code: "SNAPSHOT_UNKNOWN",
    message: `${thrown.message}: ${why}`,
    path: thrown.path,
    hint: "mount the backup disk, or set CITADEL_BACKUP_ROOT to where it is",
    cause: thrown,
  });
}
