// From a bare tree to ten of ten below --root: the commands of the agent, and for what only the booted host can do
// (kernel, mounts, systemd) a stand-in that does to the recorded tree what the listed commands would do.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync, chmodSync } from "node:fs";
import { createHostTree, type HostTree } from "../support/host-tree.ts";
import * as machines from "../support/machines.ts";
import { runCli } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // a machine that is busy with other tests is no failure

interface Validation {
  readonly checks: readonly { id: string; ok: boolean; found: string; fix: string | null }[];
  readonly passed: number;
  readonly total: number;
}
interface Plan {
  readonly on_the_host: readonly string[];
  readonly steps: readonly { path: string; done?: boolean }[];
  readonly generation?: number | null;
}

let tree: HostTree;
const fstab = `# bare
UUID=r / ext4 defaults 0 1
UUID=m\t/mnt/citadel-models\text4\tdefaults\t0\t2
UUID=b /mnt/citadel-backup ext4 rw,relatime 0 2`;

beforeAll(() => {
  tree = createHostTree({
    ...machines.seedMachine,
    files: {
      "etc/fstab": fstab,
      "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nagent0:x:1000:1000::/home/agent0:/bin/sh\n",
      "etc/group": "root:x:0:\nagent0:x:1000:\n",
      "etc/os-release": "ID=ubuntu\nID_LIKE=debian\n",
      "usr/lib/systemd/system/fstrim.timer": "[Timer]\nOnCalendar=weekly\n",
      "proc/fs/ext4/nvme1n1p1/options": "rw\nbarrier\ndata=ordered\n",
      "proc/fs/ext4/sda1/options": "rw\nbarrier\ndata=ordered\n",
    },
  });
  for (const directory of [
    "mnt/citadel-models",
    "mnt/citadel-backup",
    "home/agent0",
    "usr/bin",
    "etc/systemd/system",
  ])
    mkdirSync(`${tree.root}/${directory}`, { recursive: true });
});
afterAll(() => tree[Symbol.dispose]());

const agent = (...args: string[]) => runCli(["--root", tree.root, ...args]);
async function validate() {
  const run = await agent("validate", "--json");
  return { ...run, document: run.json<Validation>() };
}
const failing = ({ checks }: Validation) => checks.filter(({ ok }) => !ok).map(({ id }) => id);
const edit = (path: string, change: (text: string) => string) =>
  writeFileSync(`${tree.root}/${path}`, change(readFileSync(`${tree.root}/${path}`, "utf8")));

/** Does to the tree what a host would do for the steps that were listed for it. */
function actAsHost(steps: readonly string[]): void {
  for (const step of steps) {
    const scheduler = /^echo (\S+) > \/sys\/block\/(\S+)\/queue\/scheduler$/.exec(step);
    if (scheduler !== null) {
      edit(`sys/block/${scheduler[2]}/queue/scheduler`, (text) =>
        text.replace(/[[\]]/g, "").replace(scheduler[1] ?? "", `[${scheduler[1]}]`),
      );
    }
  }
}

/** The next mount takes the options that fstab has by now. */
function reboot(): void {
  const options = new Map(
    readFileSync(`${tree.root}/etc/fstab`, "utf8")
      .split("\n")
      .map((line) => line.split(/\s+/))
      .map((fields) => [fields[1] ?? "", (fields[3] ?? "").split(",")] as const),
  );
  edit("proc/self/mountinfo", (text) =>
    text.replace(/^(\d+ \d+ \S+ \S+ )(\S+) \S+/gm, (line, head: string, point: string) => {
      const flags = options.get(point)?.filter((option) => /^no(?:dir)?atime$/.test(option)) ?? [];
      return flags.length === 0 ? line : `${head}${point} rw,${flags.join(",")}`;
    }),
  );
  for (const [device, point] of [
    ["nvme1n1p1", "/mnt/citadel-models"],
    ["sda1", "/mnt/citadel-backup"],
  ] as const) {
    const data = options.get(point)?.find((option) => option.startsWith("data="));
    if (data !== undefined)
      edit(`proc/fs/ext4/${device}/options`, (text) => text.replace(/^data=.*$/m, data));
  }
}

