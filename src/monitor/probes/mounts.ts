// Whether each storage root is the file system it should be: mounted, the right disk and type, writable by its
// superblock, with the tuned options. Reads tables only; never touches the mounts themselves.

import { joinPath, nameOf } from "../../core/index.ts";
import {
  listDirectory,
  mountOf,
  parseMountinfo,
  readText,
  realpath,
  type HostPaths,
  type Mount,
} from "../../system/index.ts";
import type { MountsData, RootMount, StorageRoot } from "../data.ts";
import { defineProbe, type Probe } from "../probe.ts";
import type { Value } from "../sample.ts";

/**
 * Judges one root by the mount table.
 * @param hostPath the root as the mount table names it
 * @param uuids file-system UUID by device path (`/dev/sda1`)
 */
export function inspectRoot(
  root: StorageRoot,
  hostPath: string,
  mounts: readonly Mount[],
  uuids: ReadonlyMap<string, string>,
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
    uuid: mount === undefined ? null : (uuids.get(mount.source) ?? null),
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
  readonly paths: Pick<HostPaths, "proc" | "host" | "real" | "dev">;
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
      const uuids = readUuids(paths.dev);
      const data: MountsData = {
        roots: roots.map((root) => inspectRoot(root, paths.host(root.path), mounts, uuids)),
      };
      return { state: "ok", data, values: data.roots.flatMap(mountValues) };
    },
  });
}

const maxUuids = 4096;

/** File-system UUIDs by device, from the links udev keeps in /dev/disk/by-uuid; empty without udev. */
export function readUuids(dev: string): Map<string, string> {
  const folder = joinPath(dev, "disk/by-uuid");
  const uuids = new Map<string, string>();
  for (const uuid of (listDirectory(folder) ?? []).slice(0, maxUuids)) {
    const device = realpath(joinPath(folder, uuid));
    if (device !== undefined) uuids.set(`/dev/${nameOf(device)}`, uuid);
  }
  for (const name of (listDirectory(joinPath(dev, "mapper")) ?? []).slice(0, maxUuids)) {
    const target = realpath(joinPath(dev, "mapper", name));
    const uuid = target === undefined ? undefined : uuids.get(`/dev/${nameOf(target)}`);
    if (uuid !== undefined) uuids.set(`/dev/mapper/${name}`, uuid);
  }
  return uuids;
}

function mountValues(root: RootMount): Value[] {
  const labels = { root: root.role, path: root.path };
  return [
    { series: "storage_mounted", labels, value: root.mounted ? 1 : 0 },
    { series: "storage_read_only", labels, value: root.readOnly ? 1 : 0 },
  ];
}
