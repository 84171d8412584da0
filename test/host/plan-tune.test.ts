import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { discoverHost, planTune, type HostFacts, type TunePlan } from "../../src/host/index.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { createHostPaths, readEnvironment } from "../../src/system/index.ts";
import { createHostTree, type TreeDisk, type TreeMount } from "../support/host-tree.ts";
import * as machines from "../support/machines.ts";

setDefaultTimeout(60_000); // a machine that is busy with other tests is no failure

type Spec = Parameters<typeof createHostTree>[0];

const fstab =
  "UUID=root / ext4 defaults 0 1\nUUID=models /mnt/citadel-models ext4 defaults 0 2\nUUID=backup /mnt/citadel-backup ext4 defaults,nofail 0 2\n";
const unit = "usr/lib/systemd/system/fstrim.timer";
const ext4Options = (data: string) => `rw\nbarrier\ndata=${data}\nerrors=continue\n`;
const seed: Spec = {
  ...machines.seedMachine,
  files: {
    "etc/fstab": fstab,
    [unit]: "[Timer]\nOnCalendar=weekly\n",
    "proc/fs/ext4/nvme1n1p1/options": ext4Options("ordered"),
    "proc/fs/ext4/sda1/options": ext4Options("ordered"),
  },
};

/** Facts of a tree, as they are below --root, or as a running host with systemd and root would have them. */
async function factsOf(spec: Spec, live: Partial<HostFacts> | undefined): Promise<HostFacts> {
  using tree = createHostTree(spec);
  const world = { hostPaths: createHostPaths(tree.root), environment: readEnvironment() };
  const { real } = world.hostPaths;
  const facts = await discoverHost(world, {
    roots: { models: real("/mnt/citadel-models"), backup: real("/mnt/citadel-backup") },
  });
  if (live === undefined) return facts;
  return {
    ...facts,
    privileged: true,
    relocated: false,
    systemd: true,
    unwritableSchedulers: [],
    tools: { findmnt: true, tune2fs: true, udevadm: true, mount: true },
    udev: { ...facts.udev, running: true },
    trim: { ...facts.trim, enabled: "disabled", active: "inactive" },
    fstab: facts.fstab && { ...facts.fstab, verification: { clean: true, summary: "" } },
    storages: facts.storages.map((storage) => ({
      ...storage,
      node: `/dev/${storage.backing.holders[0]?.name ?? "none"}` as AbsolutePath,
      defaultMountOptions: ["user_xattr", "acl"],
      uuid: storage.uuid ?? `uuid-of-${storage.role}`,
    })),
    ...live,
  };
}

const options = {
  profile: "safe",
  remountNow: false,
  paths: {
    real: (path: string) => path as AbsolutePath,
    missingAbove: (path: string) =>
      path.includes("/timers.target.wants/") ? ["/etc/systemd/system/timers.target.wants"] : [],
  },
} as const;

const stateOf = (tune: TunePlan, item: string, role: string) =>
  tune.items.find((each) => each.item === item && each.role === role)?.state;
const opsOf = (tune: TunePlan) =>
  tune.plan.operations.map(({ op, command, path }) => {
    const words = command?.apply ?? [path];
    return words[0] === "sh" ? `${op} sh ${words.at(-1)} ${path}` : `${op} ${words.join(" ")}`;
  });

