// The whole tuning plan from facts alone: the same facts give the same plan. What is read is in discover.ts, what is
// done in the transaction engine.

import type { AbsolutePath } from "../core/index.ts";
import type { Operation, Plan } from "../transaction/index.ts";
import type { HostFacts } from "./discover.ts";
import type { TuneProfile } from "./mount-options.ts";
import { planDisks } from "./plan-disks.ts";
import { planFstab } from "./plan-fstab.ts";
import { planMounts } from "./plan-mount.ts";
import { joinParts, type PathContext, type TuneItem } from "./plan-part.ts";
import { planTrim } from "./plan-trim.ts";

export interface TunePlan {
  readonly profile: TuneProfile;
  readonly items: readonly TuneItem[];
  readonly plan: Plan;
  readonly risks: readonly string[];
  readonly proposals: readonly string[];
  readonly notes: readonly string[];
  /** Items that are set, but in force only from the next mount on. */
  readonly pending: readonly TuneItem[];
  /** Items that this process cannot do here. */
  readonly couldNot: readonly TuneItem[];
  /** Items that could be done, and wait because the plan has conflicts: it is applied as a whole or not at all. */
  readonly held: readonly TuneItem[];
  /** The new option field of fstab by mount point. */
  readonly fstabOptions: ReadonlyMap<string, string>;
}

export interface TuneOptions {
  readonly profile: TuneProfile;
  readonly remountNow: boolean;
  readonly paths: PathContext;
}

/** Plans everything of spec/tune.md's table for this host. */
export function planTune(facts: HostFacts, options: TuneOptions): TunePlan {
  const { profile, remountNow, paths } = options;
  const fstab = planFstab(facts, profile, paths.real);
  const mounts = planMounts(facts, {
    profile,
    remountNow,
    fstabOptions: fstab.optionsByMountpoint,
  });
  const disks = planDisks(facts, paths);
  const trim = planTrim(facts, paths);
  const all = joinParts([fstab, mounts, disks, trim]);
  const items = facts.privileged ? all.items : all.items.map(withoutPrivilege);
  const operations = withoutDuplicates([
    ...bracketed(fstab.operations, facts.systemd ? daemonReload : undefined),
    ...mounts.operations,
    ...disks.operations.filter((operation) => operation.op === "set_value"),
    ...bracketed(
      disks.operations.filter((operation) => operation.op !== "set_value"),
      facts.udev.running && facts.tools.udevadm ? udevReload : undefined,
    ),
    ...trim.operations,
  ]);
  return {
    profile,
    items,
    plan: {
      command: "tune apply",
      operations,
      conflicts: all.conflicts,
      unchanged: items.filter((item) => item.state === "ok").length,
      onTheHost: all.onTheHost,
      warnings: [],
      // Without a step there is nothing to remember: a host that is tuned already gets no generation.
      annotations: operations.length === 0 ? undefined : { tune: { profile } },
    },
    risks: risksOf(fstab.optionsByMountpoint),
    proposals: all.proposals,
    notes: all.notes,
    pending: items.filter((item) => item.state === "pending"),
    couldNot: items.filter((item) => item.state === "cannot"),
    held: all.conflicts.length === 0 ? [] : items.filter((item) => item.state === "change"),
    fstabOptions: fstab.optionsByMountpoint,
  };
}

/** One disk may hold both storages, and two files may need the same directory: such a step is planned once. */
function withoutDuplicates(operations: readonly Operation[]): Operation[] {
  const seen = new Set<string>();
  return operations.filter(({ op, path }) => {
    if (op !== "set_value" && op !== "make_dir") return true;
    const isNew = !seen.has(path);
    seen.add(path);
    return isNew;
  });
}

function withoutPrivilege(item: TuneItem): TuneItem {
  if (item.state !== "change") return item;
  return { ...item, state: "cannot", why: `${item.why} (needs root)` };
}

interface Reload {
  readonly path: AbsolutePath;
  readonly command: readonly string[];
  readonly why: string;
}

const daemonReload: Reload = {
  path: "/run/systemd/system" as AbsolutePath,
  command: ["systemctl", "daemon-reload"],
  why: "systemd's mount units are stale until then",
};

const udevReload: Reload = {
  path: "/run/udev/control" as AbsolutePath,
  command: ["udevadm", "control", "--reload"],
  why: "udevd reads the rules again",
};

/**
 * Steps between two reloads: the first one does nothing forward and reloads when everything behind it is undone,
 * the last one reloads forward. So both ways end with the daemon reading what is on disk.
 */
function bracketed(operations: readonly Operation[], reload: Reload | undefined): Operation[] {
  if (operations.length === 0 || reload === undefined) return [...operations];
  const { path, command, why } = reload;
  const step = (apply: readonly string[], undo: readonly string[], reason: string): Operation => ({
    op: "run_command",
    path,
    why: reason,
    before: { type: "external", value: "loaded" },
    after: { type: "external", value: "loaded" },
    command: { apply, undo, timeoutMs: 30_000 },
  });
  const words = command.join(" ");
  return [
    step(["true"], command, `\`${words}\` when the next steps are taken back`),
    ...operations,
    step(command, ["true"], `\`${words}\`: ${why}`),
  ];
}

function risksOf(fstabOptions: ReadonlyMap<string, string>): readonly string[] {
  const fields = [...fstabOptions.values()].map((text) => text.split(","));
  const has = (...options: string[]) =>
    fields.some((field) => field.some((option) => options.includes(option)));
  const risks: string[] = [];
  if (has("barrier=0", "nobarrier")) {
    risks.push("barrier=0: a power cut can lose or corrupt the whole file system");
  }
  if (has("data=writeback")) {
    risks.push("data=writeback: after a crash, files written without fsync may show old blocks");
  }
  return risks;
}
