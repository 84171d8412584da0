import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { discoverHost, formatUdevRules, type HostFacts } from "../../../src/host/index.ts";
import {
  checkBackupSchedule,
  checkDirectories,
  checkLinks,
  checkManagement,
  checkModelDirectories,
  checkMountOptions,
  checkMounts,
  checkSchedulers,
  checkTools,
  checkTrim,
  findJobs,
  formatSummary,
  installCommand,
  summarizeChecks,
  type Check,
  type ScheduleFile,
} from "../../../src/host/validate/index.ts";
import { createHostPaths, readEnvironment } from "../../../src/system/index.ts";
import { createHostTree } from "../../support/host-tree.ts";
import * as machines from "../../support/machines.ts";

type Spec = Parameters<typeof createHostTree>[0];

function factsBelow(root: string): Promise<HostFacts> {
  const world = { hostPaths: createHostPaths(root), environment: readEnvironment() };
  const { real } = world.hostPaths;
  return discoverHost(world, {
    roots: { models: real("/mnt/citadel-models"), backup: real("/mnt/citadel-backup") },
  });
}

async function factsOf(spec: Spec): Promise<HostFacts> {
  using tree = createHostTree(spec);
  return await factsBelow(tree.root);
}

const rules = formatUdevRules([
  {
    role: "models",
    identity: { key: "ENV{ID_SERIAL}", value: "Vendor_SSD_4TB_S6P1NS0T400001" },
    scheduler: "none",
    label: "Vendor SSD 4TB",
  },
  {
    role: "backup",
    identity: { key: "ENV{ID_SERIAL}", value: "Vendor_HDD_8TB_ZA1B2C3D" },
    scheduler: "mq-deadline",
    label: "Vendor HDD 8TB",
  },
]);

const tuned: Spec = {
  disks: [
    { ...machines.otherNvmeDisk, scheduler: "none [mq-deadline]" },
    { ...machines.nvmeDisk, scheduler: "[none] mq-deadline" },
    { ...machines.hddDisk, scheduler: "none [mq-deadline]" },
  ],
  mounts: [
    machines.rootMount,
    { ...machines.modelsMount, options: "rw,noatime,nodiratime" },
    { ...machines.backupMount, options: "rw,noatime" },
  ],
  files: {
    "proc/fs/ext4/nvme1n1p1/options": "rw\nbarrier\ndata=writeback\n",
    "proc/fs/ext4/sda1/options": "rw\nbarrier\ndata=ordered\n",
    "etc/udev/rules.d/99-citadel-storage.rules": rules,
    "usr/lib/systemd/system/fstrim.timer": "[Timer]\n",
    "etc/systemd/system/timers.target.wants/fstrim.timer": "",
  },
};
const untuned: Spec = {
  ...machines.seedMachine,
  files: {
    "proc/fs/ext4/nvme1n1p1/options": "rw\nbarrier\ndata=ordered\n",
    "proc/fs/ext4/sda1/options": "rw\nbarrier\ndata=ordered\n",
    "usr/lib/systemd/system/fstrim.timer": "[Timer]\n",
  },
};

const passes = (check: Check) => {
  expect(check).toMatchObject({ ok: true, fix: null });
};
const fails = (check: Check, found: string, fix: string) => {
  expect(check.ok).toBe(false);
  expect(check.found).toContain(found);
  expect(check.fix).toContain(fix);
};

describe("1 required tools", () => {
  const all = (name: string) => `/usr/bin/${name}`;
  test("passes with all four", () => passes(checkTools(all, undefined)));
  test("names what is missing, what that costs, and the package", () => {
    const some = (name: string) =>
      name === "smartctl" || name === "iostat" ? undefined : all(name);
    const check = checkTools(some, 'ID=rocky\nID_LIKE="rhel centos fedora"\n');
    fails(check, "smartctl missing (without it the agent cannot read SMART", "dnf install");
    expect(check.fix).toBe("dnf install sysstat smartmontools");
  });
  test.each([
    ["ID=ubuntu\nID_LIKE=debian", "apt-get install"],
    ["ID=alpine", "apk add"],
    ['ID=opensuse-leap\nID_LIKE="suse opensuse"', "zypper install"],
    [undefined, "apt-get install"],
  ])("os-release %j installs with %s", (text, command) => {
    expect(installCommand(text)).toBe(command);
  });
});

