// Checks of mounts, their options, schedulers and the trim timer, from the facts that the tuning planner uses too.

import type { HostFacts, StorageFacts } from "../discover.ts";
import type { Disk } from "../disk.ts";
import { missingOptions, wantedOptions, type TuneProfile } from "../mount-options.ts";
import { chooseScheduler } from "../scheduler.ts";
import { schedulerByRules, udevRulePath } from "../udev.ts";
import { shorten, type Check } from "./check.ts";

/** Check 2: both storage roots lie on a mount of their own; a mount point, not a name that looks like one. */
export function checkMounts(facts: HostFacts): Check {
  const missing = facts.storages.filter((storage) => storage.mount === undefined);
  const found = facts.storages.map(({ mount, mountpoint, path, backing }) =>
    mount === undefined
      ? `${mountpoint ?? path}: not mounted${backing.reason === undefined ? "" : ` (${backing.reason})`}`
      : `${mount.mountpoint}: ${mount.source} (${mount.fstype})`,
  );
  const first = missing[0];
  return {
    id: "mounts",
    name: "Storage Mounts",
    ok: missing.length === 0 && facts.storages.length > 0,
    found: found.join("; "),
    wanted: `${facts.storages.map(({ path }) => path).join(" and ")} on mounts of their own`,
    fix: first === undefined ? null : mountCommand(first),
  };
}

const mountCommand = (storage: StorageFacts) =>
  storage.linked !== undefined
    ? `mount ${storage.path} itself, or: ${storage.linked.split("; ").at(-1) ?? ""}`
    : storage.mountpoint === undefined
      ? `add ${storage.path} to /etc/fstab by UUID (\`blkid\` shows it), then \`mount ${storage.path}\``
      : `mount ${storage.mountpoint}`;

/** Check 3: the options in force on the mounts, not words anywhere in the mount list; unmounted fails. */
export function checkMountOptions(facts: HostFacts, profile: TuneProfile): Check {
  const results = facts.storages.map((storage) => optionsOf(facts, storage, profile));
  const ok = results.length > 0 && results.every((result) => result.lacking.length === 0);
  const pending = results.some(({ lacking }) =>
    lacking.some((option) => option.startsWith("data=")),
  );
  const mended = pending
    ? "citadel-agent tune apply, then reboot (data= changes at the next mount) or citadel-agent tune apply --remount-now"
    : "citadel-agent tune apply";
  return {
    id: "mount_options",
    name: "Mount Options",
    ok,
    found: results.map((result) => result.found).join("; "),
    wanted: results.map((result) => result.wanted).join("; "),
    fix: ok ? null : mended,
  };
}

function optionsOf(facts: HostFacts, storage: StorageFacts, profile: TuneProfile) {
  const { mount, role, ext4 } = storage;
  if (mount === undefined) {
    const subject = storage.mountpoint ?? storage.path;
    const found = `${subject}: not mounted, so no options are in force`;
    return { found, wanted: `${subject}: mounted`, lacking: ["mounted"] };
  }
  const wanted = wantedOptions(role, profile, mount.fstype, {
    hasJournal: ext4?.hasJournal,
    mayAssumeJournal: facts.relocated,
  });
  const shown = [...mount.mountOptions, ...mount.superOptions];
  const lacking = missingOptions({ shown, ext4: ext4?.options }, wanted.options);
  const data = ext4?.options?.find((line) => line.startsWith("data="));
  const visible = mount.superOptions.some((option) => option.startsWith("data="));
  const list = [
    ...mount.mountOptions,
    ...mount.superOptions.filter((o) => o !== "rw" && o !== "ro"),
  ];
  if (data !== undefined && !visible) list.push(data);
  const lacks = lacking.length === 0 ? "" : ` (lacks ${lacking.join(", ")})`;
  const point = mount.mountpoint;
  const none = wanted.options.length === 0;
  return {
    found: `${point}: ${list.join(",")}${lacks}`,
    wanted: `${point}: ${none ? `nothing (${mount.fstype})` : wanted.options.join(",")}`,
    lacking,
  };
}

/** Check 8: each disk of both storages has its scheduler now, and a rule of ours that gives it after a reboot. */
export function checkSchedulers(facts: HostFacts): Check {
  const problems: string[] = [];
  const good: string[] = [];
  const wanted: string[] = [];
  for (const storage of facts.storages) {
    const { disks, reason } = storage.backing;
    const isMounted = storage.mount !== undefined;
    if (!isMounted || disks.length === 0) {
      const why = isMounted ? (reason ?? "no disk found") : "not mounted, so its disk is not known";
      problems.push(`${storage.role}: ${why}`);
      continue;
    }
    for (const disk of disks) {
      const verdict = judgeDisk(facts, disk);
      (verdict.ok ? good : problems).push(verdict.text);
      wanted.push(`${disk.path}: ${chooseScheduler(disk).wanted ?? "a known scheduler"}`);
    }
  }
  problems.push(...facts.udev.later.map((path) => `${path} overrides our rule at the next boot`));
  const expected = [...new Set(wanted)].join("; ");
  return {
    id: "schedulers",
    name: "I/O Schedulers",
    ok: problems.length === 0 && good.length > 0,
    found: shorten([...new Set([...problems, ...good])], 6),
    wanted: `${expected === "" ? "none for flash, mq-deadline for rotational disks" : expected}, now and by ${udevRulePath}`,
    fix: problems.length === 0 ? null : "citadel-agent tune apply",
  };
}

function judgeDisk(facts: HostFacts, disk: Disk): { ok: boolean; text: string } {
  const { wanted, why } = chooseScheduler(disk);
  if (wanted === undefined) return { ok: false, text: `${disk.path}: ${why}` };
  const active = disk.scheduler?.active ?? "unknown";
  const byRule = schedulerByRules(facts.udev.rules ?? "", disk);
  const ok = active === wanted && byRule === wanted;
  const after = byRule === undefined ? "no rule for after a reboot" : `rule: ${byRule}`;
  return { ok, text: `${disk.path}: ${active} now, ${after}` };
}

/** Check 9: the timer is enabled and runs; where nobody can ask systemd, that it is enabled. */
export function checkTrim(facts: HostFacts): Check {
  const { trim } = facts;
  const enabled = trim.enabled === "enabled";
  const runs = facts.systemd ? trim.active === "active" : facts.relocated;
  const activity = facts.systemd
    ? trim.active
    : facts.relocated
      ? "whether it runs is for the booted host to say"
      : "systemd does not run here";
  const missing = trim.unitPath === undefined;
  return {
    id: "trim",
    name: "TRIM Service",
    ok: enabled && runs && !missing,
    found: missing ? "fstrim.timer is not installed" : `fstrim.timer: ${trim.enabled}, ${activity}`,
    wanted: "fstrim.timer: enabled, active",
    fix:
      enabled && runs && !missing
        ? null
        : missing
          ? "install util-linux, then citadel-agent tune apply"
          : facts.container === undefined
            ? "citadel-agent tune apply (or: systemctl enable --now fstrim.timer)"
            : "on the host, outside the container: systemctl enable --now fstrim.timer",
  };
}
