// Reads what the tuning planner has to know about the host, once, and changes nothing: mounts and their disks,
// fstab, the udev rules, the trim timer, what is installed and what this process may do.

import { isWithin, nameOf, type AbsolutePath } from "../core/index.ts";
import * as system from "../system/index.ts";
import type { FileStat, Mount, System } from "../system/index.ts";
import { findProgram } from "../system/find-program.ts";
import { listPathUsers, type PathUser } from "../system/open-files.ts";
import {
  findBacking,
  findDevice,
  listDisks,
  readHostMounts,
  type Backing,
} from "./block-devices.ts";
import type { Disk } from "./disk.ts";
import { readUdevProperties } from "./disk.ts";
import { parseDefaultMountOptions, parseHasJournal, parseUuid, readExt4Facts } from "./ext4.ts";
import type { Ext4Facts } from "./ext4.ts";
import { findEntryHolding, parseFstab } from "./fstab.ts";
import type { StorageRole } from "./mount-options.ts";
import { mountUnitName, readTrimFacts, unitPaths, type TrimFacts } from "./trim.ts";
import { udevRuleName, udevRulePath } from "./udev.ts";

/** The storage of one role. All paths but `path` are host paths. */
export interface StorageFacts {
  readonly role: StorageRole;
  /** The configured root, a real path. */
  readonly path: AbsolutePath;
  readonly backing: Backing;
  /** Where it is mounted, or where fstab says it should be; undefined: neither, or only `/` holds it. */
  readonly mountpoint: string | undefined;
  /** The mount itself; undefined where nothing is mounted there. */
  readonly mount: Mount | undefined;
  readonly ext4: Ext4Facts | undefined;
  /** The words of `tune2fs -l`; undefined where it could not be asked. */
  readonly defaultMountOptions: readonly string[] | undefined;
  readonly uuid: string | undefined;
  /** Other places where the same file system is mounted. */
  readonly alsoMountedAt: readonly string[];
  readonly mountsBelow: readonly string[];
  /** Processes with something open there; only looked for with `lookForUsers`. */
  readonly users: readonly PathUser[];
  /** The device node of the file system, where it can be asked: `/dev/nvme1n1p1`. */
  readonly node: AbsolutePath | undefined;
  /** The root is reached through this symbolic link: said, with what to set; undefined: it is not. */
  readonly linked: string | undefined;
  /** A mount unit that somebody wrote by hand, which fstab must not compete with. */
  readonly unitPath: string | undefined;
}

export interface FstabFacts {
  readonly bytes: Uint8Array;
  readonly stat: FileStat;
  /** What `findmnt --verify` says about it now; undefined where it was not asked. */
  readonly verification: { readonly clean: boolean; readonly summary: string } | undefined;
}

export interface HostFacts {
  readonly privileged: boolean;
  readonly relocated: boolean;
  /** What says that this is a container: `/.dockerenv`; undefined: nothing does. */
  readonly container: string | undefined;
  /** systemd runs as the init of this host and may be asked. */
  readonly systemd: boolean;
  readonly udev: {
    readonly running: boolean;
    readonly rules: string | undefined;
    /** Rules files that sort after ours and set a scheduler too; host paths. */
    readonly later: readonly string[];
  };
  readonly fstab: FstabFacts | undefined;
  readonly storages: readonly StorageFacts[];
  /** All disks of the host, those without our data too: rules must not match them. */
  readonly disks: readonly Disk[];
  readonly unwritableSchedulers: readonly string[];
  readonly trim: TrimFacts;
  readonly tools: Readonly<Record<"findmnt" | "tune2fs" | "udevadm" | "mount", boolean>>;
  readonly proc: AbsolutePath | undefined;
}

