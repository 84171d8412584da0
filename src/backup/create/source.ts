// What the source is: its identity (by which a parent is chosen), what it holds, and whether it may be backed up to
// where it shall go. All of it is looked at before anything is written.

import {
  CitadelError,
  counted,
  formatBytes,
  isWithin,
  joinPath,
  parentOf,
  type AbsolutePath,
} from "../../core/index.ts";
import {
  assertMayWrite,
  fileSystemUsage,
  listDirectory,
  mountOf,
  readMounts,
  realpath,
  stat,
  type Mount,
  type System,
} from "../../system/index.ts";
import { readlink } from "../../system/index.ts";
import { areaDirectories, type SnapshotRecord } from "../format/index.ts";
import type { CreateOptions } from "./options.ts";
import type { Survey } from "./survey.ts";

const typeMask = 0o170000;
const regularType = 0o100000;
const directoryType = 0o040000;

/** The source for calls that take one character per byte. */
export function sourceRoot(options: Pick<CreateOptions, "sourcePath" | "sourceBytes">): string {
  return options.sourceBytes ?? Buffer.from(options.sourcePath).toString("latin1");
}

/** What a parent is chosen by: as the options say, or sourceIdentity; the bytes of a name that is no text included. */
export function identityOf(options: CreateOptions, system: Pick<System, "hostPaths">): string {
  const identity = options.sourceIdentity ?? sourceIdentity(options.sourcePath, system);
  if (options.sourceBytes === undefined) return identity;
  return `${identity};bytes=${Buffer.from(options.sourceBytes, "latin1").toString("base64")}`;
}

/**
 * The source as a file system and a directory on it: `uuid=…` (or what was mounted) and the path below its root.
 * The same disk mounted elsewhere, or another disk mounted here, is another source or the same one as it should be.
 */
export function sourceIdentity(path: AbsolutePath, system: Pick<System, "hostPaths">): string {
  const mounts = readMountsOf(system);
  const mount = mounts === undefined ? undefined : mountOf(mounts, path);
  if (mount === undefined) return `path=${path}`;
  const below = path.slice(mount.mountpoint === "/" ? 0 : mount.mountpoint.length);
  const directory = `${mount.fsRoot === "/" ? "" : mount.fsRoot}${below}` || "/";
  const uuid = uuidOf(mount, system);
  const fileSystem = uuid === undefined ? `${mount.fstype}:${mount.source}` : `uuid=${uuid}`;
  return `${fileSystem};${directory}`;
}

function readMountsOf(system: Pick<System, "hostPaths">): Mount[] | undefined {
  return system.hostPaths.proc === undefined ? undefined : readMounts(system.hostPaths.proc);
}

function uuidOf(mount: Mount, system: Pick<System, "hostPaths">): string | undefined {
  if (!mount.source.startsWith("/dev/")) return undefined;
  const directory = `${system.hostPaths.dev}/disk/by-uuid`;
  const device = realpath(mount.source) ?? mount.source;
  for (const uuid of listDirectory(directory) ?? []) {
    if (realpath(`${directory}/${uuid}`) === device) return uuid;
  }
  return undefined;
}

/**
 * Refuses what must not be backed up as asked.
 * @returns warnings
 * @throws kinds `usage` (BACKUP_NESTED, SOURCE_NOT_A_DIRECTORY), `not-found`
 */
export function checkPlaces(options: CreateOptions): string[] {
  const { sourcePath, repositoryPath } = options;
  const source = stat(Buffer.from(sourceRoot(options), "latin1"));
  if (source?.type !== "directory") throw noSource(sourcePath, source === undefined);
  if (isWithin(repositoryPath, sourcePath) || isWithin(sourcePath, repositoryPath)) {
    throw new CitadelError({
      kind: "usage",
      code: "BACKUP_NESTED",
      message: `source ${sourcePath} and backup root ${repositoryPath} lie within one another`,
      path: sourcePath,
      hint: "back up to a directory outside the source, on another disk",
    });
  }
  const target = stat(repositoryPath);
  if (target === undefined) {
    return [
      `there is no ${repositoryPath} yet: it is made; see that this is where the backup disk lies`,
    ];
  }
  if (!isSameDisk(source.dev, target.dev)) return [];
  const [what, which] = options.area === "configs" ? ["this host", "it"] : ["source", sourcePath];
  return [
    `${what} and backup are on the same physical disk: when it dies, ${repositoryPath} dies with ${which}`,
  ];
}

/** A path, or the nearest directory above it that is there. */
export function existingPart(path: AbsolutePath): AbsolutePath {
  let at = path;
  while (at !== "/" && stat(at) === undefined) at = parentOf(at);
  return at;
}

/** @throws kinds `permission`, `read-only` where no snapshot can be written to the backup root */
export function checkWritable(options: Pick<CreateOptions, "repositoryPath" | "area">): void {
  const area = joinPath(options.repositoryPath, areaDirectories[options.area]);
  assertMayWrite(existingPart(area), "write a snapshot");
}

/** A backup of nothing is made, for the source may have to be empty: but nobody should take it for one of models. */
export function emptySource(
  { files }: Pick<Survey, "files">,
  { sourcePath, area }: Pick<CreateOptions, "sourcePath" | "area">,
): string[] {
  if (files > 0) return [];
  const what = area === "configs" ? "the configuration of this host" : sourcePath;
  return [`${what} holds no files: the snapshot is empty; see whether its disk is mounted`];
}

