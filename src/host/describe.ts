// The storages as a person and the documents see them: which devices hold each root, and what they are.

import type { HostFacts } from "./discover.ts";

export interface StorageDescription {
  readonly role: string;
  readonly path: string;
  readonly mountpoint: string | null;
  readonly mounted: boolean;
  readonly source: string | null;
  readonly fstype: string | null;
  readonly uuid: string | null;
  readonly options: string | null;
  /** From the file system down: `nvme1n1p1` (partition), `nvme1n1` (disk). */
  readonly devices: readonly { readonly name: string; readonly kind: string }[];
  readonly disks: readonly DiskDescription[];
  /** Why no disk is known. */
  readonly reason: string | null;
}

export interface DiskDescription {
  readonly path: string;
  readonly model: string | null;
  readonly serial: string | null;
  readonly transport: string;
  readonly rotational: boolean | null;
  readonly scheduler: string | null;
  readonly schedulers: readonly string[];
  readonly read_ahead_bytes: number | null;
  readonly discard: boolean | null;
  readonly bytes: number | null;
}

/** Both storages; what could not be read is null. */
export function describeStorages(facts: HostFacts): StorageDescription[] {
  return facts.storages.map(({ role, path, mountpoint, mount, uuid, backing }) => ({
    role,
    path,
    mountpoint: mountpoint ?? null,
    mounted: mount !== undefined,
    source: mount?.source ?? null,
    fstype: mount?.fstype ?? null,
    uuid: mount === undefined ? null : (uuid ?? null),
    options: mount === undefined ? null : [...mount.mountOptions, ...mount.superOptions].join(","),
    // Without a mount of its own the path lies on the root disk, which is none of ours.
    devices: mount === undefined ? [] : backing.chain.map(({ name, kind }) => ({ name, kind })),
    disks: mount === undefined ? [] : backing.disks.map(describeDisk),
    reason: backing.reason ?? null,
  }));
}

function describeDisk(disk: HostFacts["disks"][number]): DiskDescription {
  return {
    path: disk.path,
    model: disk.model ?? null,
    serial: disk.serial ?? null,
    transport: disk.transport,
    rotational: disk.rotational ?? null,
    scheduler: disk.scheduler?.active ?? null,
    schedulers: disk.scheduler?.available ?? [],
    read_ahead_bytes: disk.readAheadBytes ?? null,
    discard: disk.discard ?? null,
    bytes: disk.sizeBytes ?? null,
  };
}
