// Proves mount options before fstab is kept: a second mount of the same device in a mount namespace of its own, which
// ends with the process. It finds options that a file system refuses; for ext4's data= see host/ext4.ts.

import { CitadelError } from "../core/index.ts";
import { lstat, makeDirectories, runProcess } from "../system/index.ts";
import type { App } from "./app.ts";
import type { TuneView } from "./host.ts";

const timeoutMs = 30_000;

/**
 * Mounts each changed storage a second time, unseen by anybody else.
 * @returns what could not be proved, in words
 * @throws kind `unsupported`, code TRIAL_MOUNT_FAILED, if a file system refuses its new options
 */
export async function proveMountOptions(
  app: App,
  { facts, tune }: TuneView,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  if (facts.relocated || !facts.privileged) return [];
  const unproved: string[] = [];
  const place = app.system.hostPaths.runtimeDir;
  if (lstat(place) === undefined) makeDirectories(place, 0o755);
  const changed = new Set(
    tune.items
      .filter(({ item, state }) => item === "fstab" && state === "change")
      .map(({ subject }) => subject),
  );
  for (const { mountpoint, mount, node } of facts.storages) {
    if (mountpoint === undefined || !changed.has(mountpoint)) continue;
    const options = tune.fstabOptions.get(mountpoint);
    if (options === undefined) continue;
    if (mount === undefined || node === undefined || mount.fsRoot !== "/") {
      unproved.push(`${mountpoint}: its options could not be tried (not mounted from one device)`);
      continue;
    }
    // -n: nothing about this mount in /run/mount/utab, which is everybody's.
    const trial = ["mount", "-n", "-t", mount.fstype, "-o", options, "--", node, place];
    const command = ["unshare", "--mount", "--", ...trial];
    const run = await runProcess(command, { timeoutMs, signal });
    if (run.exitCode === 0) continue;
    const said = run.stderr.trim().split("\n")[0] ?? "";
    if (/already mounted|busy|unshare/i.test(said)) {
      unproved.push(`${mountpoint}: its options could not be tried (${said})`);
      continue;
    }
    throw refused(mountpoint, options, said);
  }
  return unproved;
}

function refused(mountpoint: string, options: string, said: string): CitadelError {
  return new CitadelError({
    kind: "unsupported",
    code: "TRIAL_MOUNT_FAILED",
    message: `${mountpoint} cannot be mounted with ${options}: ${said}; nothing was changed`,
    path: mountpoint,
    operation: "mount",
    hint: "see `dmesg | tail` for the option that is refused; remove it from fstab or choose the profile `safe`",
  });
}