describe("on the seed's machine", () => {
  test("plans every line of the table, in an order that can be taken back", async () => {
    const tune = planTune(await factsOf(seed, {}), options);
    expect(opsOf(tune).map((line) => line.replace(/\/tmp\/[^/]+/, ""))).toEqual([
      "run_command true",
      "write_file /etc/fstab",
      "run_command systemctl daemon-reload",
      "run_command mount -o remount,rw,noatime,nodiratime /dev/nvme1n1p1 /mnt/citadel-models",
      "run_command sh journal_data_writeback /dev/nvme1n1p1",
      "run_command mount -o remount,rw,noatime /dev/sda1 /mnt/citadel-backup",
      "set_value /sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme1/nvme1n1/queue/scheduler",
      "set_value /sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/queue/scheduler",
      "run_command true",
      "write_file /etc/udev/rules.d/99-citadel-storage.rules",
      "run_command udevadm control --reload",
      "run_command systemctl enable fstrim.timer",
      "run_command sh fstrim.timer /usr/lib/systemd/system/fstrim.timer",
    ]);
    const content = tune.plan.operations.find(({ path }) => path === "/etc/fstab");
    expect(content?.content).toBe(
      "UUID=root / ext4 defaults 0 1\nUUID=models /mnt/citadel-models ext4 defaults,noatime,nodiratime,data=writeback 0 2\nUUID=backup /mnt/citadel-backup ext4 defaults,nofail,noatime,data=ordered 0 2\n",
    );
    expect(content?.verifyCommand).toEqual(["findmnt", "--verify", "--tab-file", "{}"]);
    expect(content?.backupName).toMatch(/^fstab\.citadel-\d{8}T\d{6}Z$/);
    expect(tune.plan.conflicts).toEqual([]);
  });

  test("says pending for the data mode, the risk of writeback, and proposes nofail where it lacks", async () => {
    const tune = planTune(await factsOf(seed, {}), options);
    expect(stateOf(tune, "data mode", "models")).toBe("pending");
    expect(tune.pending[0]?.why).toContain("pending: next mount");
    expect(stateOf(tune, "data mode", "backup")).toBe("ok");
    expect(tune.risks).toEqual([
      "data=writeback: after a crash, files written without fsync may show old blocks",
    ]);
    expect(tune.proposals).toHaveLength(1);
    expect(tune.proposals[0]).toContain("nofail for /mnt/citadel-models");
    const fstabText = tune.plan.operations.find(({ path }) => path === "/etc/fstab")?.content;
    expect(fstabText?.match(/nofail/g)).toHaveLength(1);
  });

  test("planb-02 sets barriers and says what a power cut can do", async () => {
    const tune = planTune(await factsOf(seed, {}), { ...options, profile: "planb-02" });
    expect(tune.fstabOptions.get("/mnt/citadel-models")).toBe(
      "defaults,noatime,nodiratime,barrier=0,data=writeback",
    );
    expect(tune.fstabOptions.get("/mnt/citadel-backup")).toBe(
      "defaults,nofail,noatime,barrier=1,data=ordered",
    );
    expect(tune.risks[0]).toContain("a power cut can lose or corrupt");
    expect(opsOf(tune)).toContain(
      "run_command mount -o remount,rw,noatime,nodiratime,barrier=0 /dev/nvme1n1p1 /mnt/citadel-models",
    );
  });

  test("the same facts give the same plan, twice", async () => {
    const facts = await factsOf(seed, {});
    expect(JSON.stringify(planTune(facts, options).plan)).toBe(
      JSON.stringify(planTune(facts, options).plan),
    );
  });

  test("nothing ever names or touches a disk that holds no storage", async () => {
    const tune = planTune(await factsOf(seed, {}), options);
    const text = JSON.stringify(tune.plan.operations);
    expect(text).not.toContain("nvme0");
    expect(text).not.toContain("S6P1NS0T400002");
    expect(text).toContain("S6P1NS0T400001");
  });

  test("without root the plan is shown and every change is said to need root", async () => {
    const tune = planTune(await factsOf(seed, { privileged: false }), options);
    expect(tune.items.some((item) => item.state === "change")).toBe(false);
    expect(stateOf(tune, "fstab", "models")).toBe("cannot");
    expect(tune.couldNot.find((item) => item.item === "fstab")?.why).toContain("needs root");
  });

  test("without systemd and udev these steps are left out, and the timer cannot be enabled", async () => {
    const facts = await factsOf(seed, { systemd: false });
    const tune = planTune({ ...facts, udev: { ...facts.udev, running: false } }, options);
    expect(opsOf(tune).join(" ")).not.toContain("systemctl");
    expect(opsOf(tune).join(" ")).not.toContain("udevadm");
    expect(stateOf(tune, "trim timer", "host")).toBe("cannot");
  });

  test("in a container the timer is the host's: nothing is started that its own condition would skip", async () => {
    const container = "/run/systemd/container";
    const tune = planTune(await factsOf(seed, { container }), options);
    expect(opsOf(tune).join(" ")).not.toContain("fstrim");
    expect(stateOf(tune, "trim timer", "host")).toBe("cannot");
    expect(tune.couldNot.at(-1)?.why).toContain("a container (/run/systemd/container)");
  });

  test("--remount-now unmounts only where nothing is open", async () => {
    const facts = await factsOf(seed, {});
    const now = { ...options, remountNow: true };
    const free = planTune(facts, now);
    expect(stateOf(free, "data mode", "models")).toBe("change");
    const replace = free.plan.operations.find(({ why }) => why.includes("--remount-now"));
    expect(replace?.command?.apply.slice(4)).toEqual([
      "/dev/nvme1n1p1",
      "uuid-of-models",
      "/mnt/citadel-models",
      "ext4",
      "defaults,noatime,nodiratime,data=writeback",
      "rw,relatime,data=ordered",
    ]);
    const user = { pid: 42, name: "vllm", path: "/mnt/citadel-models/active/x" };
    const used = facts.storages.map((storage) => ({ ...storage, users: [user] }));
    const busy = planTune({ ...facts, storages: used }, now);
    expect(stateOf(busy, "data mode", "models")).toBe("pending");
    expect(busy.pending[0]?.why).toContain("in use by vllm (pid 42");
  });

  test("an fstab that cannot be parsed safely is a conflict, and nothing else is forced", async () => {
    const twice = { ...seed, files: { ...seed.files, "etc/fstab": `${fstab}${fstab}` } };
    const tune = planTune(await factsOf(twice, {}), options);
    expect(tune.plan.conflicts.map(({ code }) => code)).toEqual(["FSTAB_DUPLICATE_ENTRY"]);
    expect(tune.held.map(({ item }) => item)).toEqual([
      "mount options",
      "mount options",
      "scheduler",
      "scheduler",
      "udev rule",
      "udev rule",
      "trim timer",
    ]);
  });

  test("a rules file that is not ours is a conflict", async () => {
    const files = { ...seed.files, "etc/udev/rules.d/99-citadel-storage.rules": "# mine\n" };
    const tune = planTune(await factsOf({ ...seed, files }, {}), options);
    expect(tune.plan.conflicts.map(({ code }) => code)).toEqual(["UDEV_RULE_FOREIGN"]);
  });

  test("a rule of a vendor that sorts after ours is named", async () => {
    const files = {
      ...seed.files,
      "usr/lib/udev/rules.d/99-vendor.rules": 'KERNEL=="sd*", ATTR{queue/scheduler}="bfq"\n',
      "etc/udev/rules.d/99-test.rules": 'ATTR{queue/scheduler}=="bfq", RUN+="/bin/true"\n',
    };
    const tune = planTune(await factsOf({ ...seed, files }, {}), options);
    expect(tune.notes.filter((note) => note.includes("last word"))).toHaveLength(1);
    expect(tune.notes.join()).toContain("99-vendor.rules");
  });

  test("errors that findmnt found before are compared, not forgiven", async () => {
    const facts = await factsOf(seed, {});
    const verification = { clean: false, summary: "0 parse errors, 2 errors, 0 warnings" };
    const fstabFacts = facts.fstab && { ...facts.fstab, verification };
    const tune = planTune({ ...facts, fstab: fstabFacts }, options);
    const write = tune.plan.operations.find(({ path }) => path === "/etc/fstab");
    expect(write?.verifyCommand?.at(-1)).toBe(verification.summary);
  });
});

