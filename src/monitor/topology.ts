// Which disks lie behind which storage roots, read anew when asked: disks come and go.

import { findBacking, readHostMounts } from "../host/block-devices.ts";
import type { Disk } from "../host/disk.ts";
import type { HostPaths } from "../system/index.ts";
import type { RootRole, StorageRoot } from "./data.ts";
import { kernelAliases, type KernelDevice } from "./probes/kernel.ts";

export interface BackingDisk {
  /** Kernel name: `nvme0n1`. */
  readonly name: string;
  readonly disk: Disk;
  readonly roots: readonly RootRole[];
  /** Kernel names of everything that lies on it on the way to the roots. */
  readonly chain: readonly string[];
  readonly sysPath: string;
}

export type TopologyPaths = Pick<HostPaths, "proc" | "sys" | "real" | "host">;

/** The disks behind the roots, each once. Roots without a disk (tmpfs, nfs, containers) add none. */
export function readTopology(paths: TopologyPaths, roots: readonly StorageRoot[]): BackingDisk[] {
  const mounts = readHostMounts(paths);
  const found = new Map<string, BackingDisk>();
  for (const root of roots) {
    const backing = findBacking(paths, root.path, mounts);
    const chain = backing.chain.map((device) => device.name);
    for (const disk of backing.disks) {
      const before = found.get(disk.name);
      const device = backing.chain.find((candidate) => candidate.name === disk.name);
      found.set(disk.name, {
        name: disk.name,
        disk,
        roots: [...new Set([...(before?.roots ?? []), root.role])],
        chain: [...new Set([...(before?.chain ?? []), ...chain])],
        sysPath: device?.sysPath ?? "",
      });
    }
  }
  return [...found.values()];
}

/** The disks with the names that kernel messages use for them. */
export function kernelDevices(disks: readonly BackingDisk[]): KernelDevice[] {
  return disks.map(({ name, chain, sysPath }) => ({
    name,
    aliases: kernelAliases(name, chain, sysPath),
  }));
}
