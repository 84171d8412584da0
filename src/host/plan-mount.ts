// Plans what changes on a mounted file system: flags and barriers by a remount, the data mode at the next mount
// (set in the superblock too, where that is safe), or at once with --remount-now.

import type { Operation } from "../transaction/index.ts";
import type { HostFacts, StorageFacts } from "./discover.ts";
import { journalModeOperation } from "./ext4.ts";
import { effectiveOption, missingOptions, wantedOptions } from "./mount-options.ts";
import type { TuneProfile } from "./mount-options.ts";
import { emptyPart, joinParts, type PlanPart, type TuneItem } from "./plan-part.ts";
import { flagsAfter, remountBarrierOperation, remountFlagsOperation } from "./remount.ts";
import { replaceMountOperation } from "./remount.ts";

export interface MountPlanOptions {
  readonly profile: TuneProfile;
  readonly remountNow: boolean;
  /** The option field that fstab has or will have, by mount point. */
  readonly fstabOptions: ReadonlyMap<string, string>;
}

export function planMounts(facts: HostFacts, options: MountPlanOptions): PlanPart {
  const seen = new Set<string>();
  return joinParts(
    facts.storages.map((storage) => {
      if (storage.mountpoint !== undefined && seen.has(storage.mountpoint)) return emptyPart;
      seen.add(storage.mountpoint ?? storage.path);
      return planMount(facts, storage, options);
    }),
  );
}

function planMount(facts: HostFacts, storage: StorageFacts, options: MountPlanOptions): PlanPart {
  const { mount, role, mountpoint } = storage;
  if (mount === undefined) {
    if (mountpoint === undefined) return emptyPart; // said by the part for fstab
    const item = row(storage, "mount options", "not mounted", "-", "not_applicable", "not mounted");
    return { ...emptyPart, items: [item] };
  }
  const wanted = wantedOptions(role, options.profile, mount.fstype, {
    hasJournal: storage.ext4?.hasJournal,
    mayAssumeJournal: facts.relocated,
  }).options;
  if (wanted.length === 0) {
    const why = `${mount.fstype} is left alone`;
    return {
      ...emptyPart,
      items: [row(storage, "mount options", mount.fstype, "-", "not_applicable", why)],
    };
  }
  const shown = [...mount.mountOptions, ...mount.superOptions];
  const missing = missingOptions({ shown, ext4: storage.ext4?.options }, wanted);
  const data = missing.find((option) => option.startsWith("data="));
  const now = missing.filter((option) => option !== data);
  const replace = data === undefined ? undefined : planReplace(facts, storage, data, options);
  const done = replace?.operations.length === 1;
  return joinParts([
    planNow(facts, storage, wanted, now, done),
    wanted.includes("data=writeback")
      ? planJournalMode(facts, storage, data === undefined)
      : emptyPart,
    data === undefined ? settledData(storage, wanted) : (replace ?? emptyPart),
  ]);
}

/** What a remount can change: flags and barriers. @param byReplace the new mount brings them anyway */
function planNow(
  facts: HostFacts,
  storage: StorageFacts,
  wanted: readonly string[],
  missing: readonly string[],
  byReplace: boolean,
): PlanPart {
  const { mount } = storage;
  if (mount === undefined) return emptyPart;
  const withoutData = wanted.filter((option) => !option.startsWith("data="));
  const found = mount.mountOptions.join(",");
  const state = { found, wanted: withoutData.join(",") };
  const item = (status: TuneItem["state"], why: string) =>
    row(storage, "mount options", state.found, state.wanted, status, why);
  if (missing.length === 0) return { ...emptyPart, items: [item("ok", "in force")] };
  const lacks = `${missing.join(", ")} not in force`;
  if (facts.relocated) {
    const command = `mount -o remount,${missing.join(",")} ${mount.mountpoint}`;
    return { ...emptyPart, items: [item("on_the_host", lacks)], onTheHost: [command] };
  }
  if (!facts.tools.mount || !facts.tools.findmnt) {
    return { ...emptyPart, items: [item("cannot", `${lacks}; mount and findmnt are needed`)] };
  }
  if (byReplace) return { ...emptyPart, items: [item("change", `${lacks}; comes with the mount`)] };
  const operations = nowOperations(facts, storage, missing);
  return { ...emptyPart, items: [item("change", `${lacks}; by a remount`)], operations };
}