describe("below --root", () => {
  test("files are planned, everything that changes the kernel is listed for the host", async () => {
    const tune = planTune(await factsOf(seed, undefined), options);
    expect(tune.plan.operations.map(({ op }) => op)).toEqual([
      "write_file",
      "write_file",
      "make_dir",
      "create_link",
    ]);
    expect(tune.plan.operations[0]?.verifyCommand).toBeUndefined();
    expect(tune.plan.onTheHost).toEqual([
      "findmnt --verify",
      "systemctl daemon-reload",
      "mount -o remount,noatime,nodiratime /mnt/citadel-models",
      "tune2fs -o journal_data_writeback /dev/nvme1n1p1",
      "mount -o remount,noatime /mnt/citadel-backup",
      "echo none > /sys/block/nvme1n1/queue/scheduler",
      "echo mq-deadline > /sys/block/sda/queue/scheduler",
      "udevadm control --reload",
      "systemctl start fstrim.timer",
    ]);
  });

  test("without recorded /proc and /sys fstab follows the type in its entry", async () => {
    const bare = { files: { "etc/fstab": fstab.replace("backup ext4", "backup xfs"), [unit]: "" } };
    using tree = createHostTree(bare);
    const { rmSync } = await import("node:fs");
    rmSync(`${tree.root}/proc`, { recursive: true });
    const world = { hostPaths: createHostPaths(tree.root), environment: readEnvironment() };
    const { real } = world.hostPaths;
    const facts = await discoverHost(world, {
      roots: { models: real("/mnt/citadel-models"), backup: real("/mnt/citadel-backup") },
    });
    const tune = planTune(facts, options);
    expect(tune.fstabOptions.get("/mnt/citadel-models")).toContain("data=writeback");
    expect(tune.fstabOptions.get("/mnt/citadel-backup")).toBe("defaults,nofail,noatime");
    expect(stateOf(tune, "scheduler", "models")).toBe("cannot");
    expect(tune.notes.join()).toContain("cannot be read here");
  });
});

