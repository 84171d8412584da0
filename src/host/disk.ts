// What a disk is: rotational or not, scheduler, read-ahead, discard, and the names by which a udev rule can know it
// again. From /sys/block/<disk> and, where udev runs, its database (/run/udev/data/b<major>:<minor>).

import { joinPath, type AbsolutePath } from "../core/index.ts";
import { readText } from "../system/index.ts";
import type { HostPaths } from "../system/index.ts";
import type { BlockDevice } from "./block-devices.ts";

export type Transport = "nvme" | "sata" | "scsi" | "usb" | "virtio" | "mmc" | "loop" | "other";

export interface Scheduler {
  /** The one in brackets: `none`, `mq-deadline`. */
  readonly active: string;
  readonly available: readonly string[];
}

/** A property by which udev knows the disk: the key as it is written in a rule, and its value. */
export interface DiskProperty {
  /** `ENV{ID_SERIAL}`, `ATTR{wwid}`. */
  readonly key: string;
  readonly value: string;
}

export interface Disk {
  /** The kernel's name; may swap between boots, so nothing lasting is ever named by it. */
  readonly name: string;
  readonly device: string;
  /** `/dev/<name>`, a host path. */
  readonly path: string;
  readonly sysPath: AbsolutePath;
  readonly transport: Transport;
  /** The kernel's flag; undefined where /sys does not say. Virtual disks often say true whatever is behind them. */
  readonly rotational: boolean | undefined;
  /** undefined where the queue has no such file, as with hidden and some virtual devices. */
  readonly scheduler: Scheduler | undefined;
  readonly readAheadBytes: number | undefined;
  readonly discard: boolean | undefined;
  readonly sizeBytes: number | undefined;
  readonly model: string | undefined;
  readonly serial: string | undefined;
  readonly wwn: string | undefined;
  readonly idPath: string | undefined;
  /** Best first: serial, WWN, then the path of the port. Empty: a rule cannot name this disk. */
  readonly identities: readonly DiskProperty[];
}

const sectorBytes = 512; // /sys/block/*/size counts 512-byte sectors whatever the disk's own are

/** Reads the facts of one disk. Whatever /sys does not say is undefined, never guessed. */
export function readDisk(
  device: Pick<BlockDevice, "name" | "device" | "sysPath" | "kind">,
  paths: Pick<HostPaths, "real">,
): Disk {
  const { name, sysPath } = device;
  const attribute = (file: string) => clean(readAttribute(joinPath(sysPath, file)));
  const udev = readUdevProperties(paths, device.device);
  const sectors = number(attribute("size"));
  const readAhead = number(attribute("queue/read_ahead_kb"));
  const discardMax = number(attribute("queue/discard_max_bytes"));
  const rotational = attribute("queue/rotational");
  return {
    name,
    device: device.device,
    path: `/dev/${name.replaceAll("!", "/")}`, // cciss!c0d0 is /dev/cciss/c0d0
    sysPath,
    transport: transportOf(name, sysPath, device.kind),
    rotational: rotational === undefined ? undefined : rotational === "1",
    scheduler: parseScheduler(attribute("queue/scheduler")),
    readAheadBytes: readAhead === undefined ? undefined : readAhead * 1024,
    discard: discardMax === undefined ? undefined : discardMax > 0,
    sizeBytes: sectors === undefined ? undefined : sectors * sectorBytes,
    model: udev["ID_MODEL"] ?? attribute("device/model"),
    serial: udev["ID_SERIAL_SHORT"] ?? attribute("serial") ?? attribute("device/serial"),
    wwn: udev["ID_WWN"] ?? attribute("wwid") ?? attribute("device/wwid"),
    idPath: udev["ID_PATH"],
    identities: device.kind === "loop" ? [] : identitiesOf(udev, attribute),
  };
}

/** `[none] mq-deadline kyber`; `none` alone is what devices without a queue of requests say. */
export function parseScheduler(text: string | undefined): Scheduler | undefined {
  if (text === undefined) return undefined;
  const words = text.split(/\s+/).filter((word) => word !== "");
  const marked = words.find((word) => word.startsWith("["));
  const available = words.map((word) => word.replace(/^\[|\]$/g, ""));
  const active = marked?.replace(/^\[|\]$/g, "") ?? (words.length === 1 ? available[0] : undefined);
  return active === undefined ? undefined : { active, available };
}

/**
 * The properties udev stored for a device; empty where there is no database.
 * @see systemd's sd-device database: lines `E:KEY=value` in /run/udev/data/b<major>:<minor>
 */
export function readUdevProperties(
  paths: Pick<HostPaths, "real">,
  device: string,
): Readonly<Record<string, string>> {
  const text = readAttribute(paths.real(`/run/udev/data/b${device}`)) ?? "";
  const properties: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^E:([^=]+)=(.+)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) properties[match[1]] = match[2];
  }
  return properties;
}

/** Names that hold after a reboot. udev's own come first; a rule can also match /sys attributes by itself. */
function identitiesOf(
  udev: Readonly<Record<string, string>>,
  attribute: (file: string) => string | undefined,
): DiskProperty[] {
  const candidates: [string, string | undefined][] = [
    ["ENV{ID_SERIAL}", udev["ID_SERIAL"]],
    ["ENV{ID_WWN_WITH_EXTENSION}", udev["ID_WWN_WITH_EXTENSION"]],
    ["ENV{ID_WWN}", udev["ID_WWN"]],
    ["ATTR{wwid}", attribute("wwid")],
    ["ATTRS{wwid}", attribute("device/wwid")],
    ["ATTR{serial}", attribute("serial")],
    ["ATTRS{serial}", attribute("device/serial")],
    ["ENV{ID_PATH}", udev["ID_PATH"]],
  ];
  return candidates.flatMap(([key, value]) => (value === undefined ? [] : [{ key, value }]));
}

function transportOf(name: string, sysPath: string, kind: BlockDevice["kind"]): Transport {
  if (kind === "loop") return "loop";
  if (name.startsWith("nvme")) return "nvme";
  if (name.startsWith("mmcblk")) return "mmc";
  if (/\/virtio\d+\//.test(sysPath)) return "virtio";
  if (/\/usb\d+\//.test(sysPath)) return "usb";
  if (/\/ata\d+\//.test(sysPath)) return "sata";
  return /\/host\d+\//.test(sysPath) ? "scsi" : "other";
}

/** Attributes answer EINVAL, ENODEV or EIO where a driver has nothing to say: that is "unknown", not an error. */
function readAttribute(path: string): string | undefined {
  try {
    return readText(path);
  } catch {
    return undefined;
  }
}

function clean(text: string | undefined): string | undefined {
  const value = text?.replaceAll("\0", "").trim();
  return value === undefined || value === "" ? undefined : value;
}

function number(text: string | undefined): number | undefined {
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}
