import { describe, expect, test } from "bun:test";
import { parseDefaultMountOptions, parseHasJournal, parseUuid } from "../../src/host/ext4.ts";
import { flagsAfter, remountFlagsOperation } from "../../src/host/remount.ts";
import { mountUnitName } from "../../src/host/trim.ts";
import { parseMountinfo } from "../../src/system/index.ts";

describe("flagsAfter", () => {
  test.each([
    ["rw,relatime", "noatime,nodiratime", "rw,noatime,nodiratime"],
    ["rw,nosuid,nodev,relatime", "noatime", "rw,nosuid,nodev,noatime"],
    ["rw", "noatime", "rw,noatime"],
    ["ro,noexec,noatime", "nodiratime", "ro,noexec,noatime,nodiratime"],
    ["rw,noatime,nodiratime", "noatime,nodiratime,data=writeback", "rw,noatime,nodiratime"],
    ["rw,relatime,idmapped", "noatime", "rw,noatime,idmapped"],
  ])("%s with %s is %s, in the kernel's order", (shown, wanted, after) => {
    expect(flagsAfter(shown.split(","), wanted.split(",")).join(",")).toBe(after);
  });
});

test("a remount keeps the flags in force, and its undo restores strictatime, which is not shown", () => {
  const [mount] = parseMountinfo("30 1 8:1 / /mnt/m rw,nosuid - ext4 /dev/sda1 rw\n");
  if (mount === undefined) throw new Error("no mount");
  const operation = remountFlagsOperation(mount, ["noatime"]);
  expect(operation?.command?.apply).toEqual([
    "mount",
    "-o",
    "remount,rw,nosuid,noatime",
    "/dev/sda1",
    "/mnt/m",
  ]);
  expect(operation?.command?.undo?.[2]).toBe("remount,rw,nosuid,strictatime");
  expect(
    remountFlagsOperation({ ...mount, mountOptions: ["rw", "noatime"] }, ["noatime"]),
  ).toBeUndefined();
});

const listing = `Filesystem UUID:          4895544c-9731-4f94-a97c-23e9294dc32d
Filesystem features:      has_journal ext_attr extent
Default mount options:    journal_data_writeback user_xattr acl
Default directory hash:   half_md4
`;

test("tune2fs -l is read: UUID, journal, default options", () => {
  expect(parseUuid(listing)).toBe("4895544c-9731-4f94-a97c-23e9294dc32d");
  expect(parseHasJournal(listing)).toBe(true);
  expect(parseHasJournal(listing.replace("has_journal ", ""))).toBe(false);
  expect(parseHasJournal("")).toBeUndefined();
  expect(parseDefaultMountOptions(listing)).toEqual([
    "journal_data_writeback",
    "user_xattr",
    "acl",
  ]);
  expect(parseDefaultMountOptions("Default mount options:    (none)\n")).toEqual([]);
});

// What `systemd-escape --path --suffix=mount` of systemd 252 prints.
test.each([
  ["/mnt/citadel-models", "mnt-citadel\\x2dmodels.mount"],
  ["/", "-.mount"],
  ["/mnt/a b", "mnt-a\\x20b.mount"],
  ["/.hidden", "\\x2ehidden.mount"],
  ["/srv/ü", "srv-\\xc3\\xbc.mount"],
])("the unit of %s is %s", (path, unit) => expect(mountUnitName(path)).toBe(unit));
