// Which I/O scheduler a disk should have, and the step that sets it now. The rule that keeps it is in udev.ts.

import { joinPath } from "../core/index.ts";
import type { Operation } from "../transaction/index.ts";
import type { Disk } from "./disk.ts";

export interface SchedulerChoice {
  /** undefined: nothing can or should be set; `why` says so. */
  readonly wanted: string | undefined;
  readonly why: string;
}

// Kernels before 5.0 without blk-mq (RHEL 7) call them noop and deadline.
const names = {
  flash: ["none", "noop"],
  rotational: ["mq-deadline", "deadline"],
} as const;

/** The scheduler of spec/tune.md's table, by the rotational flag, never by the device's name. */
export function chooseScheduler(disk: Disk): SchedulerChoice {
  if (disk.transport === "loop") {
    return { wanted: undefined, why: "a loop device: the disk below its file decides" };
  }
  if (disk.rotational === undefined) {
    return { wanted: undefined, why: "/sys does not say whether it rotates" };
  }
  if (disk.scheduler === undefined) {
    return { wanted: undefined, why: "its queue has no scheduler" };
  }
  const candidates = disk.rotational ? names.rotational : names.flash;
  const available = disk.scheduler.available;
  const wanted = candidates.find((name) => available.includes(name));
  const kind = disk.rotational ? "a rotational disk" : "not rotational";
  if (wanted !== undefined) return { wanted, why: kind };
  const offered = available.join(" ");
  return { wanted: undefined, why: `${kind}, but this kernel offers only: ${offered}` };
}

/** The step that sets the scheduler of one disk now; undefined where it is set already. */
export function schedulerOperation(disk: Disk, wanted: string): Operation | undefined {
  const active = disk.scheduler?.active;
  if (active === undefined || active === wanted) return undefined;
  return {
    op: "set_value",
    path: joinPath(disk.sysPath, "queue/scheduler"),
    why: `${disk.rotational === true ? "a rotational disk" : "not rotational"}: ${wanted} instead of ${active}`,
    before: { type: "value", value: active },
    after: { type: "value", value: wanted },
  };
}
