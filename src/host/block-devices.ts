// From a path to its disks: mount, partition, mapped devices (LVM, dm-crypt, md, multipath), physical disks. Reads
// /sys and udev's database only; no privilege needed. What a disk is (scheduler, serial, discard) is in disk.ts.

import { joinPath, nameOf, parentOf, type AbsolutePath } from "../core/index.ts";
import { listDirectory, mountOf, readMounts, readText, realpath } from "../system/index.ts";
import type { HostPaths, Mount } from "../system/index.ts";
import { readDisk, type Disk } from "./disk.ts";

export type BlockDeviceKind =
  "disk" | "partition" | "lvm" | "crypt" | "multipath" | "dm" | "raid" | "loop" | "other";

/** One block device on the way from a file system to its disks. */
export interface BlockDevice {
  /** The kernel's name: `nvme0n1p1`, `dm-0`. */
  readonly name: string;
  /** `major:minor`, as in /sys/dev/block. */
  readonly device: string;
  readonly kind: BlockDeviceKind;
  /** Its directory below /sys/devices, as a real path. */
  readonly sysPath: AbsolutePath;
  /** The name that device-mapper gave it (`vg-models`), where it is one. */
  readonly mapperName: string | undefined;
}

/** Which devices hold a path. `reason` says why there is none. */
export interface Backing {
  readonly path: string;
  /** The mount that holds the path; undefined only where the mount table could not be read. */
  readonly mount: Mount | undefined;
  /** The devices that the file system itself lies on: one, or several with btrfs. */
  readonly holders: readonly BlockDevice[];
  /** All devices passed on the way down, the holders first, the disks last; each once. */
  readonly chain: readonly BlockDevice[];
  /** The disks at the bottom, in kernel name order. */
  readonly disks: readonly Disk[];
  /** Why no disk was found: `nfs4 has no block device`. */
  readonly reason: string | undefined;
}

/** Where the host's facts lie; the members of HostPaths that matter here. */
export type BlockDevicePaths = Pick<HostPaths, "proc" | "sys" | "real" | "host">;

// Stacks deeper than this do not occur (crypt on LVM on md on multipath on partition is six); a cycle must end.
const maxDepth = 16;
const maxDevices = 1024;

/**
 * Finds the devices below `path`.
 * @param path a real path (below the root where there is one); links in it should be resolved first
 * @param mounts the mount table, where the caller has read it already
 */
export function findBacking(
  paths: BlockDevicePaths,
  path: string,
  mounts: readonly Mount[] | undefined = readHostMounts(paths),
): Backing {
  const hostPath = paths.host(path);
  const none = { path, holders: [], chain: [], disks: [] };
  if (mounts === undefined || paths.sys === undefined) {
    return { ...none, mount: undefined, reason: "no /proc and /sys below this root" };
  }
  const mount = mountOf(mounts, hostPath);
  if (mount === undefined) return { ...none, mount, reason: "not in the mount table" };
  const sys = paths.sys;
  const holders = holdersOf(sys, mount);
  const chain = followDown(sys, holders);
  if (chain.length === 0) return { ...none, mount, reason: noDeviceReason(mount) };
  const disks = chain
    .filter((device) => isBottom(device, sys))
    .map((device) => readDisk(device, paths))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  return { path, mount, holders, chain, disks, reason: undefined };
}

/** The host's mount table, with host paths; undefined below a root that brings no /proc. */
export function readHostMounts(paths: Pick<HostPaths, "proc">): Mount[] | undefined {
  return paths.proc === undefined ? undefined : readMounts(paths.proc);
}

