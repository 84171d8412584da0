// Which devices sit on the PCI bus, from /sys: enough to know that a GPU should be there although its driver is not.

import { joinPath } from "../core/index.ts";
import { listDirectory, readText } from "./files.ts";

const maxDevices = 4096;

/** Whether a display or 3D controller (class 0x03) of `vendor` (`0x10de`) is on the bus. */
export function hasPciDisplay(sys: string, vendor: string): boolean {
  const folder = joinPath(sys, "bus/pci/devices");
  for (const address of (listDirectory(folder) ?? []).slice(0, maxDevices)) {
    if (readText(joinPath(folder, address, "vendor"))?.trim() !== vendor) continue;
    if (readText(joinPath(folder, address, "class"))?.startsWith("0x03") === true) return true;
  }
  return false;
}