export interface DiscoverOptions {
  /** Real paths. */
  readonly roots: Readonly<Record<StorageRole, AbsolutePath>>;
  /** For --remount-now: who has files open on the mounts. */
  readonly lookForUsers?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const toolTimeoutMs = 10_000;
type Asking = Pick<System, "hostPaths" | "environment">;

/** Reads the facts. Needs no privilege; what cannot be read without it is undefined. */
export async function discoverHost(world: Asking, options: DiscoverOptions): Promise<HostFacts> {
  const { hostPaths, environment } = world;
  const mounts = readHostMounts(hostPaths);
  const fstab = readFstab(hostPaths.real("/etc/fstab"));
  const disks = listDisks(hostPaths);
  const ask = environment.isRoot && !hostPaths.relocated;
  const storages: StorageFacts[] = [];
  for (const role of ["models", "backup"] as const) {
    const read = readStorage(hostPaths, role, options.roots[role], mounts, fstab?.bytes);
    const facts = ask ? await askTune2fs(read, options.signal) : read;
    const look = ask && options.lookForUsers === true && facts.mount !== undefined;
    const users = look ? listPathUsers(facts.mount.mountpoint) : [];
    storages.push({ ...facts, users });
  }
  const systemd = !hostPaths.relocated && system.stat("/run/systemd/system")?.type === "directory";
  const tools = {
    findmnt: findProgram("findmnt", hostPaths) !== undefined,
    tune2fs: findProgram("tune2fs", hostPaths) !== undefined,
    udevadm: findProgram("udevadm", hostPaths) !== undefined,
    mount: findProgram("mount", hostPaths) !== undefined,
  };
  const verifies = fstab !== undefined && tools.findmnt && !hostPaths.relocated;
  return {
    privileged: environment.isRoot || hostPaths.relocated,
    relocated: hostPaths.relocated,
    container: readContainer(hostPaths, mounts),
    systemd,
    udev: readUdev(hostPaths),
    fstab: fstab && {
      ...fstab,
      verification: verifies ? await verifyFstab("/etc/fstab", options.signal) : undefined,
    },
    storages,
    disks,
    unwritableSchedulers: disks
      .map((disk) => `${disk.sysPath}/queue/scheduler`)
      .filter((path) => !system.mayAccess(path, "write")),
    trim: await readTrimFacts(hostPaths, systemd, options.signal),
    tools,
    proc: hostPaths.proc,
  };
}

type Paths = System["hostPaths"];

function readFstab(path: AbsolutePath): Omit<FstabFacts, "verification"> | undefined {
  const found = system.lstat(path);
  const bytes = found?.type === "file" ? system.readBytes(path) : undefined;
  return found === undefined || bytes === undefined ? undefined : { bytes, stat: found };
}

function readStorage(
  paths: Paths,
  role: StorageRole,
  path: AbsolutePath,
  mounts: readonly Mount[] | undefined,
  fstab: Uint8Array | undefined,
): StorageFacts {
  const linked = findLink(paths, path);
  if (linked !== undefined) return linkedStorage(role, path, linked);
  const backing = findBacking(paths, path, mounts);
  const { mount } = backing;
  const isOwn = mount !== undefined && mount.mountpoint !== "/" && mount.fstype !== "autofs";
  const point = isOwn ? mount.mountpoint : expectedMountpoint(paths, path, mount, fstab);
  const [holder] = backing.holders;
  const isExt4 = isOwn && mount.fstype === "ext4" && holder !== undefined;
  const udev = holder === undefined ? {} : readUdevProperties(paths, holder.device);
  const units = point === undefined ? [] : unitPaths(mountUnitName(point));
  return {
    role,
    path,
    backing,
    mountpoint: point,
    mount: isOwn ? mount : undefined,
    ext4: isExt4 && paths.proc !== undefined ? readExt4Facts(paths.proc, holder.name) : undefined,
    defaultMountOptions: undefined,
    uuid: udev["ID_FS_UUID"] ?? uuidByLink(paths, holder?.name, holder?.mapperName),
    alsoMountedAt: isOwn
      ? (mounts ?? [])
          .filter((other) => other.device === mount.device && other.mountpoint !== mount.mountpoint)
          .map((other) => other.mountpoint)
      : [],
    mountsBelow: isOwn
      ? (mounts ?? [])
          .map((other) => other.mountpoint)
          .filter((other) => other !== mount.mountpoint && isWithin(other, mount.mountpoint))
      : [],
    users: [],
    node: isOwn && !paths.relocated ? deviceNode(backing) : undefined,
    linked: undefined,
    unitPath: units.find((unit) => system.lstat(paths.real(unit)) !== undefined),
  };
}

/**
 * The first symbolic link on the way to a path, itself included. Storage roots are real paths: the layout refuses a
 * link in them, for what it points at may change under a running host, and so does the tuning.
 */
function findLink(paths: Paths, path: AbsolutePath): AbsolutePath | undefined {
  const names = paths.host(path).split("/").filter(Boolean);
  return names
    .map((_name, at) => paths.real(`/${names.slice(0, at + 1).join("/")}`))
    .find((each) => system.lstat(each)?.type === "link");
}

function linkedStorage(role: StorageRole, path: AbsolutePath, link: AbsolutePath): StorageFacts {
  const variable = role === "models" ? "CITADEL_MODELS_ROOT" : "CITADEL_BACKUP_ROOT";
  const linked = `${link} is a symbolic link to ${system.readlink(link)}; set ${variable} to what \`realpath ${path}\` prints`;
  return {
    role,
    path,
    backing: { path, mount: undefined, holders: [], chain: [], disks: [], reason: linked },
    mountpoint: undefined,
    mount: undefined,
    ext4: undefined,
    defaultMountOptions: undefined,
    uuid: undefined,
    alsoMountedAt: [],
    mountsBelow: [],
    users: [],
    node: undefined,
    linked,
    unitPath: undefined,
  };
}

/** Where the storage should be mounted: an automount point that waits, else what fstab says. */
function expectedMountpoint(
  paths: Paths,
  path: AbsolutePath,
  mount: Mount | undefined,
  fstab: Uint8Array | undefined,
): string | undefined {
  if (mount?.fstype === "autofs") return mount.mountpoint;
  if (fstab === undefined) return undefined;
  try {
    return findEntryHolding(parseFstab(fstab), paths.host(path));
  } catch {
    return undefined; // the planner meets the same refusal and reports it
  }
}

/** udev's link in /dev/disk/by-uuid that points at the device. */
function uuidByLink(
  paths: Paths,
  name: string | undefined,
  mapperName: string | undefined,
): string | undefined {
  if (name === undefined) return undefined;
  const folder = paths.real("/dev/disk/by-uuid");
  return system.listDirectory(folder)?.find((uuid) => {
    try {
      const target = nameOf(system.readlink(`${folder}/${uuid}`));
      return target === name || target === mapperName;
    } catch {
      return false; // not a link: not udev's
    }
  });
}

async function askTune2fs(
  facts: StorageFacts,
  signal: AbortSignal | undefined,
): Promise<StorageFacts> {
  if (facts.ext4 === undefined || facts.node === undefined) return facts;
  try {
    const run = await system.runProcess(["tune2fs", "-l", facts.node], {
      timeoutMs: toolTimeoutMs,
      signal,
    });
    if (run.exitCode !== 0) return facts;
    const hasJournal = facts.ext4.hasJournal ?? parseHasJournal(run.stdout);
    return {
      ...facts,
      ext4: { ...facts.ext4, hasJournal },
      uuid: parseUuid(run.stdout) ?? facts.uuid,
      defaultMountOptions: parseDefaultMountOptions(run.stdout),
    };
  } catch {
    return facts; // no tune2fs: the planner says what it cannot do without it
  }
}

/** The device that the file system lies on, if it is one device and /dev has it. */
function deviceNode(backing: Backing): AbsolutePath | undefined {
  const [holder, second] = backing.holders;
  if (holder === undefined || second !== undefined) return undefined;
  const path = `/dev/${holder.name.replaceAll("!", "/")}` as AbsolutePath;
  return system.stat(path)?.type === "block" ? path : undefined;
}

/** Runs `findmnt --verify` on a file. `summary` is its last line, which counts what it found. */
export async function verifyFstab(
  path: string,
  signal?: AbortSignal,
): Promise<{ readonly clean: boolean; readonly summary: string }> {
  const run = await system.runProcess(["findmnt", "--verify", "--tab-file", path], {
    timeoutMs: toolTimeoutMs,
    signal,
  });
  const text = `${run.stdout}\n${run.stderr}`.trim().split("\n");
  const summary = text.findLast((line) => /errors?,|^Success/.test(line)) ?? text.at(-1) ?? "";
  return { clean: run.exitCode === 0, summary };
}

/**
 * The mark that a container runtime leaves. An image that was booted as a machine keeps it, so it does not count where
 * `/` is the whole of a block device's file system: a container's root is an overlay or a part of one.
 */
function readContainer(paths: Paths, mounts: readonly Mount[] | undefined): string | undefined {
  const mark = ["/run/.containerenv", "/.dockerenv", "/run/systemd/container"].find(
    (path) => system.lstat(paths.real(path)) !== undefined,
  );
  const root = mounts?.findLast((mount) => mount.mountpoint === "/");
  const isMachine =
    root?.fsRoot === "/" &&
    paths.sys !== undefined &&
    findDevice(paths.sys, root.device) !== undefined;
  return isMachine ? undefined : mark;
}

function readUdev(paths: Paths): HostFacts["udev"] {
  const directories = ["/etc", "/run", "/usr/lib", "/lib"].map((path) => `${path}/udev/rules.d`);
  const later = directories.flatMap((directory) =>
    (system.listDirectory(paths.real(directory)) ?? [])
      .filter((name) => name.endsWith(".rules") && name > udevRuleName)
      .map((name) => `${directory}/${name}`)
      .filter((path) => setsScheduler(paths.real(path))),
  );
  return {
    running: !paths.relocated && system.lstat("/run/udev/control") !== undefined,
    rules: system.readText(paths.real(udevRulePath)),
    later,
  };
}

function setsScheduler(path: string): boolean {
  try {
    return /^[^#\n]*queue\/scheduler\}\s*=(?!=)/m.test(system.readText(path) ?? "");
  } catch {
    return false; // unreadable rules: udevd runs as root and would tell; nothing to warn of here
  }
}