describe("from a bare tree to ten of ten", () => {
  test("a bare tree holds the mounts and nothing else", async () => {
    const { document, exitCode, stdout } = await validate();
    expect(exitCode).toBe(3);
    expect(document.total).toBe(10);
    expect(failing(document)).toEqual([
      "tools",
      "mount_options",
      "directories",
      "model_directories",
      "symlinks",
      "management",
      "schedulers",
      "trim",
      "backup_schedule",
    ]);
    for (const check of document.checks) expect(check.fix === null).toBe(check.ok);
    expect(stdout).not.toContain('"ok":null');
  });

  test("the human form says found, wanted and fix, and the percentage", async () => {
    const { stdout } = await agent("validate");
    expect(stdout).toContain("1/10 checks passed (10 %)");
    expect(stdout).toContain("FAIL  Required Tools");
    expect(stdout).toContain("fix     apt-get install sysstat smartmontools tree rsync");
  });

  test("tools, setup, tuning, schedule and service bring it to ten", async () => {
    for (const tool of ["iostat", "smartctl", "tree", "rsync"]) {
      tree.write(`usr/bin/${tool}`, "#!/bin/sh\n");
      chmodSync(`${tree.root}/usr/bin/${tool}`, 0o755);
    }
    const setup = await agent("setup", "--yes", "--json");
    expect([0, 4]).toContain(setup.exitCode as number);

    const applied = await agent("tune", "apply", "--yes", "--json");
    expect(applied.stderr).toBe("");
    expect(applied.exitCode).toBe(0);
    const plan = applied.json<Plan>();
    expect(plan.steps.every((step) => step.done === true)).toBe(true);
    expect(plan.on_the_host).toContain("echo mq-deadline > /sys/block/sda/queue/scheduler");
    actAsHost(plan.on_the_host);

    // What `service install` and `backup schedule install` write; their own tests are elsewhere.
    tree.write("usr/local/bin/citadel-agent", "#!/bin/sh\n");
    chmodSync(`${tree.root}/usr/local/bin/citadel-agent`, 0o755);
    tree.write(
      "etc/systemd/system/citadel-agent.service",
      "[Service]\nExecStart=/usr/local/bin/citadel-agent monitor\n",
    );
    const installed = await agent("backup", "schedule", "install", "--json");
    expect(installed.exitCode).toBe(0);

    const pending = await validate();
    expect(failing(pending.document)).toEqual(["mount_options"]);
    expect(pending.exitCode).toBe(3);
    reboot();
    const ten = await validate();
    expect(failing(ten.document)).toEqual([]);
    expect(ten.document.passed).toBe(10);
    expect(ten.exitCode).toBe(0);
    expect((await agent("validate")).stdout).toContain("10/10 checks passed (100 %)");
    expect((await agent("tune", "status")).exitCode).toBe(0);
    expect(readFileSync(`${tree.root}/opt/citadel/logs/planb-02-setup.log`, "utf8")).toContain(
      "tune apply",
    );
  });

  test("applying again changes nothing; rollback gives fstab back byte for byte", async () => {
    const again = await agent("tune", "apply", "--yes", "--json");
    expect(again.json<Plan>().steps).toEqual([]);
    expect(again.exitCode).toBe(0);
    const back = await agent("tune", "rollback", "--yes", "--json");
    expect(back.exitCode).toBe(0);
    expect(back.json<Plan>().on_the_host).toEqual([
      "systemctl daemon-reload",
      "udevadm control --reload",
    ]);
    expect(readFileSync(`${tree.root}/etc/fstab`, "utf8")).toBe(fstab);
    expect(failing((await validate()).document)).toEqual(["schedulers", "trim"]);
  });

  test("an unchanged dry run has the hash that --plan-hash takes; another hash is refused", async () => {
    const plan = await agent("tune", "plan", "--json");
    const { plan_hash } = plan.json<{ plan_hash: string }>();
    const dry = await agent("tune", "apply", "--dry-run", "--json");
    expect(dry.json<{ plan_hash: string }>().plan_hash).toBe(plan_hash);
    const wrong = await agent("tune", "apply", "--yes", "--plan-hash", "0".repeat(64), "--json");
    expect(wrong.exitCode).toBe(6);
    expect(readFileSync(`${tree.root}/etc/fstab`, "utf8")).toBe(fstab);
    const right = await agent("tune", "apply", "--yes", "--plan-hash", plan_hash, "--json");
    expect(right.exitCode).toBe(0);
  });

  test("without a terminal and without --yes it asks nobody and changes nothing", async () => {
    await agent("tune", "rollback", "--yes");
    const asked = await agent("tune", "apply", "--json");
    expect(asked.exitCode).toBe(6);
    expect(asked.stdout).toContain("CONFIRMATION_NEEDED");
    expect(readFileSync(`${tree.root}/etc/fstab`, "utf8")).toBe(fstab);
  });
});
