// The udev rule that keeps the scheduler after a reboot: one line per disk, naming that disk and no other. Pure.
// It has to sort after 60-persistent-storage.rules, which sets ID_SERIAL, ID_WWN and ID_PATH (udev(7)).

import type { Disk, DiskProperty } from "./disk.ts";
import type { StorageRole } from "./mount-options.ts";

/** A host path. */
export const udevRulePath = "/etc/udev/rules.d/99-citadel-storage.rules";
export const udevRuleName = "99-citadel-storage.rules";

const header = "# Written by `citadel-agent tune apply`; `tune rollback` takes it back.";

/** One rule of our file. */
export interface SchedulerRule {
  readonly role: StorageRole;
  readonly identity: DiskProperty;
  readonly scheduler: string;
  /** For a person: `Vendor SSD 4TB, serial S6P1`. */
  readonly label: string;
}

/**
 * The first property that names `disk` and no other disk of the host that is not meant too.
 * @param others every other disk of the host (the paths of one multipath disk share their names, so leave them out)
 * @returns undefined where nothing does: then a rule would be a guess
 */
export function identifyDisk(disk: Disk, others: readonly Disk[]): DiskProperty | undefined {
  return disk.identities.find(
    ({ key, value }) =>
      isPlain(value) &&
      !others.some((other) => other.identities.some((id) => id.key === key && id.value === value)),
  );
}

// A newline would end the rule, and NUL the file for udev; neither occurs in a serial number that is not broken.
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const isPlain = (value: string) => !/[\x00-\x1f\x7f]/.test(value) && value.trim() !== "";

/**
 * A value for `==`, which is a glob pattern: special characters stand for themselves in brackets. `"` and `|` cannot
 * be written inside brackets safely, and become `?`.
 */
export function quotePattern(value: string): string {
  return value
    .replace(/[*?[\]\\]/g, (character) =>
      character === "\\" || character === "]" ? "?" : `[${character}]`,
    )
    .replace(/["|]/g, "?");
}

/** The rules file. The same rules give the same bytes, whatever the kernel calls the disks this time. */
export function formatUdevRules(rules: readonly SchedulerRule[]): string {
  const blocks = rules.map(({ role, identity, scheduler, label }) => {
    const match = `${identity.key}=="${quotePattern(identity.value)}"`;
    return [
      `# ${role}: ${label.replaceAll(/[^\x20-\x7e]/g, "?")}`,
      `ACTION=="add|change", SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", KERNEL!="dm-*|md*|loop*", ${match}, ATTR{queue/scheduler}="${scheduler}"`,
    ].join("\n");
  });
  const unique = [...new Set(blocks)];
  return `${[header, ...unique].join("\n")}\n`;
}

/** Whether a rules file is ours, so that it may be replaced. */
export function isOurRulesFile(text: string): boolean {
  return text.startsWith(header);
}

/** The role's blocks of our file, verbatim: kept while the role's disk cannot be seen. */
export function rulesOfRole(text: string, role: StorageRole): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, at) => {
    const rule = lines[at + 1];
    return line.startsWith(`# ${role}: `) && rule !== undefined ? [`${line}\n${rule}`] : [];
  });
}

/** Joins blocks that are kept to a new file; order: as formatted, then the kept ones. */
export function withKeptRules(text: string, kept: readonly string[]): string {
  const missing = kept.filter((block) => !text.includes(block));
  return missing.length === 0 ? text : `${text}${missing.join("\n")}\n`;
}

/** The scheduler that our file gives to a disk with these properties; undefined: no rule names it. */
export function schedulerByRules(text: string, disk: Disk): string | undefined {
  let found: string | undefined;
  for (const line of text.split("\n")) {
    if (line.trimStart().startsWith("#")) continue;
    const scheduler = /ATTR\{queue\/scheduler\}="([^"]+)"/.exec(line)?.[1];
    if (scheduler === undefined) continue;
    const named = disk.identities.some(({ key, value }) =>
      line.includes(` ${key}=="${quotePattern(value)}",`),
    );
    if (named) found = scheduler;
  }
  return found;
}