/** Every disk of the host (no partitions, no mapped, loop or ram devices), in kernel name order. */
export function listDisks(paths: BlockDevicePaths): Disk[] {
  if (paths.sys === undefined) return [];
  const sys = paths.sys;
  return blockNames(sys)
    .flatMap((name) => deviceAt(realpath(joinPath(sys, "block", name))) ?? [])
    .filter((device) => device.kind === "disk")
    .map((device) => readDisk(device, paths))
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** The device with this `major:minor`; undefined where /sys does not know it (tmpfs, nfs, a btrfs subvolume). */
export function findDevice(sys: string, device: string): BlockDevice | undefined {
  const direct = deviceAt(realpath(joinPath(sys, "dev/block", device)));
  if (direct !== undefined) return direct;
  // A recorded or restricted /sys may lack dev/block: look through block/*/dev and the partitions.
  return allDevices(sys).find((candidate) => candidate.device === device);
}

function blockNames(sys: string): string[] {
  return (listDirectory(joinPath(sys, "block")) ?? []).slice(0, maxDevices);
}

function allDevices(sys: string): BlockDevice[] {
  return blockNames(sys).flatMap((name) => {
    const path = realpath(joinPath(sys, "block", name));
    const disk = deviceAt(path);
    if (path === undefined || disk === undefined) return [];
    const partitions = (listDirectory(path) ?? [])
      .filter((entry) => entry.startsWith(name))
      .flatMap((entry) => deviceAt(joinPath(path, entry)) ?? []);
    return [disk, ...partitions];
  });
}

function deviceAt(sysPath: AbsolutePath | string | undefined): BlockDevice | undefined {
  if (sysPath === undefined) return undefined;
  const device = readText(joinPath(sysPath, "dev"))?.trim();
  if (device === undefined) return undefined;
  const name = nameOf(sysPath);
  const uuid = readText(joinPath(sysPath, "dm/uuid"))?.trim() ?? "";
  const isPartition = readText(joinPath(sysPath, "partition")) !== undefined;
  return {
    name,
    device,
    kind: kindOf(name, uuid, isPartition),
    sysPath: sysPath as AbsolutePath,
    mapperName: readText(joinPath(sysPath, "dm/name"))?.trim(),
  };
}

/** @param uuid what device-mapper's creator put there: `LVM-…`, `CRYPT-LUKS2-…`, `mpath-…`, `part1-mpath-…` */
function kindOf(name: string, uuid: string, isPartition: boolean): BlockDeviceKind {
  if (isPartition || /^part\d+-/.test(uuid)) return "partition";
  if (uuid.startsWith("LVM-")) return "lvm";
  if (uuid.startsWith("CRYPT-")) return "crypt";
  if (uuid.startsWith("mpath-")) return "multipath";
  if (name.startsWith("dm-")) return "dm";
  if (/^md(?:\d|_)/.test(name)) return "raid";
  if (name.startsWith("loop")) return "loop";
  return /^(?:zram|ram|nbd|sr|fd|bcache|drbd|rbd|mtdblock)\d/.test(name) ? "other" : "disk";
}

/** The devices the file system lies on. btrfs and overlay have an anonymous number, so its source is asked next. */
function holdersOf(sys: string, mount: Mount): BlockDevice[] {
  const byNumber = findDevice(sys, mount.device);
  if (byNumber !== undefined) return [byNumber];
  const bySource = mount.source.startsWith("/dev/") ? findByPath(sys, mount.source) : undefined;
  if (bySource === undefined) return [];
  return mount.fstype === "btrfs" ? btrfsMembers(sys, bySource) : [bySource];
}

/** All devices of the btrfs that `member` belongs to, from /sys/fs/btrfs/UUID/devices. */
function btrfsMembers(sys: string, member: BlockDevice): BlockDevice[] {
  const base = joinPath(sys, "fs/btrfs");
  for (const uuid of (listDirectory(base) ?? []).slice(0, maxDevices)) {
    const names = listDirectory(joinPath(base, uuid, "devices"));
    if (names?.includes(member.name) !== true) continue;
    const members = names.slice(0, maxDevices).flatMap((name) => findByName(sys, name) ?? []);
    return members.length === 0 ? [member] : members;
  }
  return [member];
}

/** A device by its path: `/dev/nvme0n1p1`, `/dev/mapper/vg-lv`, `/dev/vg/lv`. Only /sys is read, never /dev. */
export function findByPath(sys: string, devicePath: string): BlockDevice | undefined {
  const [first = "", second] = devicePath.replace(/^\/dev\//, "").split("/");
  if (second === undefined) return findByName(sys, first);
  // lvm(8): in a mapper name the hyphens of the volume group and of the volume are doubled.
  const double = (text: string) => text.replaceAll("-", "--");
  const wanted = first === "mapper" ? second : `${double(first)}-${double(second)}`;
  return blockNames(sys)
    .filter((name) => name.startsWith("dm-"))
    .flatMap((name) => deviceAt(realpath(joinPath(sys, "block", name))) ?? [])
    .find((device) => device.mapperName === wanted);
}

function findByName(sys: string, name: string): BlockDevice | undefined {
  const disk = deviceAt(realpath(joinPath(sys, "block", name)));
  if (disk !== undefined) return disk;
  return (
    deviceAt(realpath(joinPath(sys, "class/block", name))) ??
    allDevices(sys).find((device) => device.name === name)
  );
}

/** What lies directly below: the members of a mapped or md device, the disk of a partition. */
function below(device: BlockDevice, sys: string): BlockDevice[] {
  const slaves = listDirectory(joinPath(device.sysPath, "slaves")) ?? [];
  if (slaves.length > 0) {
    return slaves.flatMap((name) => {
      const path = realpath(joinPath(device.sysPath, "slaves", name));
      return deviceAt(path) ?? findByName(sys, name) ?? [];
    });
  }
  if (device.kind !== "partition") return [];
  return [deviceAt(parentOf(device.sysPath)) ?? []].flat();
}

function followDown(sys: string, start: readonly BlockDevice[]): BlockDevice[] {
  const seen = new Map<string, BlockDevice>();
  let level: readonly BlockDevice[] = start;
  for (let depth = 0; depth < maxDepth && level.length > 0; depth += 1) {
    const next: BlockDevice[] = [];
    for (const device of level) {
      // Deleted and set again: a disk met twice stays behind everything that lies on it.
      seen.delete(device.device);
      seen.set(device.device, device);
      next.push(...below(device, sys));
    }
    level = next.slice(0, maxDevices);
  }
  return [...seen.values()];
}

const isBottom = (device: BlockDevice, sys: string) =>
  (device.kind === "disk" || device.kind === "loop") && below(device, sys).length === 0;

function noDeviceReason(mount: Mount): string {
  if (mount.source.startsWith("/dev/")) {
    return `${mount.source} is not in /sys (a container, or another namespace's device)`;
  }
  return `${mount.fstype} (${mount.source}) has no block device`;
}
