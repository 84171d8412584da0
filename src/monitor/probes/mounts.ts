// Whether each storage root is the file system it should be: mounted, the right disk and type, writable by its
// superblock, with the tuned options. Reads tables only; never touches the mounts themselves.

import { joinPath } from "../../core/index.ts";
import {
  mountOf,
  parseMountinfo,
  readText,
  type HostPaths,
  type Mount,
} from "../../system/index.ts";
import { readFileSystemUuid } from "../../system/disk-identity.ts";
import type { MountsData, RootMount, StorageRoot } from "../data.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";

/**
 * Judges one root by the mount table.
 * @param hostPath the root as the mount table names it
 * @param uuidOf the UUID of a mounted file system, where the host knows it
 */
export function inspectRoot(
  root: StorageRoot,
  hostPath: string,
  mounts: readonly Mount[],
  uuidOf: (mount: Mount) => string | undefined,
): RootMount {
  const mount = mountOf(mounts, hostPath);
  const expected = root.expected;
  const options = new Set([...(mount?.superOptions ?? []), ...(mount?.mountOptions ?? [])]);
  return {
    role: root.role,
    path: root.path,
    requireMount: root.requireMount,
    mounted: mount !== undefined && mount.mountpoint !== "/",
    mountpoint: mount?.mountpoint ?? null,
    device: mount?.source ?? null,
    fstype: mount?.fstype ?? null,
    uuid: mount === undefined ? null : (uuidOf(mount) ?? null),
    // The last field of mountinfo: a sandbox shows its own `ro` in the options of the mount.
    readOnly: mount?.superOptions.includes("ro") ?? false,
    expectedUuid: expected?.uuid ?? null,
    expectedFstype: expected?.fstype ?? null,
    missingOptions: (expected?.options ?? []).filter((option) => !inForce(option, options)),
  };
}

// Options that the kernel does not print because they are its defaults (ext4(5), mount(8)).
const silentDefaults = new Set(["defaults", "nofail", "rw", "auto", "nouser", "async", "relatime"]);

function inForce(option: string, options: ReadonlySet<string>): boolean {
  if (options.has(option)) return true;
  return silentDefaults.has(option) || option.startsWith("x-systemd.") || option.startsWith("_net");
}

export interface MountsProbeOptions {
  readonly intervalS: number;
  readonly paths: HostPaths;
  readonly roots: readonly StorageRoot[];
}

export function createMountsProbe(options: MountsProbeOptions): Probe<"mounts"> {
  const { paths, roots } = options;
  return defineProbe({
    name: "mounts",
    intervalS: options.intervalS,
    timeoutMs: 10_000,
    async run() {
      const none = { data: null, values: [] };
      if (paths.proc === undefined)
        return { state: "not_applicable", note: "no /proc below this root", ...none };
      const text = readText(joinPath(paths.proc, "self/mountinfo"));
      const mounts = parseMountinfo(text ?? "");
      if (mounts.length === 0)
        return { state: "unknown", note: "the mount table cannot be read", ...none };
      const uuidOf = (mount: Mount) => readFileSystemUuid(mount, paths);
      const data: MountsData = {
        roots: roots.map((root) => inspectRoot(root, paths.host(root.path), mounts, uuidOf)),
      };
      return { state: "ok", data, values: data.roots.flatMap(mountValues) };
    },
  });
}

function mountValues(root: RootMount): Value[] {
  const labels = { root: root.role, path: root.path };
  return [
    { series: "storage_mounted", labels, value: root.mounted ? 1 : 0 },
    { series: "storage_read_only", labels, value: root.readOnly ? 1 : 0 },
  ];
}
