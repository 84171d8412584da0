// Small trees of /proc, /sys, /run/udev and /etc, as a host with these disks shows them, for `--root`.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, relative } from "node:path";

export interface TreeDisk {
  readonly name: string;
  readonly device: string;
  /** Below /sys/devices; the name is added. */
  readonly bus?: string;
  readonly rotational?: boolean;
  readonly scheduler?: string;
  readonly partitions?: readonly { readonly name: string; readonly device: string }[];
  /** Files below the disk's own directory: `{"wwid": "eui.1"}`. */
  readonly attributes?: Readonly<Record<string, string>>;
  readonly udev?: Readonly<Record<string, string>>;
}

export interface TreeMapped {
  readonly name: string;
  readonly device: string;
  /** Kernel names of what it lies on. */
  readonly slaves: readonly string[];
  readonly dm?: { readonly uuid: string; readonly name: string };
  readonly scheduler?: string;
}

export interface TreeMount {
  readonly device: string;
  readonly mountpoint: string;
  readonly fstype: string;
  readonly source: string;
  readonly options?: string;
  readonly superOptions?: string;
  readonly fsRoot?: string;
}

export interface HostTree extends Disposable {
  readonly root: string;
  write(path: string, content: string | Uint8Array): void;
}

/** Builds the tree in a new temporary directory, removed on dispose. */
export function createHostTree(spec: {
  readonly disks?: readonly TreeDisk[];
  readonly mapped?: readonly TreeMapped[];
  readonly mounts?: readonly TreeMount[];
  /** UUID to kernel names of its members. */
  readonly btrfs?: Readonly<Record<string, readonly string[]>>;
  readonly files?: Readonly<Record<string, string>>;
}): HostTree {
  const root = mkdtempSync(`${tmpdir()}/citadel-host-tree-`);
  const write = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    writeFileSync(`${root}/${path}`, content);
  };
  const link = (path: string, target: string) => {
    mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    symlinkSync(relative(dirname(`/${path}`), `/${target}`), `${root}/${path}`);
  };
  write("proc/self/mountinfo", (spec.mounts ?? []).map(mountLine).join(""));
  mkdirSync(`${root}/sys/block`, { recursive: true });
  const places = new Map<string, string>();
  const addDevice = (name: string, device: string, place: string) => {
    places.set(name, place);
    write(`${place}/dev`, `${device}\n`);
    link(`sys/dev/block/${device}`, place);
  };
  for (const disk of spec.disks ?? []) {
    const place = `sys/devices/${disk.bus ?? "pci0000:00"}/${disk.name}`;
    addDevice(disk.name, disk.device, place);
    link(`sys/block/${disk.name}`, place);
    write(`${place}/size`, "2097152\n");
    write(`${place}/queue/rotational`, disk.rotational === true ? "1\n" : "0\n");
    write(`${place}/queue/scheduler`, `${disk.scheduler ?? "[none] mq-deadline kyber"}\n`);
    write(`${place}/queue/read_ahead_kb`, "128\n");
    write(`${place}/queue/discard_max_bytes`, disk.rotational === true ? "0\n" : "2147450880\n");
    for (const [file, text] of Object.entries(disk.attributes ?? {}))
      write(`${place}/${file}`, `${text}\n`);
    for (const [at, partition] of (disk.partitions ?? []).entries()) {
      addDevice(partition.name, partition.device, `${place}/${partition.name}`);
      write(`${place}/${partition.name}/partition`, `${at + 1}\n`);
    }
    if (disk.udev !== undefined) {
      const lines = Object.entries(disk.udev).map(([key, value]) => `E:${key}=${value}\n`);
      write(`run/udev/data/b${disk.device}`, `S:disk/by-id/x\nI:1\n${lines.join("")}G:systemd\n`);
    }
  }
  for (const mapped of spec.mapped ?? []) {
    const place = `sys/devices/virtual/block/${mapped.name}`;
    addDevice(mapped.name, mapped.device, place);
    link(`sys/block/${mapped.name}`, place);
    if (mapped.scheduler !== undefined) write(`${place}/queue/scheduler`, `${mapped.scheduler}\n`);
    if (mapped.dm !== undefined) {
      write(`${place}/dm/uuid`, `${mapped.dm.uuid}\n`);
      write(`${place}/dm/name`, `${mapped.dm.name}\n`);
    }
    for (const slave of mapped.slaves)
      link(`${place}/slaves/${slave}`, places.get(slave) ?? "missing");
  }
  for (const [uuid, members] of Object.entries(spec.btrfs ?? {})) {
    for (const member of members)
      link(`sys/fs/btrfs/${uuid}/devices/${member}`, places.get(member) ?? "missing");
  }
  for (const [path, text] of Object.entries(spec.files ?? {})) write(path, text);
  return { root, write, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

function mountLine(mount: TreeMount, at: number): string {
  const { device, fsRoot, mountpoint, options, fstype, source, superOptions } = mount;
  const escaped = mountpoint.replaceAll(" ", "\\040");
  return `${at + 20} 1 ${device} ${fsRoot ?? "/"} ${escaped} ${options ?? "rw,relatime"} shared:${at + 1} - ${fstype} ${source} ${superOptions ?? "rw"}\n`;
}
