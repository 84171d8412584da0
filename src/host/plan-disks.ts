// Plans schedulers and the udev rule: for the disks below the two storages and for no other.

import type { AbsolutePath } from "../core/index.ts";
import type { Operation } from "../transaction/index.ts";
import { sha256 } from "./digest.ts";
import type { HostFacts, StorageFacts } from "./discover.ts";
import type { Disk } from "./disk.ts";
import { emptyPart, joinParts, makeDirectorySteps } from "./plan-part.ts";
import type { PathContext, PlanPart, TuneItem, TuneState } from "./plan-part.ts";
import { chooseScheduler, schedulerOperation } from "./scheduler.ts";
import { formatUdevRules, identifyDisk, isOurRulesFile, rulesOfRole } from "./udev.ts";
import { schedulerByRules, udevRulePath, withKeptRules, type SchedulerRule } from "./udev.ts";

/** Schedulers now, and the rule that keeps them. */
export function planDisks(facts: HostFacts, paths: PathContext): PlanPart {
  return joinParts([...facts.storages.map((each) => planNow(facts, each)), planRule(facts, paths)]);
}

function planNow(facts: HostFacts, storage: StorageFacts): PlanPart {
  const { disks, reason } = storage.backing;
  if (storage.mount === undefined || disks.length === 0) {
    const why = reason ?? "nothing is mounted there, so no disk is known";
    const items = [row(storage, "scheduler", storage.path, "-", "-", "cannot", why)];
    return { ...emptyPart, items };
  }
  return joinParts(disks.map((disk) => planDisk(facts, storage, disk)));
}

function planDisk(facts: HostFacts, storage: StorageFacts, disk: Disk): PlanPart {
  const choice = chooseScheduler(disk);
  const active = disk.scheduler?.active ?? "-";
  const part = (state: TuneState, why: string, operation?: Operation): PlanPart => ({
    ...emptyPart,
    items: [row(storage, "scheduler", disk.path, active, choice.wanted ?? "-", state, why)],
    operations: operation === undefined ? [] : [operation],
    notes:
      disk.transport === "virtio" && disk.rotational === true
        ? [`${disk.path} is virtual: it says that it rotates, whatever is behind it`]
        : [],
  });
  if (choice.wanted === undefined) {
    const loop = disk.transport === "loop";
    return part(loop ? "not_applicable" : "cannot", choice.why);
  }
  const operation = schedulerOperation(disk, choice.wanted);
  if (operation === undefined) return part("ok", choice.why);
  if (facts.relocated) {
    const command = `echo ${choice.wanted} > ${disk.path.replace("/dev/", "/sys/block/")}/queue/scheduler`;
    return { ...part("on_the_host", choice.why), onTheHost: [command] };
  }
  if (facts.unwritableSchedulers.includes(operation.path)) {
    return part("cannot", facts.privileged ? "/sys is read-only here (a container)" : "needs root");
  }
  return part("change", choice.why, operation);
}

function planRule(facts: HostFacts, paths: PathContext): PlanPart {
  const { real } = paths;
  const former = facts.udev.rules;
  const named = namedDisks(facts);
  if (named.rules.length === 0) return { ...emptyPart, items: named.items };
  if (former !== undefined && !isOurRulesFile(former)) {
    const conflict = {
      path: real(udevRulePath),
      code: "UDEV_RULE_FOREIGN",
      message: "a rules file that we did not write has our name",
      hint: "rename or remove it after looking at it, then run the command again",
    };
    return { ...emptyPart, items: named.items, conflicts: [conflict] };
  }
  const unseen = facts.storages.filter((storage) => storage.backing.disks.length === 0);
  const kept = unseen.flatMap((storage) => rulesOfRole(former ?? "", storage.role));
  const text = withKeptRules(formatUdevRules(named.rules), kept);
  const notes = facts.udev.later.map(
    (path) => `${path} sorts after our rule and sets a scheduler too: it has the last word`,
  );
  if (text === former) return { ...emptyPart, items: named.items, notes };
  const onTheHost = facts.relocated ? ["udevadm control --reload"] : [];
  const operations = [
    ...makeDirectorySteps(udevRulePath, paths),
    writeRule(real(udevRulePath), former, text),
  ];
  return { ...emptyPart, items: named.items, operations, onTheHost, notes };
}

function writeRule(path: AbsolutePath, former: string | undefined, text: string): Operation {
  return {
    op: "write_file",
    path,
    why: "keeps the schedulers after a reboot",
    before: former === undefined ? { type: "absent" } : { type: "file", sha256: sha256(former) },
    after: { type: "file", sha256: sha256(text), mode: 0o644 },
    content: text,
    contentEncoding: "utf8",
  };
}

interface NamedDisks {
  readonly rules: readonly SchedulerRule[];
  readonly items: readonly TuneItem[];
}

function namedDisks(facts: HostFacts): NamedDisks {
  const ours = facts.storages.flatMap((storage) => storage.backing.disks.map((disk) => disk.name));
  const others = facts.disks.filter((disk) => !ours.includes(disk.name));
  const rules: SchedulerRule[] = [];
  const items: TuneItem[] = [];
  for (const storage of facts.storages) {
    if (storage.mount === undefined) continue;
    for (const disk of storage.backing.disks) {
      const scheduler = chooseScheduler(disk).wanted;
      if (scheduler === undefined) continue;
      const found = schedulerByRules(facts.udev.rules ?? "", disk) ?? "no rule";
      const identity = identifyDisk(disk, others);
      const state = ruleState(facts, found === scheduler, identity !== undefined);
      const why = identity === undefined ? unnamed : `names this disk by ${identity.key}`;
      const shown = facts.container !== undefined && state === "cannot" ? inContainer : why;
      items.push(row(storage, "udev rule", disk.path, found, scheduler, state, shown));
      if (identity !== undefined && facts.container === undefined)
        rules.push({ role: storage.role, identity, scheduler, label: labelOf(disk) });
    }
  }
  return { rules, items };
}

const unnamed = "no serial, WWN or path that only this disk has: a rule would be a guess";
const inContainer = "a container: udev runs on the host";

function ruleState(facts: HostFacts, isThere: boolean, canBeNamed: boolean): TuneState {
  if (isThere) return "ok";
  if (!canBeNamed || facts.container !== undefined) return "cannot";
  return "change";
}

const labelOf = (disk: Disk) =>
  [disk.model ?? disk.transport, disk.serial === undefined ? "" : `serial ${disk.serial}`]
    .filter((text) => text !== "")
    .join(", ");

function row(
  storage: StorageFacts,
  item: "scheduler" | "udev rule",
  subject: string,
  found: string,
  wanted: string,
  state: TuneState,
  why: string,
): TuneItem {
  return { role: storage.role, item, subject, found, wanted, state, why };
}