describe("other machines", () => {
  const only = (
    mount: TreeMount,
    disks: readonly TreeDisk[],
    mapped: Spec["mapped"] = [],
  ): Spec => ({
    disks,
    mapped,
    mounts: [machines.rootMount, mount],
    files: { "etc/fstab": "/dev/x /mnt/citadel-models xfs defaults 0 0\n", [unit]: "" },
  });
  const xfs = (device: string, source: string): TreeMount => ({
    ...machines.modelsMount,
    device,
    source,
    fstype: "xfs",
  });

  test("LVM over two disks: both members get scheduler and rule, the volume gets none", async () => {
    const lvm = [
      {
        name: "dm-0",
        device: "253:0",
        slaves: ["nvme1n1p1", "sda1"],
        dm: { uuid: "LVM-x", name: "vg-models" },
      },
    ];
    const spec = only(
      xfs("253:0", "/dev/mapper/vg-models"),
      [machines.otherNvmeDisk, machines.nvmeDisk, machines.hddDisk],
      lvm,
    );
    const tune = planTune(await factsOf(spec, {}), options);
    const values = tune.plan.operations.filter(({ op }) => op === "set_value");
    expect(values.map(({ after }) => ("value" in after ? after.value : ""))).toEqual([
      "none",
      "mq-deadline",
    ]);
    const rules = tune.plan.operations.find(({ path }) => path.endsWith(".rules"))?.content ?? "";
    expect(rules.match(/^ACTION/gm)).toHaveLength(2);
    expect(rules).not.toContain("dm-0");
    expect(tune.fstabOptions.get("/mnt/citadel-models")).toBe("defaults,noatime,nodiratime");
  });

  test("a disk that no property tells from another gets no rule, and it says so", async () => {
    const twin = { ID_SERIAL: "QEMU_DISK", ID_PATH: "" };
    const a: TreeDisk = {
      name: "vda",
      device: "252:0",
      udev: twin,
      scheduler: "none [mq-deadline]",
    };
    const b: TreeDisk = { name: "vdb", device: "252:16", udev: twin };
    const tune = planTune(await factsOf(only(xfs("252:0", "/dev/vda"), [a, b]), {}), options);
    const item = tune.items.find((each) => each.item === "udev rule");
    expect(item).toMatchObject({ state: "cannot" });
    expect(item?.why).toContain("a rule would be a guess");
    expect(tune.plan.operations.some(({ path }) => path.endsWith(".rules"))).toBe(false);
    expect(tune.plan.operations.some(({ op }) => op === "set_value")).toBe(true);
  });

  test("in a container nothing is added to fstab and no rule is written", async () => {
    const spec: Spec = {
      mounts: [
        { device: "0:52", mountpoint: "/", fstype: "overlay", source: "overlay" },
        { ...machines.modelsMount, source: "/dev/nvme1n1p1" },
      ],
      files: { "etc/fstab": "# UNCONFIGURED\n", ".dockerenv": "" },
    };
    const live = { unwritableSchedulers: [], systemd: false };
    const tune = planTune(await factsOf(spec, live), options);
    expect(tune.plan.operations.map(({ op }) => op)).toEqual(["run_command"]);
    expect(tune.items.find((each) => each.item === "fstab")?.why).toContain("a container");
    expect(tune.items.find((each) => each.item === "scheduler")?.why).toContain("not in /sys");
    expect(tune.couldNot.length).toBeGreaterThanOrEqual(4);
  });

  test("a mount that fstab does not know gets an entry in the marked block", async () => {
    const disk = { ...machines.nvmeDisk, partitions: [] };
    const spec: Spec = {
      disks: [disk],
      mounts: [machines.rootMount, xfs("259:2", "/dev/nvme1n1")],
      files: { "etc/fstab": "# none\n", "run/udev/data/b259:2": "E:ID_FS_UUID=ab-cd\n" },
    };
    const tune = planTune(await factsOf(spec, {}), options);
    const write = tune.plan.operations.find(({ path }) => path === "/etc/fstab");
    expect(write?.content).toContain(
      "UUID=ab-cd\t/mnt/citadel-models\txfs\tdefaults,noatime,nodiratime\t0\t0\n# END",
    );
    const byUnit = {
      ...spec,
      files: { ...spec.files, "etc/systemd/system/mnt-citadel\\x2dmodels.mount": "[Mount]\n" },
    };
    const second = planTune(await factsOf(byUnit, {}), options);
    expect(second.items.find((each) => each.item === "fstab")?.why).toContain("change Options=");
  });

  test("rules of a role whose disk cannot be seen are kept", async () => {
    const first = planTune(await factsOf(seed, {}), options);
    const rules = first.plan.operations.find(({ path }) => path.endsWith(".rules"))?.content ?? "";
    const spec: Spec = {
      ...seed,
      mounts: [machines.rootMount, machines.modelsMount],
      files: { ...seed.files, "etc/udev/rules.d/99-citadel-storage.rules": rules },
    };
    const facts = await factsOf(spec, {});
    const [models, backup] = facts.storages;
    if (models === undefined || backup === undefined) throw new Error("two storages");
    const gone = { ...backup, backing: { ...backup.backing, disks: [] } };
    const tune = planTune({ ...facts, storages: [models, gone] }, options);
    expect(tune.plan.operations.some(({ path }) => path.endsWith(".rules"))).toBe(false);
  });
});