describe("2 storage mounts", () => {
  test("passes where both are mounted", async () => passes(checkMounts(await factsOf(tuned))));
  test("a name that only looks alike is no mount", async () => {
    const alike = { ...machines.backupMount, mountpoint: "/mnt/citadel-backup-old" };
    const facts = await factsOf({
      ...tuned,
      mounts: [machines.rootMount, machines.modelsMount, alike],
    });
    fails(checkMounts(facts), "not mounted", "/mnt/citadel-backup");
  });
  test("a root that is a symbolic link is named, with what to set", async () => {
    const linked = { ...tuned, files: { ...tuned.files, "data/models/x": "" } };
    using tree = createHostTree(linked);
    mkdirSync(`${tree.root}/mnt`, { recursive: true });
    symlinkSync("/data/models", `${tree.root}/mnt/citadel-models`);
    const facts = await factsBelow(tree.root);
    const link = `${tree.root}/mnt/citadel-models`;
    fails(checkMounts(facts), `${link} is a symbolic link to /data/models`, "CITADEL_MODELS_ROOT");
  });
  test("without a mount table it has failed, not passed", async () => {
    const facts = await factsOf({});
    fails(checkMounts(facts), "not in the mount table", "fstab");
  });
});

describe("3 mount options", () => {
  test("passes with the options in force, a hidden data= included", async () => {
    const check = checkMountOptions(await factsOf(tuned), "safe");
    passes(check);
    expect(check.found).toContain("rw,noatime,nodiratime,data=writeback");
  });
  test("names what each mount lacks", async () => {
    const check = checkMountOptions(await factsOf(untuned), "safe");
    fails(check, "(lacks noatime, nodiratime, data=writeback)", "--remount-now");
    expect(check.found).toContain("(lacks noatime)");
  });
  test("fails where nothing is mounted", async () => {
    const facts = await factsOf({ ...tuned, mounts: [machines.rootMount, machines.modelsMount] });
    fails(checkMountOptions(facts, "safe"), "not mounted", "tune apply");
  });
  test("the profile decides: planb-02 also wants barriers off", async () => {
    fails(checkMountOptions(await factsOf(tuned), "planb-02"), "lacks barrier=0", "tune apply");
  });
});

const report = { total: 3, healthy: 3, issues: [] };
const broken = {
  total: 3,
  healthy: 2,
  issues: [{ path: "/x/active", state: "missing", reason: "nothing is there" }],
};

describe("4 directory structure", () => {
  test("passes when all are as wanted", () => passes(checkDirectories(report)));
  test("names the first ones that are not", () =>
    fails(checkDirectories(broken), "/x/active: missing", "dirs create"));
});

test("a missing mount is said once, with what to do first", () => {
  const issues = ["/m/a", "/m/b", "/m/c", "/m/d"].map((path) => ({
    path,
    state: "blocked",
    reason: "/m: nothing is mounted there",
  }));
  const check = checkDirectories({ total: 4, healthy: 0, issues });
  fails(check, "/m/a, /m/b, /m/c and 1 more: blocked (/m: nothing", "mount the storage first");
});

describe("5 model directories", () => {
  test("passes when each model has one", () => passes(checkModelDirectories(report)));
  test("names the missing one", () =>
    fails(checkModelDirectories(broken), "2 of 3: /x/active: missing", "dirs create"));
  test("no configured model is no pass", () =>
    fails(checkModelDirectories({ total: 0, healthy: 0, issues: [] }), "no model", "configure"));
});

