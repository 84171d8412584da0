// Machines of our own making, one per way in which storage can be stacked. Serial numbers are invented.

import type { TreeDisk, TreeMount } from "./host-tree.ts";

export const nvmeDisk: TreeDisk = {
  name: "nvme1n1",
  device: "259:2",
  bus: "pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme1",
  scheduler: "none [mq-deadline] kyber",
  partitions: [{ name: "nvme1n1p1", device: "259:3" }],
  attributes: { wwid: "eui.0025385b21410001" },
  udev: {
    ID_SERIAL: "Vendor_SSD_4TB_S6P1NS0T400001",
    ID_SERIAL_SHORT: "S6P1NS0T400001",
    ID_WWN: "eui.0025385b21410001",
    ID_PATH: "pci-0000:01:00.0-nvme-1",
    ID_MODEL: "Vendor SSD 4TB",
  },
};

/** A second disk of the same model: a rule for the first must not touch it. */
export const otherNvmeDisk: TreeDisk = {
  ...nvmeDisk,
  name: "nvme0n1",
  device: "259:0",
  bus: "pci0000:00/0000:00:02.0/0000:02:00.0/nvme/nvme0",
  partitions: [{ name: "nvme0n1p1", device: "259:1" }],
  attributes: { wwid: "eui.0025385b21410002" },
  udev: {
    ID_SERIAL: "Vendor_SSD_4TB_S6P1NS0T400002",
    ID_SERIAL_SHORT: "S6P1NS0T400002",
    ID_WWN: "eui.0025385b21410002",
    ID_PATH: "pci-0000:02:00.0-nvme-1",
  },
};

export const hddDisk: TreeDisk = {
  name: "sda",
  device: "8:0",
  bus: "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block",
  rotational: true,
  scheduler: "none mq-deadline kyber [bfq]",
  partitions: [{ name: "sda1", device: "8:1" }],
  attributes: { "device/wwid": "naa.5000c500a0b1c2d3" },
  udev: {
    ID_SERIAL: "Vendor_HDD_8TB_ZA1B2C3D",
    ID_SERIAL_SHORT: "ZA1B2C3D",
    ID_WWN: "0x5000c500a0b1c2d3",
    ID_PATH: "pci-0000:00:17.0-ata-1",
  },
};

export const sataSsd: TreeDisk = {
  ...hddDisk,
  name: "sdb",
  device: "8:16",
  bus: "pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block",
  rotational: false,
  scheduler: "none [mq-deadline] kyber",
  partitions: [{ name: "sdb1", device: "8:17" }],
  attributes: { "device/wwid": "naa.5002538e00000001" },
  udev: { ID_SERIAL: "Vendor_SATA_SSD_S3", ID_WWN: "0x5002538e00000001" },
};

export const modelsMount: TreeMount = {
  device: "259:3",
  mountpoint: "/mnt/citadel-models",
  fstype: "ext4",
  source: "/dev/nvme1n1p1",
};

export const backupMount: TreeMount = {
  device: "8:1",
  mountpoint: "/mnt/citadel-backup",
  fstype: "ext4",
  source: "/dev/sda1",
};

export const rootMount: TreeMount = {
  device: "259:1",
  mountpoint: "/",
  fstype: "ext4",
  source: "/dev/nvme0n1p1",
};

/** The machine of the seed: models on NVMe, backup on a hard disk, the system on another NVMe. */
export const seedMachine = {
  disks: [otherNvmeDisk, nvmeDisk, hddDisk],
  mounts: [rootMount, modelsMount, backupMount],
} as const;
