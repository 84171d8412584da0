// What can change while mounted changes now: noatime and nodiratime (flags of the mount) and barrier (ext4). `data=`
// cannot; with --remount-now the file system is unmounted and mounted, and only if nothing is open there.
// The shell gets every value as a positional argument, so nothing in a path or option is ever expanded.

import { joinPath } from "../core/index.ts";
import type { Mount } from "../system/index.ts";
import type { Operation } from "../transaction/index.ts";
import { pickDevice } from "./ext4.ts";
import { effectiveOption } from "./mount-options.ts";

const timeoutMs = 60_000;

/** Flags the kernel keeps per mount, in the order in which it prints them (show_mnt_opts, fs/proc_namespace.c). */
const flagOrder = ["nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "nosymfollow"];

/** What `findmnt -o VFS-OPTIONS` shows once `wanted` is in force. */
export function flagsAfter(shown: readonly string[], wanted: readonly string[]): string[] {
  const set = new Set(shown.filter((flag) => flagOrder.includes(flag)));
  const others = shown.filter((flag) => !flagOrder.includes(flag));
  for (const option of wanted) {
    if (option === "noatime") {
      set.delete("relatime");
      set.add("noatime");
    }
    if (option === "nodiratime") set.add("nodiratime");
  }
  const [access = "rw", ...rest] = others;
  return [access, ...flagOrder.filter((flag) => set.has(flag)), ...rest];
}

/** The same as arguments of mount(8): a mount without noatime and relatime is strictatime. */
const asArguments = (flags: readonly string[]) =>
  flags.includes("noatime") || flags.includes("relatime") ? [...flags] : [...flags, "strictatime"];

/**
 * The step that sets the flags of one mount. Source and target are both given, for then mount(8) takes nothing from
 * fstab, whose `data=` would make the remount fail; so all flags in force are given too.
 */
export function remountFlagsOperation(
  mount: Mount,
  wanted: readonly string[],
): Operation | undefined {
  const before = mount.mountOptions;
  const after = flagsAfter(before, wanted);
  if (before.join(",") === after.join(",")) return undefined;
  const remount = (flags: readonly string[]) => [
    "mount",
    "-o",
    ["remount", ...asArguments(flags)].join(","),
    mount.source,
    mount.mountpoint,
  ];
  return {
    op: "run_command",
    path: mount.mountpoint,
    why: `${after.filter((flag) => !before.includes(flag)).join(", ")} now, by a remount`,
    before: { type: "external", value: before.join(",") },
    after: { type: "external", value: after.join(",") },
    command: {
      // The type, for x-systemd.automount leaves an autofs mount below the real one.
      read: ["findmnt", "-nrf", "-t", mount.fstype, "-o", "VFS-OPTIONS", "-M", mount.mountpoint],
      apply: remount(after),
      undo: remount(before),
      timeoutMs,
    },
  };
}

/**
 * The step that sets barriers of a mounted ext4.
 * @param flags the flags in force when the step runs
 * @param ext4Options lines of /proc/fs/ext4/<device>/options
 */
export function remountBarrierOperation(
  proc: string,
  mount: Mount,
  holder: string,
  ext4Options: readonly string[],
  wanted: "barrier=0" | "barrier=1",
  flags: readonly string[],
): Operation | undefined {
  const found = effectiveOption(ext4Options, wanted);
  if (found === undefined || found === wanted) return undefined;
  const remount = (option: string) => [
    "mount",
    "-o",
    ["remount", ...asArguments(flags), option].join(","),
    mount.source,
    mount.mountpoint,
  ];
  const word = (option: string) => (option === "barrier=0" ? "nobarrier" : "barrier");
  return {
    op: "run_command",
    path: joinPath(proc, "fs/ext4", holder, "options"),
    why: `${wanted} now, by a remount`,
    before: { type: "external", value: word(found) },
    after: { type: "external", value: word(wanted) },
    command: {
      read: [
        "grep",
        "-xE",
        "--",
        "barrier|nobarrier",
        joinPath(proc, "fs/ext4", holder, "options"),
      ],
      apply: remount(wanted),
      undo: remount(found),
      timeoutMs,
    },
  };
}

// $1 device, $2 UUID, $3 mount point, $4 type, $5 new options, $6 former options. If the new mount fails, the former
// one is back before the step reports its failure; umount without -l refuses while anything is open there (EBUSY).
const replaceMount = `${pickDevice}umount -- "$3" && { mount -t "$4" -o "$5" -- "$dev" "$3" || { mount -t "$4" -o "$6" -- "$dev" "$3"; exit 1; }; }`;
// From any half state: mounted with the new options, or not mounted at all.
const restoreMount = `${pickDevice}{ ! mountpoint -q -- "$3" || umount -- "$3"; } && mount -t "$4" -o "$6" -- "$dev" "$3"`;
const readDataMode = 'sed -n "s/^data=//p" "$1" 2>/dev/null || true';

/** The step of `--remount-now`: unmounts and mounts one ext4 with its new options, `data=` among them. */
export function replaceMountOperation(
  proc: string,
  mount: Mount,
  holder: string,
  data: { readonly before: string; readonly after: string },
  options: { readonly before: readonly string[]; readonly after: string },
  device: { readonly path: string; readonly uuid: string },
): Operation {
  const { mountpoint, fstype } = mount;
  const others = mount.superOptions.filter((option) => !/^(?:rw|ro|data=.*)$/.test(option));
  const former = [...asArguments(options.before), ...others, `data=${data.before}`].join(",");
  const values = [device.path, device.uuid, mountpoint, fstype, options.after, former];
  return {
    op: "run_command",
    // A path of its own: the engine follows each path through its steps, and the mount point is the flags' path.
    path: joinPath("/sys/fs/ext4", holder),
    why: `data=${data.after} now: unmount and mount ${mountpoint} (--remount-now)`,
    before: { type: "external", value: data.before },
    after: { type: "external", value: data.after },
    command: {
      read: ["sh", "-c", readDataMode, "sh", joinPath(proc, "fs/ext4", holder, "options")],
      apply: ["sh", "-c", replaceMount, "sh", ...values],
      undo: ["sh", "-c", restoreMount, "sh", ...values],
      timeoutMs,
    },
  };
}
