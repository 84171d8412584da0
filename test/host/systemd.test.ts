// Tuning under a real systemd with real ext4 mounts: mount units follow fstab, the trim timer is really enabled and
// runs, the next mount brings data=, and the rollback leaves units and bytes as they were.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { builtBinary } from "../support/built-binary.ts";
import { whyNoPrivateHost } from "../support/private-host.ts";
import { bootSystemdBox, whyNoSystemdBox, type SystemdBox } from "../support/systemd-box.ts";

const why = whyNoSystemdBox() ?? whyNoPrivateHost("ext4");
if (why !== undefined) console.log(`systemd.test.ts is skipped: ${why}`);

interface Disk extends Disposable {
  readonly node: string;
  readonly number: string;
}

function createLoop(directory: string, name: string): Disk {
  const must = (...command: string[]) => {
    const run = Bun.spawnSync(command, { stderr: "pipe" });
    if (run.exitCode !== 0) throw new Error(`${command.join(" ")}: ${run.stderr.toString()}`);
    return run.stdout.toString().trim();
  };
  const path = `${directory}/${name}.img`;
  must("truncate", "-s", "32M", path);
  must("mkfs.ext4", "-qF", path);
  const node = must("losetup", "-f", "--show", path);
  const number = must("lsblk", "-dno", "MAJ:MIN", node).trim().replace(":", " ");
  return { node, number, [Symbol.dispose]: () => void Bun.spawnSync(["losetup", "-d", node]) };
}

// A container's fstab-generator leaves out what lies on devices, which it knows by a read-only /sys; and the trim timer
// does not start in one. Both are set right here, so that the box is like a machine in these two.
const likeAMachine = `
  mkdir -p /etc/systemd/system-generators /etc/systemd/system/fstrim.timer.d
  cat > /etc/systemd/system-generators/systemd-fstab-generator <<'G'
#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs none /sys; exec /usr/lib/systemd/system-generators/systemd-fstab-generator "$@"' sh "$@"
G
  chmod 755 /etc/systemd/system-generators/systemd-fstab-generator`;
const startsInContainers =
  "printf '[Unit]\\nConditionVirtualization=\\n' > /etc/systemd/system/fstrim.timer.d/box.conf; rm /run/systemd/container; systemctl daemon-reload";

function prepare(box: SystemdBox, models: Disk, backup: Disk): void {
  const run = box.bash(`set -e; umask 022
    mknod ${models.node} b ${models.number}; mknod ${backup.node} b ${backup.number}
    mkdir -p /mnt/citadel-models /mnt/citadel-backup /opt/citadel/logs
    printf '# box\\n${models.node}\\t/mnt/citadel-models ext4 defaults,nofail 0 2\\n${backup.node} /mnt/citadel-backup   ext4   rw,relatime,nofail 0 2' > /etc/fstab
    ${likeAMachine}
    systemctl daemon-reload; mount -a; systemctl disable --now fstrim.timer`);
  expect(run).toMatchObject({ exitCode: 0 });
}

const units = ["mnt-citadel\\x2dmodels.mount", "mnt-citadel\\x2dbackup.mount"];
const unitsText = units.map((unit) => `'${unit}'`).join(" ");
const stateOf = (box: SystemdBox) =>
  box.bash(`sha256sum /etc/fstab; stat -c '%a %u %g' /etc/fstab
    systemctl is-enabled fstrim.timer; systemctl is-active fstrim.timer ${unitsText}
    systemctl show -P NeedDaemonReload ${unitsText} | grep .; systemctl cat ${unitsText} | grep ^Options
    for m in models backup; do findmnt -no VFS-OPTIONS /mnt/citadel-$m; done
    find /etc/systemd /etc/udev | sort; systemctl --failed --no-legend`).stdout;

describe.skipIf(why !== undefined)("under a real systemd", () => {
  test("units, timer and mounts follow apply, the next mount and rollback", () => {
    const directory = mkdtempSync(`${tmpdir()}/citadel-systemd-`);
    using models = createLoop(directory, "models");
    using backup = createLoop(directory, "backup");
    using box = bootSystemdBox([`${builtBinary()}:/usr/local/bin/citadel-agent`]);
    try {
      prepare(box, models, backup);

      // As a container: the timer would be skipped by its own condition, so it is left, and said.
      const inside = box.bash("citadel-agent tune apply --dry-run --json").stdout;
      expect(inside).toContain(
        "a container (/run/systemd/container): fstrim.timer runs on the host",
      );

      box.bash(startsInContainers);
      const before = stateOf(box);
      expect(before).toContain(
        "disabled\ninactive\nactive\nactive\nno\nno\nOptions=defaults,nofail\n",
      );

      const applied = box.bash("citadel-agent tune apply --yes --json");
      expect(`${applied.exitCode} ${applied.stderr}`).toStartWith("0 ");
      const after = stateOf(box);
      expect(after).toContain("enabled\nactive\nactive\nactive\nno\nno\n");
      expect(after).toContain("Options=defaults,nofail,noatime,nodiratime,data=writeback\n");
      expect(after).toContain("Options=rw,noatime,nofail,data=ordered\n");
      expect(after).toContain("rw,noatime,nodiratime\nrw,noatime\n");
      expect(box.bash("systemctl list-timers --no-legend fstrim.timer").stdout).toContain("fstrim");
      expect(box.bash("citadel-agent tune status").exitCode).toBe(3); // data= is pending

      const again = box.bash("citadel-agent tune apply --yes --json");
      expect(JSON.parse(again.stdout)).toMatchObject({ steps: [] });
      expect(stateOf(box)).toBe(after);

      const restart = box.bash(`systemctl restart '${units[0]}'`);
      expect(restart).toMatchObject({ exitCode: 0 });
      expect(box.bash("citadel-agent tune status").exitCode).toBe(0);

      const back = box.bash("citadel-agent tune rollback --yes --json");
      expect(`${back.exitCode} ${back.stderr}`).toStartWith("0 ");
      expect(JSON.parse(back.stdout)).toMatchObject({
        pending: ["/mnt/citadel-models: data=writeback stays in force until the next mount"],
      });
      expect(stateOf(box)).toBe(before);
    } finally {
      box.bash("umount /mnt/citadel-models /mnt/citadel-backup");
      rmSync(directory, { recursive: true, force: true });
    }
  }, 120_000);
});
