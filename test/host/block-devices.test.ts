import { describe, expect, test } from "bun:test";
import { findBacking, findByPath, listDisks } from "../../src/host/index.ts";
import { createHostPaths } from "../../src/system/index.ts";
import { createHostTree, type TreeDisk } from "../support/host-tree.ts";
import * as machines from "../support/machines.ts";

type TreeSpec = Parameters<typeof createHostTree>[0];

function backingOf(spec: TreeSpec, path: string) {
  using tree = createHostTree(spec);
  const paths = createHostPaths(tree.root);
  return findBacking(paths, paths.real(path));
}

const names = (found: readonly { name: string }[]) => found.map((device) => device.name);
const models = "/mnt/citadel-models";
const on = (device: string, source: string, fstype = "ext4") => ({
  ...machines.modelsMount,
  device,
  source,
  fstype,
});

describe("findBacking", () => {
  test("follows mount, partition, disk", () => {
    const found = backingOf(machines.seedMachine, `${models}/active`);
    expect(names(found.chain)).toEqual(["nvme1n1p1", "nvme1n1"]);
    expect(found.chain.map((device) => device.kind)).toEqual(["partition", "disk"]);
    expect(found.disks).toHaveLength(1);
    expect(found.disks[0]).toMatchObject({
      name: "nvme1n1",
      path: "/dev/nvme1n1",
      transport: "nvme",
      rotational: false,
      scheduler: { active: "mq-deadline", available: ["none", "mq-deadline", "kyber"] },
      readAheadBytes: 131072,
      discard: true,
      sizeBytes: 1024 ** 3,
      serial: "S6P1NS0T400001",
      wwn: "eui.0025385b21410001",
      idPath: "pci-0000:01:00.0-nvme-1",
    });
    expect(found.reason).toBeUndefined();
  });

  test("tells a hard disk from a SATA SSD by the rotational flag, not by the name", () => {
    const machine = {
      disks: [machines.hddDisk, machines.sataSsd],
      mounts: [on("8:17", "/dev/sdb1"), machines.backupMount],
    };
    expect(backingOf(machine, models).disks[0]).toMatchObject({
      name: "sdb",
      rotational: false,
      transport: "sata",
    });
    expect(backingOf(machine, "/mnt/citadel-backup").disks[0]).toMatchObject({
      name: "sda",
      rotational: true,
      discard: false,
    });
  });

  test("finds the disk of a file system without partitions", () => {
    const found = backingOf(
      { disks: [machines.nvmeDisk], mounts: [on("259:2", "/dev/nvme1n1")] },
      models,
    );
    expect(names(found.chain)).toEqual(["nvme1n1"]);
  });

  test("looks through block/ where /sys has no dev/block", async () => {
    using tree = createHostTree(machines.seedMachine);
    const { rmSync } = await import("node:fs");
    rmSync(`${tree.root}/sys/dev`, { recursive: true });
    const paths = createHostPaths(tree.root);
    expect(names(findBacking(paths, paths.real(models)).chain)).toEqual(["nvme1n1p1", "nvme1n1"]);
  });

  test("resolves LVM on dm-crypt on two NVMe partitions to both disks", () => {
    const found = backingOf(
      {
        disks: [machines.otherNvmeDisk, machines.nvmeDisk],
        mapped: [
          {
            name: "dm-0",
            device: "253:0",
            slaves: ["nvme1n1p1"],
            dm: { uuid: "CRYPT-LUKS2-abc-luks1", name: "luks1" },
          },
          {
            name: "dm-1",
            device: "253:1",
            slaves: ["dm-0", "nvme0n1p1"],
            dm: { uuid: "LVM-abcdef", name: "data-models" },
          },
        ],
        mounts: [on("253:1", "/dev/mapper/data-models")],
      },
      models,
    );
    expect(found.chain.map((device) => [device.name, device.kind])).toEqual([
      ["dm-1", "lvm"],
      ["dm-0", "crypt"],
      ["nvme0n1p1", "partition"],
      ["nvme1n1p1", "partition"],
      ["nvme0n1", "disk"],
      ["nvme1n1", "disk"],
    ]);
    expect(names(found.disks)).toEqual(["nvme0n1", "nvme1n1"]);
  });

  test("resolves md RAID to its members and a partition of it too", () => {
    const md = { name: "md0", device: "9:0", slaves: ["sda1", "sdb1"] };
    const found = backingOf(
      {
        disks: [machines.hddDisk, machines.sataSsd],
        mapped: [md],
        mounts: [on("9:0", "/dev/md0", "xfs")],
      },
      models,
    );
    expect(found.holders[0]?.kind).toBe("raid");
    expect(names(found.disks)).toEqual(["sda", "sdb"]);
  });

  test("resolves a partition on multipath to all paths of the disk", () => {
    const path2: TreeDisk = { ...machines.hddDisk, name: "sdc", device: "8:32", partitions: [] };
    const found = backingOf(
      {
        disks: [{ ...machines.hddDisk, partitions: [] }, path2],
        mapped: [
          {
            name: "dm-2",
            device: "253:2",
            slaves: ["sda", "sdc"],
            dm: { uuid: "mpath-35000c500a0b1c2d3", name: "mpatha" },
          },
          {
            name: "dm-3",
            device: "253:3",
            slaves: ["dm-2"],
            dm: { uuid: "part1-mpath-35000c500a0b1c2d3", name: "mpatha-part1" },
          },
        ],
        mounts: [on("253:3", "/dev/mapper/mpatha-part1", "xfs")],
      },
      models,
    );
    expect(found.chain.map((device) => device.kind)).toEqual([
      "partition",
      "multipath",
      "disk",
      "disk",
    ]);
    expect(names(found.disks)).toEqual(["sda", "sdc"]);
  });

  test("a bind mount and a directory below it belong to the disk of the file system", () => {
    const bind = { ...machines.modelsMount, fsRoot: "/data/models" };
    const found = backingOf(
      { ...machines.seedMachine, mounts: [machines.rootMount, bind] },
      models,
    );
    expect(found.mount?.fsRoot).toBe("/data/models");
    expect(names(found.disks)).toEqual(["nvme1n1"]);
  });

  test("a btrfs subvolume, whose number is anonymous, is found by its source, with all members", () => {
    const mount = {
      ...on("0:48", "/dev/nvme1n1p1", "btrfs"),
      fsRoot: "/@models",
      superOptions: "rw,subvol=/@models",
    };
    const machine = { ...machines.seedMachine, mounts: [mount] };
    const uuid = "3f2a0000-0000-4000-8000-000000000001";
    expect(names(backingOf(machine, models).disks)).toEqual(["nvme1n1"]);
    const two = { ...machine, btrfs: { [uuid]: ["nvme1n1p1", "nvme0n1p1"] } };
    expect(names(backingOf(two, models).disks)).toEqual(["nvme0n1", "nvme1n1"]);
  });

  test("a virtio disk without serial has its path as the only identity", () => {
    const disk: TreeDisk = {
      name: "vda",
      device: "252:0",
      bus: "pci0000:00/0000:00:04.0/virtio1/block",
      rotational: true,
      udev: { ID_PATH: "pci-0000:00:04.0" },
    };
    const found = backingOf({ disks: [disk], mounts: [on("252:0", "/dev/vda")] }, models);
    expect(found.disks[0]?.transport).toBe("virtio");
    expect(found.disks[0]?.identities).toEqual([
      { key: "ENV{ID_PATH}", value: "pci-0000:00:04.0" },
    ]);
  });

  test.each([
    ["overlay in a container", "0:52", "overlay", "overlay", "overlay (overlay) has no block"],
    ["NFS", "0:60", "nfs4", "filer:/models", "nfs4 (filer:/models) has no block device"],
    ["a device that /sys does not show", "8:99", "ext4", "/dev/sdz1", "/dev/sdz1 is not in /sys"],
  ])("says why there is no disk: %s", (_name, device, fstype, source, reason) => {
    const found = backingOf({ mounts: [on(device, source, fstype)] }, models);
    expect(found.disks).toEqual([]);
    expect(found.reason).toContain(reason);
    expect(found.mount?.source).toBe(source);
  });

  test("below a root without /proc there is nothing to read, and it says so", async () => {
    using tree = createHostTree({});
    const { rmSync } = await import("node:fs");
    rmSync(`${tree.root}/proc`, { recursive: true });
    const paths = createHostPaths(tree.root);
    const found = findBacking(paths, paths.real(models));
    expect(found).toMatchObject({ mount: undefined, disks: [] });
    expect(found.reason).toContain("no /proc and /sys");
    expect(listDisks(paths)).toEqual([]);
  });

  test("a cycle of devices ends", () => {
    const found = backingOf(
      {
        mapped: [
          { name: "dm-0", device: "253:0", slaves: ["dm-1"] },
          { name: "dm-1", device: "253:1", slaves: ["dm-0"] },
        ],
        mounts: [on("253:0", "/dev/dm-0")],
      },
      models,
    );
    expect(found.disks).toEqual([]);
  });
});

test("listDisks leaves out partitions, mapped and loop devices and orders by number", () => {
  const tenth: TreeDisk = { ...machines.otherNvmeDisk, name: "nvme10n1", device: "259:20" };
  using tree = createHostTree({
    disks: [tenth, machines.nvmeDisk, { name: "loop0", device: "7:0" }],
    mapped: [{ name: "dm-0", device: "253:0", slaves: ["nvme1n1p1"] }],
  });
  expect(names(listDisks(createHostPaths(tree.root)))).toEqual(["nvme1n1", "nvme10n1"]);
});

test("findByPath knows /dev/vg/lv with hyphens doubled", () => {
  using tree = createHostTree({
    mapped: [
      { name: "dm-4", device: "253:4", slaves: [], dm: { uuid: "LVM-x", name: "my--vg-my--lv" } },
    ],
  });
  expect(findByPath(`${tree.root}/sys`, "/dev/my-vg/my-lv")?.name).toBe("dm-4");
  expect(findByPath(`${tree.root}/sys`, "/dev/mapper/my--vg-my--lv")?.name).toBe("dm-4");
  expect(findByPath(`${tree.root}/sys`, "/dev/my/vg")).toBeUndefined();
});
