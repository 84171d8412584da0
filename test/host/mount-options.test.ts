import { describe, expect, test } from "bun:test";
import {
  isTunableType,
  mergeOptions,
  missingOptions,
  splitOptions,
  wantedOptions,
} from "../../src/host/mount-options.ts";

const known = { hasJournal: true, mayAssumeJournal: false };

describe("wantedOptions", () => {
  test.each([
    ["models", "safe", "ext4", "noatime,nodiratime,data=writeback"],
    ["models", "safe", "xfs", "noatime,nodiratime"],
    ["models", "safe", "btrfs", "noatime,nodiratime"],
    ["backup", "safe", "ext4", "noatime,data=ordered"],
    ["backup", "safe", "xfs", "noatime"],
    ["models", "planb-02", "ext4", "noatime,nodiratime,barrier=0,data=writeback"],
    ["models", "planb-02", "xfs", "noatime,nodiratime"],
    ["models", "planb-02", "btrfs", "noatime,nodiratime"],
    ["backup", "planb-02", "ext4", "noatime,barrier=1,data=ordered"],
    ["models", "safe", "ext3", "noatime,nodiratime"],
    ["models", "planb-02", "nfs4", ""],
  ] as const)("%s %s on %s: %s", (role, profile, fstype, wanted) => {
    expect(wantedOptions(role, profile, fstype, known).options.join(",")).toBe(wanted);
  });

  test("says what it leaves out of planb-02 on xfs", () => {
    const { notes } = wantedOptions("models", "planb-02", "xfs", known);
    expect(notes[0]).toContain("barrier=0 and data=writeback are left out");
  });

  test("leaves data= out of an ext4 without journal, and where nobody could look", () => {
    for (const hasJournal of [false, undefined]) {
      const journal = { hasJournal, mayAssumeJournal: false };
      const wanted = wantedOptions("models", "safe", "ext4", journal);
      expect(wanted.options).toEqual(["noatime", "nodiratime"]);
      expect(wanted.notes[0]).toContain("data=writeback is left out");
    }
  });

  test("writes data= below --root, with a remark", () => {
    const journal = { hasJournal: undefined, mayAssumeJournal: true };
    const wanted = wantedOptions("models", "safe", "ext4", journal);
    expect(wanted.options).toContain("data=writeback");
    expect(wanted.notes[0]).toContain("cannot be read here");
  });

  test.each(["nfs", "cifs", "fuse.mergerfs", "tmpfs", "zfs", "overlay"])(
    "%s is left alone",
    (fstype) => expect(isTunableType(fstype)).toBe(false),
  );
});

describe("mergeOptions", () => {
  const models = ["noatime", "nodiratime", "data=writeback"];
  test.each([
    [undefined, models, "defaults,noatime,nodiratime,data=writeback"],
    ["", models, "defaults,noatime,nodiratime,data=writeback"],
    ["defaults", models, "defaults,noatime,nodiratime,data=writeback"],
    ["rw,relatime", models, "rw,noatime,nodiratime,data=writeback"],
    ["rw,nosuid,relatime,errors=remount-ro", ["noatime"], "rw,nosuid,noatime,errors=remount-ro"],
    [
      "defaults,nofail,x-systemd.device-timeout=5s",
      ["noatime"],
      "defaults,nofail,x-systemd.device-timeout=5s,noatime",
    ],
    ["data=journal,atime,diratime,strictatime", models, "data=writeback,noatime,nodiratime"],
    ["nobarrier", ["barrier=1"], "barrier=1"],
    ["barrier=1,noatime", ["barrier=0"], "barrier=0,noatime"],
    [
      'context="system_u:object_r:x,y",relatime',
      ["noatime"],
      'context="system_u:object_r:x,y",noatime',
    ],
    [
      "lazytime,subvol=/@models,compress=zstd:1",
      ["noatime"],
      "lazytime,subvol=/@models,compress=zstd:1,noatime",
    ],
  ])("%j and %j give %j", (existing, wanted, text) => {
    expect(mergeOptions(existing, wanted).text).toBe(text);
  });

  test.each(["noatime,nodiratime,data=writeback", ",noatime,,nodiratime,data=writeback,"])(
    "keeps %j to the byte when nothing is missing",
    (existing) => {
      const merged = mergeOptions(existing, models);
      expect(merged).toEqual({ text: existing, added: [], removed: [] });
    },
  );

  test("the last of two contradicting options counts, as mount(8) reads them", () => {
    expect(mergeOptions("noatime,relatime", ["noatime"])).toEqual({
      text: "noatime",
      added: ["noatime"],
      removed: ["noatime", "relatime"],
    });
    expect(mergeOptions("relatime,noatime", ["noatime"]).added).toEqual([]);
  });

  test("merging twice changes nothing", () => {
    const once = mergeOptions("rw,relatime,user", models).text;
    expect(mergeOptions(once, models).text).toBe(once);
  });

  test("nobarrier is barrier=0", () => {
    expect(mergeOptions("nobarrier", ["barrier=0"]).added).toEqual([]);
  });
});

describe("missingOptions", () => {
  test("sees through options the kernel hides", () => {
    const live = { shown: ["rw", "noatime", "nodiratime"], ext4: ["barrier", "data=writeback"] };
    expect(missingOptions(live, ["noatime", "barrier=1", "data=writeback"])).toEqual([]);
    expect(missingOptions(live, ["barrier=0", "data=ordered"])).toEqual([
      "barrier=0",
      "data=ordered",
    ]);
  });

  test("what cannot be seen is missing, but for the default barrier", () => {
    const live = { shown: ["rw", "relatime"], ext4: undefined };
    expect(missingOptions(live, ["noatime", "data=ordered", "barrier=1"])).toEqual([
      "noatime",
      "data=ordered",
    ]);
  });

  test("reads nobarrier of the mount table as barrier=0", () => {
    const live = { shown: ["rw", "nobarrier"], ext4: undefined };
    expect(missingOptions(live, ["barrier=0"])).toEqual([]);
    expect(missingOptions(live, ["barrier=1"])).toEqual(["barrier=1"]);
  });
});

test("splitOptions keeps quoted commas", () => {
  expect(splitOptions('a,context="x,y",b')).toEqual(["a", 'context="x,y"', "b"]);
});