describe("6 symlinks", () => {
  test("passes when every link leads where it should; skipped ones are told", () => {
    const skipped = [{ path: "/home/x/.cache/torch", state: "skipped", reason: "no such user" }];
    const check = checkLinks({ ...report, issues: skipped });
    passes(check);
    expect(check.found).toContain("skipped (no such user)");
  });
  test("a wrong target fails", () => {
    const issues = [
      { path: "/opt/citadel/models", state: "wrong_target", reason: "leads to /tmp" },
    ];
    fails(
      checkLinks({ total: 3, healthy: 2, issues }),
      "wrong_target (leads to /tmp)",
      "links create",
    );
  });
});

describe("7 management commands", () => {
  const binary = { path: "/usr/local/bin/citadel-agent", fix: "citadel-agent service install" };
  const script = { path: "/opt/citadel/configs/storage-env.sh", fix: "citadel-agent env --write" };
  test("passes when all are there", () =>
    passes(checkManagement([binary, script].map((file) => ({ ...file, problem: undefined })))));
  test("names each problem and its command once", () => {
    const check = checkManagement([
      { ...binary, problem: "missing" },
      { ...script, problem: "stale" },
    ]);
    fails(check, "/usr/local/bin/citadel-agent: missing", "service install && citadel-agent env");
  });
});

describe("8 schedulers", () => {
  test("passes with the schedulers set and the rules in place", async () =>
    passes(checkSchedulers(await factsOf(tuned))));
  test("fails on the hard disk too, and on a missing rule", async () => {
    const check = checkSchedulers(await factsOf(untuned));
    fails(check, "/dev/sda: bfq now, no rule for after a reboot", "tune apply");
    expect(check.found).toContain("/dev/nvme1n1: mq-deadline now");
    expect(check.found).not.toContain("nvme0n1");
  });
  test("a rule with other content does not count", async () => {
    const files = {
      ...tuned.files,
      "etc/udev/rules.d/99-citadel-storage.rules": rules.replace('="none"', '="kyber"'),
    };
    fails(checkSchedulers(await factsOf({ ...tuned, files })), "rule: kyber", "tune apply");
  });
  test("an absent device is not a pass", async () =>
    fails(checkSchedulers(await factsOf({})), "not mounted", "tune apply"));
});

describe("9 trim", () => {
  test("passes where the timer is enabled", async () => passes(checkTrim(await factsOf(tuned))));
  test("fails where it is not enabled, or not running on a running host", async () => {
    fails(checkTrim(await factsOf(untuned)), "fstrim.timer: disabled", "tune apply");
    const facts = await factsOf(tuned);
    const live = { ...facts, relocated: false, systemd: true };
    const trim = { ...facts.trim, active: "inactive" };
    fails(checkTrim({ ...live, trim }), "enabled, inactive", "enable --now");
    passes(checkTrim({ ...live, trim: { ...trim, active: "active" } }));
  });
  test("in a container the command is for the host", async () => {
    const container = "/run/systemd/container";
    fails(checkTrim({ ...(await factsOf(untuned)), container }), "disabled", "on the host");
  });
  test("fails where it is not installed", async () =>
    fails(checkTrim(await factsOf({})), "not installed", "util-linux"));
});

