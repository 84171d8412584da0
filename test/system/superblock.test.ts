// The UUID of a disk where udev keeps no record: read from real file systems on loop devices, compared with blkid.

import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { readSuperblockUuid } from "../../src/system/superblock.ts";
import { createPrivateHost, whyNoPrivateHost, type LoopType } from "../support/private-host.ts";

const skipReason = whyNoPrivateHost("ext4", "xfs", "btrfs");
if (skipReason !== undefined) console.log(`skipped: superblocks: ${skipReason}`);

const numberOf = (device: string) => {
  const { rdev } = statSync(device);
  return `${Math.floor(rdev / 256)}:${rdev % 256}`;
};

describe.skipIf(skipReason !== undefined)("readSuperblockUuid", () => {
  test("says what blkid says of ext4, xfs and btrfs, and nothing of a device that is another", () => {
    const pairs: readonly (readonly [LoopType, LoopType])[] = [
      ["ext4", "xfs"],
      ["btrfs", "ext4"],
    ];
    for (const [models, backup] of pairs) {
      using host = createPrivateHost(models, backup);
      const { devices, uuids } = host;
      const number = models === "btrfs" ? "0:77" : numberOf(devices.models);
      expect(readSuperblockUuid(devices.models, number, models)).toBe(uuids.models);
      expect(readSuperblockUuid(devices.backup, numberOf(devices.backup), backup)).toBe(
        uuids.backup,
      );
      expect(readSuperblockUuid(devices.backup, "259:7777", backup)).toBeUndefined();
      expect(readSuperblockUuid(devices.models, number, "vfat")).toBeUndefined();
      const other = models === "ext4" ? "xfs" : "ext4";
      expect(readSuperblockUuid(devices.models, number, other)).toBeUndefined();
    }
    expect(readSuperblockUuid("/dev/null", "1:3", "ext4")).toBeUndefined();
    expect(readSuperblockUuid("/nowhere", "1:3", "ext4")).toBeUndefined();
  }, 60_000);

  test("another disk at a root is told from the right one without udev, and a disk that cannot be read is unknown", () => {
    using host = createPrivateHost("ext4", "ext4");
    expect(host.agent("setup", "--yes").exitCode).toBe(0);
    const { models, backup } = host.devices;
    host.bash(`umount /mnt/citadel-models /mnt/citadel-backup
      mount ${backup} /mnt/citadel-models && mount ${models} /mnt/citadel-backup`);
    const swapped = host.agent("repair", "--yes");
    expect(swapped.exitCode).toBe(6);
    expect(swapped.stderr).toContain("another file system is mounted");
    expect(host.agent("setup", "--yes").exitCode).toBe(6);
    host.bash(`umount /mnt/citadel-models /mnt/citadel-backup
      mount ${models} /mnt/citadel-models && mount ${backup} /mnt/citadel-backup`);
    expect(host.agent("repair", "--yes").exitCode).toBe(0);
    host.bash(`mount --bind /dev/null ${models}`); // the node of the device is of no use any more
    const unread = host.agent("prereq", "verify", "--json");
    expect(unread.exitCode).toBe(3);
    expect(unread.stdout).toContain("cannot be read here");
    expect(host.agent("repair", "--yes").exitCode).toBe(7);
    const setup = host.agent("setup", "--yes");
    expect(setup.exitCode).toBe(7);
    expect(setup.stderr).toContain("--accept-disk");
  }, 60_000);
});
