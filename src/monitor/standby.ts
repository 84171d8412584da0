// Whether the disk behind a root sleeps: asked of rotating disks alone, by means that do not wake them.

import type { StorageRoot } from "./data.ts";
import { parseSmartctl } from "./smart/parse.ts";
import type { ToolRunner } from "./tool.ts";
import type { BackingDisk } from "./topology.ts";

/** @param disksOf the disks behind a root */
export function createSleepCheck(
  tool: ToolRunner,
  disksOf: (root: StorageRoot) => readonly BackingDisk[],
): (root: StorageRoot, signal: AbortSignal) => Promise<boolean> {
  return async (root, signal) => {
    for (const { disk } of disksOf(root)) {
      const sleeps = disk.rotational === true && /^(?:sata|scsi|usb)$/.test(disk.transport);
      if (!sleeps) continue;
      const device = `/dev/${disk.name}`;
      const run = await tool.run(["smartctl", "--json", "-n", "standby", "-i", device], signal);
      if (run.state !== "ran") continue;
      if (parseSmartctl({ device, roots: [], ...run }).standby) return true;
    }
    return false;
  };
}