describe("10 backup schedule", () => {
  const file = (
    path: string,
    kind: ScheduleFile["kind"],
    text: string,
    more = {},
  ): ScheduleFile => ({
    path,
    kind,
    text,
    ...more,
  });
  const cronLine = "0 2 * * * /usr/local/bin/citadel-agent backup create";

  test.each([
    [file("/var/spool/cron/crontabs/agent0", "crontab", `# x\n${cronLine} /mnt/m incremental\n`)],
    [
      file(
        "/etc/cron.d/citadel",
        "system-crontab",
        `MAILTO=""\n0 2 * * * root citadel-agent backup run-due\n`,
      ),
    ],
    [
      file(
        "/etc/crontab",
        "system-crontab",
        "@daily root /usr/local/bin/citadel-agent -q backup create\n",
      ),
    ],
    [
      file(
        "/etc/systemd/system/citadel-agent-backup.timer",
        "timer",
        "[Timer]\nOnCalendar=*-*-* 02:00:00\n",
        {
          enabled: true,
          serviceText: "[Service]\nExecStart=/usr/local/bin/citadel-agent backup create\n",
        },
      ),
    ],
  ])("finds %j and says where", (found) => {
    const check = checkBackupSchedule([found], "0 2 * * *");
    passes(check);
    expect(check.found).toContain(found.path);
  });

  test.each([
    [
      "nowhere",
      file("/etc/crontab", "system-crontab", "17 * * * * root run-parts\n"),
      "no backup job",
    ],
    [
      "weekly",
      file("/etc/cron.d/x", "system-crontab", "0 2 * * 0 root citadel-agent backup create\n"),
      "does not run daily",
    ],
    ["commented", file("/x", "crontab", `#${cronLine}\n`), "no backup job"],
    [
      "other verbs",
      file("/x", "crontab", "0 2 * * * citadel-agent backup verify\n"),
      "no backup job",
    ],
    [
      "timer not enabled",
      file("/etc/systemd/system/c.timer", "timer", "OnCalendar=daily\n", {
        enabled: false,
        serviceText: "ExecStart=citadel-agent backup create\n",
      }),
      "c.timer is not enabled",
    ],
    [
      "monthly timer",
      file("/etc/systemd/system/c.timer", "timer", "OnCalendar=*-*-01 02:00\n", {
        enabled: true,
        serviceText: "ExecStart=citadel-agent backup create\n",
      }),
      "does not run daily",
    ],
  ])("fails: %s", (_name, found, text) => {
    fails(checkBackupSchedule([found], "0 2 * * *"), text, "backup schedule install");
  });

  test("says which table it could not read", () => {
    const hidden = {
      path: "/var/spool/cron/crontabs/root",
      kind: "crontab",
      text: undefined,
      unreadable: "Permission denied",
    } as const;
    fails(
      checkBackupSchedule([hidden], "0 2 * * *"),
      "could not be read: Permission denied",
      "install",
    );
  });

  const timer = (calendar: string, command: string) =>
    file("/etc/systemd/system/citadel.timer", "timer", `[Timer]\n${calendar}\n`, {
      enabled: true,
      serviceText: `ExecStart=/usr/local/bin/citadel-agent backup ${command}\n`,
    });

  test.each([
    [file("/x", "crontab", "30 3 * * * citadel-agent backup create\n"), true],
    [file("/x", "crontab", "@daily citadel-agent backup create\n"), true],
    [file("/x", "crontab", "00 02 * * * citadel-agent backup create\n"), false],
    [file("/x", "crontab", "17 * * * * citadel-agent backup run-due\n"), false],
    [timer("OnCalendar=*-*-* 02:00:00", "create"), false],
    [timer("OnCalendar=04:00", "create"), true],
    [timer("OnCalendar=*-*-* 02:00:00\nOnCalendar=Sun *-*-* 03:00:00", "run-due"), false],
    [timer("OnCalendar=hourly", "run-due"), false],
  ])("%j passes, and says whether the settings mean another time: %p", (found, said) => {
    const check = checkBackupSchedule([found], "0 2 * * *");
    expect(check.ok).toBe(true);
    expect(check.found.includes("the settings say 0 2 * * *")).toBe(said);
  });

  test("findJobs keeps the time as it is written", () => {
    const jobs = findJobs(
      file("/x", "crontab", `${cronLine}\n30 3 * * * citadel-agent backup run-due\n`),
    );
    expect(jobs.map(({ schedule }) => schedule)).toEqual(["0 2 * * *", "30 3 * * *"]);
  });
});

test("the summary counts, and rounds down", () => {
  const check = (ok: boolean): Check => ({
    id: "trim",
    name: "",
    ok,
    found: "",
    wanted: "",
    fix: null,
  });
  const nine = summarizeChecks([...Array.from({ length: 9 }, () => check(true)), check(false)]);
  expect(formatSummary(nine)).toBe("9/10 checks passed (90 %)");
  expect(formatSummary(summarizeChecks([check(true), check(true), check(false)]))).toContain(
    "66 %",
  );
  expect(summarizeChecks([]).score).toBe(0);
});
