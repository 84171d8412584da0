// Plans the trim timer: for disks that take discards. Rotational disks need none.

import type { HostFacts } from "./discover.ts";
import { emptyPart, makeDirectorySteps, type PathContext } from "./plan-part.ts";
import type { PlanPart, TuneItem } from "./plan-part.ts";
import { trimLinkOperation, trimOperations, trimTimer, trimWantsPath } from "./trim.ts";

export function planTrim(facts: HostFacts, paths: PathContext): PlanPart {
  const { real } = paths;
  const { trim } = facts;
  const disks = facts.storages.flatMap((storage) => storage.backing.disks);
  const found = `${trim.enabled}, ${trim.active}`;
  const item = (state: TuneItem["state"], why: string): TuneItem => ({
    role: "host",
    item: "trim timer",
    subject: trimTimer,
    found,
    wanted: "enabled, active",
    state,
    why,
  });
  const part = (state: TuneItem["state"], why: string): PlanPart => ({
    ...emptyPart,
    items: [item(state, why)],
  });
  const flash = disks.filter((disk) => disk.discard === true || disk.rotational === false);
  if (disks.length > 0 && flash.length === 0) {
    return part("not_applicable", "all disks of the storage are rotational");
  }
  if (trim.unitPath === undefined) {
    return part("cannot", `${trimTimer} is not installed (package util-linux)`);
  }
  const why = `${flash.map((disk) => disk.path).join(", ") || "the models' disk"}: unused blocks are discarded weekly`;
  if (facts.relocated) {
    if (trim.enabled === "enabled") return part("ok", why);
    if (trim.enabled !== "disabled") return part("cannot", `its state is ${trim.enabled}`);
    const operations = [
      ...makeDirectorySteps(trimWantsPath, paths),
      trimLinkOperation(trim.unitPath, real),
    ];
    const onTheHost = [`systemctl start ${trimTimer}`];
    return { ...emptyPart, items: [item("change", why)], operations, onTheHost };
  }
  if (!facts.systemd) return part("cannot", "systemd does not run here");
  if (facts.container !== undefined && trim.active !== "active") {
    // Its own ConditionVirtualization=!container: `systemctl start` would answer 0 and start nothing.
    return part("cannot", `a container (${facts.container}): ${trimTimer} runs on the host`);
  }
  const operations = trimOperations(trim, {
    enable: real(trimWantsPath),
    start: real(trim.unitPath),
  });
  if (operations.length > 0) return { ...emptyPart, items: [item("change", why)], operations };
  const good = trim.enabled !== "masked" && trim.active === "active";
  return part(good ? "ok" : "cannot", good ? why : `its state is ${found}`);
}
