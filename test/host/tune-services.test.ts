// `tune apply` with systemd and udev answering (stand-ins that keep their state in files and note every call), without
// privilege, and the scheduler of a real block device set and restored by the engine.

import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { absolutePath } from "../../src/core/index.ts";
import { parseScheduler, readDisk, schedulerOperation } from "../../src/host/index.ts";
import { createHostPaths, readText, realpath, systemClock } from "../../src/system/index.ts";
import { openEngine } from "../../src/transaction/index.ts";
import { cliCommand } from "../support/run-cli.ts";
import { createPrivateHost, whyNoPrivateHost, type PrivateHost } from "../support/private-host.ts";

// In a container the trim timer is the host's, and /.dockerenv cannot be hidden. Machines booted from an image keep it.
const rootSource = Bun.spawnSync(["findmnt", "-n", "-o", "SOURCE", "/"]).stdout.toString();
const isContainer = existsSync("/.dockerenv") && !rootSource.startsWith("/dev/");
const why = isContainer ? "runs in a container" : whyNoPrivateHost("ext4");
if (why !== undefined) console.log(`tune-services.test.ts is skipped: ${why}`);
const live = describe.skipIf(why !== undefined);

/** systemctl and udevadm as programs that come first on the PATH; each call is a line in `calls`. */
function addServices(host: PrivateHost): void {
  const D = host.directory;
  host.bash(`mount -t tmpfs -o mode=0755 none /usr/local/sbin
    mkdir -p /run/systemd/system /run/udev ${D}/unit; touch /run/udev/control ${D}/calls
    echo disabled > ${D}/unit/is-enabled; echo inactive > ${D}/unit/is-active
    cat > /usr/local/sbin/systemctl <<'END'
#!/bin/sh
D=${D}
[ "$1 $2" = "is-active --quiet" ] && { grep -qx active $D/unit/is-active; exit $?; }
case "$1" in is-*) cat $D/unit/$1; [ "$(cat $D/unit/$1)" = enabled ]; exit $? ;; esac
echo "systemctl $*: $(sha256sum < /etc/fstab | cut -c1-8)" >> $D/calls
[ "$*" = "$(cat $D/fail 2>/dev/null)" ] && { echo "no such thing" >&2; exit 1; }
case "$1" in
  enable) echo enabled > $D/unit/is-enabled ;; disable) echo disabled > $D/unit/is-enabled ;;
  start) echo active > $D/unit/is-active ;; stop) echo inactive > $D/unit/is-active ;;
esac
exit 0
END
    cat > /usr/local/sbin/udevadm <<'END'
#!/bin/sh
echo "udevadm $*" >> ${D}/calls
END
    chmod 755 /usr/local/sbin/systemctl /usr/local/sbin/udevadm`);
}

const fstabHash = (host: PrivateHost) => host.bash("sha256sum < /etc/fstab | cut -c1-8");
const calls = (host: PrivateHost) =>
  host.bash(`cat ${host.directory}/calls; : > ${host.directory}/calls`).split("\n");
const units = (host: PrivateHost) => host.bash(`cat ${host.directory}/unit/*`).split("\n");

live("with systemd", () => {
  test("units are read again after fstab changed, both ways, and the timer is enabled and started", () => {
    using host = createPrivateHost("ext4", "ext4");
    addServices(host);
    const before = fstabHash(host);
    const run = host.agent("tune", "apply", "--yes", "--json");
    expect(run.exitCode).toBe(0);
    const after = fstabHash(host);
    expect(after).not.toBe(before);
    expect(calls(host)).toEqual([
      `systemctl daemon-reload: ${after}`,
      `systemctl enable fstrim.timer: ${after}`,
      `systemctl start fstrim.timer: ${after}`,
    ]);
    expect(units(host)).toEqual(["active", "enabled"]);

    expect(host.agent("tune", "rollback", "--yes").exitCode).toBe(0);
    expect(calls(host)).toEqual([
      `systemctl stop fstrim.timer: ${after}`,
      `systemctl disable fstrim.timer: ${after}`,
      `systemctl daemon-reload: ${before}`,
    ]);
    expect(units(host)).toEqual(["inactive", "disabled"]);
    expect(fstabHash(host)).toBe(before);
  }, 60_000);

  test("a timer that cannot be started takes everything back, and systemd reads the old fstab again", () => {
    using host = createPrivateHost("ext4", "ext4");
    addServices(host);
    const before = fstabHash(host);
    host.bash(`echo "start fstrim.timer" > ${host.directory}/fail`);
    const run = host.agent("tune", "apply", "--yes", "--json");
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toContain("COMMAND_FAILED");
    expect(fstabHash(host)).toBe(before);
    expect(units(host)).toEqual(["inactive", "disabled"]);
    expect(calls(host).at(-1)).toBe(`systemctl daemon-reload: ${before}`);
    expect(host.bash("findmnt -n -o VFS-OPTIONS /mnt/citadel-models")).toBe("rw,relatime");
  }, 60_000);

  test("a timer whose condition does not hold says so: systemctl start answers 0 then, and nothing runs", () => {
    using host = createPrivateHost("ext4", "ext4");
    addServices(host);
    const before = fstabHash(host);
    host.bash("sed -i '/^  start)/s/.*/  start) ;;/' /usr/local/sbin/systemctl");
    const run = host.agent("tune", "apply", "--yes", "--json");
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toContain("a condition of it does not hold");
    expect(fstabHash(host)).toBe(before);
    expect(units(host)).toEqual(["inactive", "disabled"]);
  }, 60_000);

  test("a generation of others in between stays and is named; a hand edit of fstab is a conflict", () => {
    using host = createPrivateHost("ext4", "ext4");
    addServices(host);
    expect(host.agent("tune", "apply", "--yes").exitCode).toBe(0);
    expect(host.agent("env", "--write").exitCode).toBe(0);
    const shown = host.agent("tune", "rollback", "--dry-run", "--json");
    const { between } = JSON.parse(shown.stdout) as { between: { command: string }[] };
    expect(between.map(({ command }) => command)).toEqual([expect.stringContaining("env")]);
    host.bash("echo '# by hand' >> /etc/fstab");
    const refused = host.agent("tune", "rollback", "--yes", "--json");
    expect(refused.exitCode).toBe(6);
    expect(refused.stdout).toContain("ROLLBACK_NOT_OURS");
    expect(host.bash("tail -n 1 /etc/fstab")).toBe("# by hand");
    host.bash("sed -i '$d' /etc/fstab");
    expect(host.agent("tune", "rollback", "--yes").exitCode).toBe(0);
    expect(host.bash("test -e /opt/citadel/configs/storage-env.sh && echo there")).toBe("there");
  }, 60_000);
});

