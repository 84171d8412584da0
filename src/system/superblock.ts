// The UUID of a mounted file system from its own superblock, for hosts where udev keeps no record (containers, early
// boot). Needs the right to read the block device; at most 17 bytes of magic and UUID are read.

import * as fs from "node:fs";

interface Layout {
  /** File system types of mountinfo that begin with this. */
  readonly fstype: RegExp;
  readonly magicAt: number;
  readonly magic: Uint8Array;
  readonly uuidAt: number;
}

const ascii = (text: string) => new TextEncoder().encode(text);

/**
 * Where magic and UUID lie, in bytes from the start of the device.
 * @see https://docs.kernel.org/filesystems/ext4/globals.html (superblock at 1024: s_magic 0x38, s_uuid 0x68)
 * @see https://git.kernel.org/pub/scm/fs/xfs/xfs-documentation.git (xfs_dsb: sb_magicnum 0, sb_uuid 32)
 * @see https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html (superblock at 64 KiB: fsid 0x20, magic 0x40)
 */
const layouts: readonly Layout[] = [
  { fstype: /^ext[234]$/, magicAt: 0x438, magic: Uint8Array.of(0x53, 0xef), uuidAt: 0x468 },
  { fstype: /^xfs$/, magicAt: 0, magic: ascii("XFSB"), uuidAt: 32 },
  { fstype: /^btrfs$/, magicAt: 0x10040, magic: ascii("_BHRfS_M"), uuidAt: 0x10020 },
];

/**
 * Reads the UUID behind a mount.
 * @param device path of the block device
 * @param number its `major:minor` in mountinfo: another device at that path is not taken; btrfs has an anonymous one
 *   there (major 0), which no device can be compared with
 * @returns undefined where the device may not be read, is another one, or holds no file system that we know
 */
export function readSuperblockUuid(
  device: string,
  number: string,
  fstype: string,
): string | undefined {
  const layout = layouts.find((each) => each.fstype.test(fstype));
  if (layout === undefined) return undefined;
  let fd: number;
  try {
    fd = fs.openSync(device, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch {
    return undefined; // no right, or no such device here
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isBlockDevice() || !(number.startsWith("0:") || number === numberOf(stat.rdev))) {
      return undefined;
    }
    if (!readAt(fd, layout.magicAt, layout.magic.length).equals(layout.magic)) return undefined;
    const uuid = readAt(fd, layout.uuidAt, 16);
    return uuid.length === 16 ? formatUuid(uuid.toString("hex")) : undefined;
  } catch {
    return undefined; // the device does not answer the read
  } finally {
    fs.closeSync(fd);
  }
}

/** `major:minor` of a device number, as makedev(3) of glibc packs it. */
function numberOf(rdev: number): string {
  const bits = BigInt(rdev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

function readAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, position));
}

const formatUuid = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