function noSource(path: AbsolutePath, isMissing: boolean): CitadelError {
  return new CitadelError({
    kind: isMissing ? "not-found" : "usage",
    code: isMissing ? "SOURCE_MISSING" : "SOURCE_NOT_A_DIRECTORY",
    message: isMissing ? `no source ${path}` : `source ${path} is not a directory`,
    path,
    hint: "name a directory, or set CITADEL_MODELS_ACTIVE to one",
  });
}

/** @throws kind `not-mounted`, code NOT_MOUNTED, for a path that lies on the root file system */
export function checkMounts(
  wanted: readonly AbsolutePath[],
  system: Pick<System, "hostPaths">,
): void {
  const mounts = readMountsOf(system);
  if (mounts === undefined) return;
  for (const path of wanted) {
    if (!liesOnRootDisk(mounts, path)) continue;
    throw new CitadelError({
      kind: "not-mounted",
      code: "NOT_MOUNTED",
      message: `${path} lies on the root file system: its disk is not mounted`,
      path,
      hint: `mount it (\`mount ${path}\`), or set CITADEL_REQUIRE_MOUNTS=no if it belongs to the root disk here`,
    });
  }
}

function liesOnRootDisk(mounts: readonly Mount[], path: AbsolutePath): boolean {
  const mount = mountOf(mounts, realpath(path) ?? path);
  return mount === undefined || mount.mountpoint === "/";
}

/** Whether a path lies on the root file system: its own disk is not mounted. False where there are no mounts to see. */
export function isUnmounted(path: AbsolutePath, system: Pick<System, "hostPaths">): boolean {
  const mounts = readMountsOf(system);
  return mounts !== undefined && liesOnRootDisk(mounts, path);
}

/** Whether two file systems lie on one disk, by the kernel's tree of block devices. */
function isSameDisk(left: number, right: number): boolean {
  if (left === right) return true;
  const [a, b] = [diskOf(left), diskOf(right)];
  return a !== undefined && a === b;
}

function diskOf(dev: number): string | undefined {
  const major = Math.floor(dev / 256) & 0xfff;
  const minor = (dev & 0xff) | (Math.floor(dev / 4096) & 0xfff00); // makedev(3)
  try {
    const device = readlink(`/sys/dev/block/${major}:${minor}`);
    const parts = device.split("/");
    const block = parts.indexOf("block");
    return block === -1 ? undefined : parts[block + 1];
  } catch {
    return undefined; // no block device: tmpfs, network, btrfs (see st_dev in mountinfo)
  }
}

/**
 * Stops where the source lost more than half against its last snapshot.
 * @returns whether it did, and the caller accepts it
 * @throws kind `conflict`, code SOURCE_SHRUNK
 */
export function checkShrink(
  survey: Survey,
  previous: SnapshotRecord | undefined,
  options: Pick<CreateOptions, "acceptShrink" | "sourcePath">,
): boolean {
  if (previous === undefined) return false;
  const { files, bytes } = previous.counts;
  const isShrunk = survey.files * 2 < files || survey.bytes * 2 < bytes;
  if (!isShrunk || options.acceptShrink) return isShrunk;
  throw new CitadelError({
    kind: "conflict",
    code: "SOURCE_SHRUNK",
    message:
      `${options.sourcePath} holds ${survey.files} files (${formatBytes(survey.bytes)}), less than half of ` +
      `the ${files} (${formatBytes(bytes)}) in snapshot ${previous.id}`,
    path: options.sourcePath,
    hint: "see whether a disk is not mounted; if it is meant, run it again with --accept-shrink",
    details: { files: survey.files, bytes: survey.bytes, previous: previous.id },
  });
}

/** Names and sums take about this much per entry beside the content. */
const overheadBytesPerEntry = 1024;

/**
 * Compares what is needed with what is free.
 * @param neededBytes content that will have to be stored
 * @throws kind `no-space`, code BACKUP_NO_SPACE
 */
export function checkSpace(neededBytes: number, entries: number, options: CreateOptions): void {
  const usage = fileSystemUsage(existingPart(options.repositoryPath));
  const needed = neededBytes + entries * overheadBytesPerEntry + options.reserveBytes;
  const isOutOfInodes = usage.inodesTotal > 0 && usage.inodesFree < entries / 2 && neededBytes > 0;
  if (needed <= usage.availableBytes && isOutOfInodes && usage.inodesFree < 100) {
    throw new CitadelError({
      kind: "no-space",
      code: "BACKUP_NO_SPACE",
      message: `${options.repositoryPath} has ${counted(usage.inodesFree, "free inode")}, the snapshot needs up to ${entries}`,
      path: options.repositoryPath,
      hint: "see `df -i`; remove old snapshots (`citadel-agent backup cleanup`), or make a file system with more inodes",
      details: { needed_inodes: entries, free_inodes: usage.inodesFree },
    });
  }
  if (needed <= usage.availableBytes) return;
  throw new CitadelError({
    kind: "no-space",
    code: "BACKUP_NO_SPACE",
    message:
      `${options.repositoryPath} has ${formatBytes(usage.availableBytes)} free, the snapshot needs up to ` +
      `${formatBytes(needed)} (${formatBytes(options.reserveBytes)} of it in reserve)`,
    path: options.repositoryPath,
    hint: "remove old snapshots (`citadel-agent backup cleanup`) or use a larger disk",
    details: { needed_bytes: needed, available_bytes: usage.availableBytes },
  });
}

export { directoryType, regularType, typeMask };
