// The rules as udev reads them: a small evaluation of our own lines on every disk of every machine, by its real
// matching rules (glob patterns, `|` for alternatives), so that a rule that is too wide is found.

import { describe, expect, test } from "bun:test";
import type { Disk, DiskProperty } from "../../src/host/disk.ts";
import {
  formatUdevRules,
  identifyDisk,
  isOurRulesFile,
  quotePattern,
  rulesOfRole,
  schedulerByRules,
} from "../../src/host/udev.ts";

const disk = (name: string, identities: readonly DiskProperty[]): Disk => ({
  name,
  device: "8:0",
  path: `/dev/${name}`,
  sysPath: `/sys/devices/${name}` as Disk["sysPath"],
  transport: "sata",
  rotational: true,
  scheduler: { active: "none", available: ["none"] },
  readAheadBytes: undefined,
  discard: undefined,
  sizeBytes: undefined,
  model: undefined,
  serial: undefined,
  wwn: undefined,
  idPath: undefined,
  identities,
});
const serial = (value: string): DiskProperty => ({ key: "ENV{ID_SERIAL}", value });
const wwn = (value: string): DiskProperty => ({ key: "ENV{ID_WWN}", value });
const path = (value: string): DiskProperty => ({ key: "ENV{ID_PATH}", value });

/** udev(7): fnmatch-like patterns with `*`, `?`, `[]`, and `|` between alternatives. */
function patternMatches(pattern: string, value: string): boolean {
  return pattern.split("|").some((alternative) => {
    let source = "";
    for (let at = 0; at < alternative.length; at += 1) {
      const character = alternative[at] ?? "";
      const close = character === "[" ? alternative.indexOf("]", at + 1) : -1;
      if (character === "*") source += ".*";
      else if (character === "?") source += ".";
      else if (close !== -1) {
        source += `[${alternative.slice(at + 1, close).replace(/[\\^\]]/g, "\\$&")}]`;
        at = close;
      } else source += character.replace(/[.+^${}()|\\/[\]]/g, "\\$&");
    }
    return new RegExp(`^${source}$`, "s").test(value);
  });
}

/** The scheduler that the rules give to a block device of type disk. */
function evaluate(rules: string, target: Disk): string | undefined {
  let result: string | undefined;
  for (const line of rules.split("\n")) {
    if (line.startsWith("#") || line === "") continue;
    const terms = [...line.matchAll(/([A-Z]+(?:\{[^}]+\})?)(==|!=|=)"([^"]*)"/g)];
    expect(terms.map((term) => term[0]).join(", ")).toBe(line); // nothing of the line is left over
    const matches = terms.every(([, key = "", operator, pattern = ""]) => {
      if (operator === "=") return true;
      const known: Record<string, string> = {
        ACTION: "add",
        SUBSYSTEM: "block",
        "ENV{DEVTYPE}": "disk",
        KERNEL: target.name,
      };
      const value = known[key] ?? target.identities.find((id) => id.key === key)?.value;
      const found = value !== undefined && patternMatches(pattern, value);
      return operator === "==" ? found : !found;
    });
    if (matches) result = terms.find(([, , operator]) => operator === "=")?.[3];
  }
  return result;
}

const rule = (identity: DiskProperty, scheduler = "none") => ({
  role: "models" as const,
  identity,
  scheduler,
  label: "a disk",
});

describe("formatUdevRules", () => {
  test.each([
    "Vendor_SSD_4TB_S6P1",
    "with blank and, comma",
    "star*star",
    "question?mark",
    "bracket[0-9]",
    'quote"quote',
    "pipe|other",
    "back\\slash",
    "ünïcode",
  ])("%p names its own disk and no other", (value) => {
    const rules = formatUdevRules([rule(serial(value))]);
    expect(evaluate(rules, disk("sda", [serial(value)]))).toBe("none");
    const others = ["", "x", "other", "star_and_more_star", "bracket5", `${value}2`, `0${value}`];
    for (const other of others) {
      expect(`${other}: ${evaluate(rules, disk("sdb", [serial(other)]))}`).toBe(
        `${other}: undefined`,
      );
    }
    expect(schedulerByRules(rules, disk("sda", [serial(value)]))).toBe("none");
  });

  test("device-mapper, md and loop devices are left out even if they carry the name", () => {
    const rules = formatUdevRules([rule(serial("A"))]);
    for (const name of ["dm-0", "md127", "loop3"]) {
      expect(evaluate(rules, disk(name, [serial("A")]))).toBeUndefined();
    }
  });

  test("a label cannot end its comment", () => {
    const rules = formatUdevRules([
      { ...rule(serial("A")), label: 'x\nACTION=="add", RUN+="/bin/evil"' },
    ]);
    expect(rules.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toHaveLength(
      1,
    );
  });

  test("two paths of one disk need one line", () => {
    const rules = formatUdevRules([rule(wwn("0x5")), rule(wwn("0x5"))]);
    expect(rules.match(/^ACTION/gm)).toHaveLength(1);
  });

  test("is known as ours again, and gives back the blocks of a role", () => {
    const rules = formatUdevRules([
      rule(serial("A")),
      { ...rule(serial("B"), "mq-deadline"), role: "backup" },
    ]);
    expect(isOurRulesFile(rules)).toBe(true);
    expect(isOurRulesFile(`# mine\n${rules}`)).toBe(false);
    expect(rulesOfRole(rules, "backup")).toHaveLength(1);
    expect(rulesOfRole(rules, "backup")[0]).toContain("mq-deadline");
  });
});

describe("identifyDisk", () => {
  const a = disk("sda", [serial("S1"), wwn("W1"), path("P1")]);
  test("takes the serial number where it is unique", () =>
    expect(identifyDisk(a, [disk("sdb", [serial("S2")])])).toEqual(serial("S1")));
  test("takes the WWN where serial numbers are shared", () =>
    expect(identifyDisk(a, [disk("sdb", [serial("S1"), wwn("W2")])])).toEqual(wwn("W1")));
  test("takes the path as the last resort", () =>
    expect(identifyDisk(a, [disk("sdb", [serial("S1"), wwn("W1"), path("P2")])])).toEqual(
      path("P1"),
    ));
  test("takes nothing where everything is shared, or unprintable", () => {
    expect(identifyDisk(a, [disk("sdb", a.identities)])).toBeUndefined();
    expect(identifyDisk(disk("sdc", [serial("a\nb"), wwn(" ")]), [])).toBeUndefined();
  });
});

test("quotePattern leaves plain values alone", () => {
  expect(quotePattern("0x5000c500a0b1c2d3")).toBe("0x5000c500a0b1c2d3");
  expect(quotePattern("a*b?c")).toBe("a[*]b[?]c");
});
