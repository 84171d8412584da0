// The UUID behind a mount, from udev's database or from /dev/disk/by-uuid, on a tree of our own.

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createHostPaths, parseMountinfo } from "../../src/system/index.ts";
import { readFileSystemUuid } from "../../src/system/disk-identity.ts";

const [plain, mapped, memory] = parseMountinfo(`30 22 259:1 / /mnt/a rw - ext4 /dev/nvme0n1p1 rw
31 22 253:0 / /mnt/b rw - xfs /dev/mapper/vg-data rw
32 22 0:40 / /mnt/c rw - tmpfs tmpfs rw`);

test("readFileSystemUuid asks udev first, then the links by UUID, and knows when there is none", () => {
  const root = mkdtempSync(`${tmpdir()}/citadel-uuid-`);
  const paths = createHostPaths(root);
  try {
    if (plain === undefined || mapped === undefined || memory === undefined) throw new Error();
    expect(readFileSystemUuid(plain, paths)).toBeUndefined();
    mkdirSync(`${root}/dev/disk/by-uuid`, { recursive: true });
    mkdirSync(`${root}/dev/mapper`, { recursive: true });
    symlinkSync("../../nvme0n1p1", `${root}/dev/disk/by-uuid/aaaa-1111`);
    symlinkSync("../../dm-0", `${root}/dev/disk/by-uuid/bbbb-2222`);
    symlinkSync("../dm-0", `${root}/dev/mapper/vg-data`);
    expect(readFileSystemUuid(plain, paths)).toBe("aaaa-1111");
    expect(readFileSystemUuid(mapped, paths)).toBe("bbbb-2222");
    expect(readFileSystemUuid(memory, paths)).toBeUndefined();
    mkdirSync(`${root}/run/udev/data`, { recursive: true });
    writeFileSync(
      `${root}/run/udev/data/b259:1`,
      "S:x\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=cccc-3333\n",
    );
    expect(readFileSystemUuid(plain, paths)).toBe("cccc-3333");
  } finally {
    rmSync(root, { recursive: true });
  }
});
