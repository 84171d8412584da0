// Are the storage roots really mounted, and are they the disks of the last set-up? Judged from the mount table alone,
// by text, so that a dead mount cannot hold the answer up.

import { isWithin, type AbsolutePath } from "../core/index.ts";
import type { Mount } from "../system/mountinfo.ts";

/** What set-up records of a storage root. Host paths. */
export interface RecordedRoot {
  readonly path: string;
  readonly uuid: string | null;
  readonly fstype: string | null;
}

export type RootState = "ok" | "not_mounted" | "wrong_disk" | "unknown";

export interface StorageRoot {
  readonly path: AbsolutePath;
  readonly mountpoint: string | undefined;
  readonly fstype: string | undefined;
  readonly uuid: string | undefined;
  readonly state: RootState;
  /** Why it is not `ok`, for a person. */
  readonly reason: string | undefined;
  /** Where it leads, if it is a link with nothing mounted on it. */
  readonly leadsTo?: string | undefined;
}

export interface MountsContext {
  readonly required: boolean;
  /** `/`, or the real path of `--root`: its own mount does not count. */
  readonly hostRoot: AbsolutePath;
  readonly host: (realPath: string) => AbsolutePath;
  /** The host's mounts by real path; undefined where they cannot be read. */
  readonly mounts: readonly Mount[] | undefined;
  readonly uuidOf: (mount: Mount) => string | undefined;
  readonly recorded: readonly RecordedRoot[];
  /** Where a link at this path leads; undefined where there is none. Asked only of paths on the root disk. */
  readonly linkAt: (path: AbsolutePath) => string | undefined;
}

/** Judges one storage root. */
export function judgeRoot(path: AbsolutePath, context: MountsContext): StorageRoot {
  const { mounts, hostRoot, required } = context;
  const mount = mounts === undefined ? undefined : holder(mounts, path, hostRoot);
  const uuid = mount === undefined ? undefined : context.uuidOf(mount);
  const root = { path, mountpoint: mount?.mountpoint, fstype: mount?.fstype, uuid };
  if (mounts === undefined) {
    const reason = "the mounts of this host cannot be read";
    return { ...root, state: required ? "unknown" : "ok", reason: required ? reason : undefined };
  }
  if (mount === undefined) {
    if (!required) return { ...root, state: "ok", reason: undefined };
    const leadsTo = context.linkAt(path);
    const reason =
      leadsTo === undefined
        ? "nothing is mounted there: it would be the root disk"
        : `it is a link to ${leadsTo}: a storage root has to be the mount point itself, or a directory below it`;
    return { ...root, state: "not_mounted", reason, leadsTo };
  }
  const before = context.recorded.find((each) => each.path === context.host(path));
  if (before === undefined) return { ...root, state: "ok", reason: undefined };
  const reason = difference(before, mount, uuid);
  if (reason !== undefined) return { ...root, state: "wrong_disk", reason };
  // an automount that nobody went into yet has no disk to compare
  if (before.uuid !== null && uuid === undefined && mount.fstype !== "autofs") {
    return { ...root, state: "unknown", reason: unreadable(before.uuid) };
  }
  return { ...root, state: "ok", reason: undefined };
}

const unreadable = (uuid: string) =>
  `the UUID of the file system cannot be read here; at set-up it was ${uuid}`;

/** The mount that holds `path` and lies below the host's root; of several at one place the last. */
function holder(mounts: readonly Mount[], path: string, hostRoot: AbsolutePath): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (mount.mountpoint === hostRoot || !isWithin(mount.mountpoint, hostRoot)) continue;
    if (!isWithin(path, mount.mountpoint)) continue;
    if (best === undefined || mount.mountpoint.length >= best.mountpoint.length) best = mount;
  }
  return best;
}

function difference(
  before: RecordedRoot,
  mount: Mount,
  uuid: string | undefined,
): string | undefined {
  if (before.uuid !== null && uuid !== undefined && before.uuid !== uuid) {
    return `another file system is mounted: ${uuid}, at set-up it was ${before.uuid}`;
  }
  // an automount says its own type until somebody goes in
  if (before.fstype !== null && before.fstype !== mount.fstype && mount.fstype !== "autofs") {
    return `another kind of file system is mounted: ${mount.fstype}, at set-up it was ${before.fstype}`;
  }
  return undefined;
}

/** What to record of the roots at set-up; an unmounted root keeps its former record. */
export function recordRoots(
  roots: readonly StorageRoot[],
  context: Pick<MountsContext, "host" | "recorded">,
): RecordedRoot[] {
  return roots.map((root) => {
    const path = context.host(root.path);
    const before = context.recorded.find((each) => each.path === path);
    // another disk is recorded only when somebody accepted it (`recorded` is empty then)
    if (root.mountpoint === undefined || root.state === "wrong_disk")
      return before ?? { path, uuid: null, fstype: null };
    const fstype = root.fstype === "autofs" ? (before?.fstype ?? null) : (root.fstype ?? null);
    const former = before?.fstype === fstype ? (before?.uuid ?? null) : null;
    return { path, uuid: root.uuid ?? former, fstype };
  });
}