function nowOperations(
  facts: HostFacts,
  storage: StorageFacts,
  missing: readonly string[],
): Operation[] {
  const { mount, ext4 } = storage;
  const [holder] = storage.backing.holders;
  if (mount === undefined) return [];
  const flags = remountFlagsOperation(mount, missing);
  const after = flagsAfter(mount.mountOptions, missing);
  const barrier = missing.find((option) => option.startsWith("barrier="));
  const canSetBarrier = barrier === "barrier=0" || barrier === "barrier=1";
  const barriers =
    canSetBarrier && ext4?.options !== undefined && holder !== undefined && facts.proc !== undefined
      ? remountBarrierOperation(facts.proc, mount, holder.name, ext4.options, barrier, after)
      : undefined;
  return [flags, barriers].filter((operation) => operation !== undefined);
}

function settledData(storage: StorageFacts, wanted: readonly string[]): PlanPart {
  const data = wanted.find((option) => option.startsWith("data="));
  if (data === undefined) return emptyPart;
  return { ...emptyPart, items: [row(storage, "data mode", data, data, "ok", "in force")] };
}

/** The data mode: at the next mount, or now where that was asked for and nothing stands in the way. */
function planReplace(
  facts: HostFacts,
  storage: StorageFacts,
  data: string,
  options: MountPlanOptions,
): PlanPart {
  const { mount, mountpoint } = storage;
  const [holder] = storage.backing.holders;
  const lines = storage.ext4?.options;
  const found = lines === undefined ? undefined : effectiveOption(lines, data);
  const item = (state: TuneItem["state"], why: string) =>
    row(storage, "data mode", found ?? "not shown", data, state, why);
  const pending = (why: string): PlanPart => ({
    ...emptyPart,
    items: [item("pending", `pending: next mount (${why})`)],
  });
  if (!options.remountNow) return pending("ext4 cannot change data= while mounted");
  const obstacle = obstacleTo(facts, storage);
  const after = mountpoint === undefined ? undefined : options.fstabOptions.get(mountpoint);
  if (obstacle !== undefined) return pending(`--remount-now: ${obstacle}`);
  const { proc } = facts;
  const { node, uuid } = storage;
  const unknown = mount === undefined || holder === undefined || found === undefined;
  if (unknown || after === undefined || proc === undefined) {
    return pending("--remount-now: its present options could not be read");
  }
  if (node === undefined || uuid === undefined) {
    return pending("--remount-now: its device and UUID could not be read");
  }
  const modes = { before: found.slice("data=".length), after: data.slice("data=".length) };
  const flags = { before: mount.mountOptions, after };
  const device = { path: node, uuid };
  const operation = replaceMountOperation(proc, mount, holder.name, modes, flags, device);
  return { ...emptyPart, items: [item("change", "unmount and mount")], operations: [operation] };
}

/** Why it must not be unmounted; umount(2) refuses by itself what comes into use later. */
function obstacleTo(facts: HostFacts, storage: StorageFacts): string | undefined {
  if (facts.relocated) return "only on the host itself";
  if (!facts.privileged) return "needs root";
  if (storage.alsoMountedAt.length > 0) {
    return `the file system is also mounted at ${storage.alsoMountedAt.join(", ")}`;
  }
  if (storage.mountsBelow.length > 0) return `mounted below it: ${storage.mountsBelow.join(", ")}`;
  const [user, ...others] = storage.users;
  if (user === undefined) return undefined;
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `in use by ${user.name} (pid ${user.pid}, ${user.path})${more}`;
}

/** The superblock's default for the next mount; `data=ordered` is what ext4 does without a flag. */
function planJournalMode(facts: HostFacts, storage: StorageFacts, inForce: boolean): PlanPart {
  if (inForce && (facts.relocated || storage.defaultMountOptions === undefined)) return emptyPart;
  if (facts.relocated) {
    const command = `tune2fs -o journal_data_writeback ${storage.mount?.source ?? "DEVICE"}`;
    return { ...emptyPart, onTheHost: [command] };
  }
  const { node, uuid, defaultMountOptions } = storage;
  if (node === undefined || uuid === undefined || defaultMountOptions === undefined) {
    const note = `the superblock of ${storage.mount?.source ?? "the device"} was not read: fstab alone sets data=writeback`;
    return { ...emptyPart, notes: [note] };
  }
  if (defaultMountOptions.includes("journal_data_writeback")) return emptyPart;
  if (!storage.ext4?.hasJournal) return emptyPart;
  return { ...emptyPart, operations: [journalModeOperation(node, uuid)] };
}

function row(
  storage: StorageFacts,
  item: "mount options" | "data mode",
  found: string,
  wanted: string,
  state: TuneItem["state"],
  why: string,
): TuneItem {
  const subject = storage.mountpoint ?? storage.path;
  return { role: storage.role, item, subject, found, wanted, state, why };
}