live("without privilege", () => {
  test("the plan is shown, nothing is changed, exit 4; rollback is refused", () => {
    using host = createPrivateHost("ext4", "ext4");
    const before = host.bash("sha256sum /etc/fstab; ls /etc | grep fstab");
    host.bash("mkdir -m 777 /opt/home");
    const nobody = (...args: string[]) =>
      host.run([
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "env",
        "HOME=/opt/home",
        ...cliCommand(),
        ...args,
      ]);
    const plan = nobody("tune", "plan");
    expect(plan.stderr).toBe("");
    expect(plan.exitCode).toBe(0);
    expect(plan.stdout).toContain("needs root");
    const apply = nobody("tune", "apply", "--yes");
    expect(apply.exitCode).toBe(4);
    expect(apply.stdout).toContain("defaults,nofail,noatime,nodiratime,data=writeback");
    expect(apply.stderr).toContain("which only root may do; nothing was changed");
    const back = nobody("tune", "rollback", "--yes", "--json");
    expect(back.exitCode).toBe(1);
    expect(back.stdout).toContain("PERMISSION");
    expect(nobody("tune", "status").exitCode).toBe(3);
    expect(nobody("validate").exitCode).toBe(3);
    expect(host.bash("sha256sum /etc/fstab; ls /etc | grep fstab")).toBe(before);
  }, 60_000);
});

live("the scheduler of a real device", () => {
  test("is set by the planner's step, seen by the kernel, and restored by the rollback", async () => {
    using host = createPrivateHost("ext4", "ext4");
    const name = host.devices.models.slice("/dev/".length);
    const sysPath = absolutePath(realpath(`/sys/block/${name}`) ?? "/");
    const read = () => parseScheduler(readText(`${sysPath}/queue/scheduler`))?.active;
    const disk = readDisk({ name, device: "7:0", sysPath, kind: "disk" }, createHostPaths());
    const before = read();
    const wanted = before === "mq-deadline" ? "none" : "mq-deadline";
    expect(disk.scheduler?.available).toContain(wanted);
    const operation = schedulerOperation(disk, wanted);
    if (operation === undefined) throw new Error("nothing to set");
    const state = mkdtempSync(`${tmpdir()}/citadel-scheduler-`);
    try {
      const options = {
        stateDir: absolutePath(`${state}/lib`),
        runtimeDir: absolutePath(`${state}/run`),
      };
      using engine = openEngine({
        root: absolutePath("/"),
        ...options,
        privileged: true,
        user: "test",
        pid: process.pid,
        clock: systemClock,
      });
      const plan = {
        operations: [operation],
        conflicts: [],
        unchanged: 0,
        onTheHost: [],
        warnings: [],
      };
      const request = { lockTimeoutMs: 1000 };
      await engine.change({
        ...request,
        command: "tune apply",
        plan: () => ({ ...plan, command: "tune apply" }),
      });
      expect(read()).toBe(wanted);
      await engine.change({
        ...request,
        command: "tune rollback",
        plan: () => engine.planUndoOf("tune rollback", [1]),
      });
      expect(read()).toBe(before);
    } finally {
      rmSync(state, { recursive: true, force: true });
    }
  }, 60_000);
});
