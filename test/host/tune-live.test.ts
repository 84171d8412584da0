// The whole of `tune` on real file systems: real mount, findmnt and tune2fs, in a mount namespace of its own.

import { describe, expect, test } from "bun:test";
import {
  createPrivateHost,
  whyNoPrivateHost,
  type LoopType,
  type PrivateHost,
} from "../support/private-host.ts";

const why = whyNoPrivateHost("ext4", "xfs", "btrfs");
if (why !== undefined) console.log(`tune-live.test.ts is skipped: ${why}`);
const live = describe.skipIf(why !== undefined);

interface TuneDocument {
  readonly items: readonly { item: string; role: string; state: string; why: string }[];
  readonly generation: number | null;
  readonly steps: readonly { op: string; path: string; done: boolean }[];
  readonly pending: readonly unknown[];
}

const tune = (host: PrivateHost, ...args: string[]) => {
  const run = host.agent("tune", ...args, "--json");
  const document = run.stdout === "" ? undefined : (JSON.parse(run.stdout) as TuneDocument);
  return { ...run, document };
};

/** Everything that tuning may change, in a few lines. */
function stateOf(host: PrivateHost): string {
  return host.bash(`sha256sum < /etc/fstab
    for m in models backup; do findmnt -n -o SOURCE,FSTYPE,VFS-OPTIONS /mnt/citadel-$m; done
    for d in ${host.devices.models} ${host.devices.backup}; do
      tune2fs -l $d 2>/dev/null | grep '^Default mount' || true
      grep -E '^(no)?barrier$|^data=' /proc/fs/ext4/\${d#/dev/}/options || true
    done
    ls /etc/udev/rules.d 2>/dev/null || true`);
}

live("on ext4", () => {
  test("apply, again, remount now, rollback: byte for byte what was there", () => {
    using host = createPrivateHost("ext4", "ext4");
    const before = stateOf(host);
    const fstab = host.bash("cat /etc/fstab; echo .");

    const first = tune(host, "apply", "--yes");
    expect(first.stderr).toBe("");
    // The trim timer needs systemd, which does not run in here: partly done.
    expect(first.exitCode).toBe(4);
    expect(first.document?.steps.every((step) => step.done)).toBe(true);
    expect(first.document?.pending).toHaveLength(1);
    expect(host.bash("cat /etc/fstab; echo .")).toBe(
      fstab
        .replace("defaults,nofail", "defaults,nofail,noatime,nodiratime,data=writeback")
        .replace("rw,relatime", "rw,noatime,data=ordered"),
    );
    expect(host.bash("findmnt -n -o VFS-OPTIONS /mnt/citadel-models")).toBe(
      "rw,noatime,nodiratime",
    );
    expect(host.bash(`tune2fs -l ${host.devices.models} | grep '^Default mount'`)).toContain(
      "journal_data_writeback",
    );
    expect(host.bash(`tune2fs -l ${host.devices.models} | grep features`)).toContain("has_journal");
    expect(host.bash("cat /etc/fstab.citadel-*; echo .")).toBe(fstab);
    expect(host.bash("cat /opt/citadel/logs/planb-02-setup.log")).toContain(
      "done write_file /etc/fstab",
    );

    const tuned = stateOf(host);
    const second = tune(host, "apply", "--yes");
    expect(second.document?.generation).toBeNull();
    expect(stateOf(host)).toBe(tuned);

    const busy = host.bash(
      "sleep 60 3> /mnt/citadel-models/open < /dev/null > /dev/null 2>&1 & echo $!",
    );
    const refused = tune(host, "apply", "--yes", "--remount-now");
    expect(refused.document?.items.find((item) => item.state === "pending")?.why).toContain(
      `in use by sleep (pid ${busy}`,
    );
    host.bash(
      `kill ${busy}; while kill -0 ${busy} 2>/dev/null; do :; done; rm /mnt/citadel-models/open`,
    );

    const now = tune(host, "apply", "--yes", "--remount-now");
    expect(now.document?.pending).toHaveLength(0);
    const options = `/proc/fs/ext4/${host.devices.models.slice(5)}/options`;
    expect(host.bash(`grep data= ${options}`)).toBe("data=writeback");

    const back = tune(host, "rollback", "--yes");
    expect(back.exitCode).toBe(0);
    expect(host.bash("cat /etc/fstab; echo .")).toBe(fstab);
    expect(stateOf(host)).toBe(before);
    expect(tune(host, "rollback", "--yes").document?.steps).toEqual([]);
  }, 60_000);

  test("--remount-now at once: the data mode is in force and the default of the superblock too", () => {
    using host = createPrivateHost("ext4", "ext4");
    const before = stateOf(host);
    expect(tune(host, "apply", "--yes", "--remount-now").document?.pending).toEqual([]);
    const flags = `tune2fs -l ${host.devices.models} | grep '^Default mount'`;
    expect(host.bash(flags)).toContain("journal_data_writeback");
    expect(host.bash("findmnt -n -o VFS-OPTIONS /mnt/citadel-models")).toBe(
      "rw,noatime,nodiratime",
    );
    expect(tune(host, "apply", "--yes", "--remount-now").document?.steps).toEqual([]);
    expect(tune(host, "rollback", "--yes").exitCode).toBe(0);
    expect(stateOf(host)).toBe(before);
  }, 60_000);

  test("planb-02 turns barriers off and rollback turns them on again", () => {
    using host = createPrivateHost("ext4", "ext4");
    const before = stateOf(host);
    const run = tune(host, "apply", "--profile", "planb-02", "--yes");
    expect(run.exitCode).toBe(4);
    const options = `/proc/fs/ext4/${host.devices.models.slice(5)}/options`;
    expect(host.bash(`grep -x nobarrier ${options}`)).toBe("nobarrier");
    expect(host.bash("grep models /etc/fstab")).toContain("barrier=0,data=writeback");
    expect(host.bash("grep backup /etc/fstab")).toContain("rw,noatime,barrier=1,data=ordered");
    expect(tune(host, "rollback", "--yes").exitCode).toBe(0);
    expect(stateOf(host)).toBe(before);
  }, 60_000);

  test("an ext4 without journal gets no data=, neither in fstab nor in the superblock", () => {
    using host = createPrivateHost("ext4", "ext4");
    host.bash(`umount /mnt/citadel-models; tune2fs -O ^has_journal ${host.devices.models}
      mount ${host.devices.models} /mnt/citadel-models`);
    const run = tune(host, "apply", "--yes");
    expect(run.document?.pending).toHaveLength(0);
    expect(host.bash("grep models /etc/fstab")).toContain("defaults,nofail,noatime,nodiratime 0 2");
    host.bash("umount /mnt/citadel-models; mount /mnt/citadel-models");
    expect(host.bash("findmnt -n -o VFS-OPTIONS /mnt/citadel-models")).toBe(
      "rw,noatime,nodiratime",
    );
  }, 60_000);

  test("an option that the file system refuses is found by the trial mount, and nothing is touched", () => {
    using host = createPrivateHost("ext4", "ext4");
    host.bash("sed -i 's/defaults,nofail/defaults,nofail,no_such_option/' /etc/fstab");
    const before = stateOf(host);
    const run = host.agent("tune", "apply", "--yes", "--json");
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toContain("TRIAL_MOUNT_FAILED");
    expect(stateOf(host)).toBe(before);
    expect(host.bash("findmnt -n -o TARGET /run/citadel-agent || echo none")).toBe("none");
  }, 60_000);

  test("a broken option in an entry that we do not change does not stop the other one", () => {
    using host = createPrivateHost("ext4", "ext4");
    host.bash("sed -i 's/rw,relatime/noatime,data=ordered,no_such_option/' /etc/fstab");
    expect(tune(host, "apply", "--yes").document?.generation).toBe(1);
    expect(host.bash("grep backup /etc/fstab")).toContain(
      "noatime,data=ordered,no_such_option 0 2",
    );
  }, 60_000);

  test("a mount of somebody else's that fstab cannot find does not stop us, a new error would", () => {
    using host = createPrivateHost("ext4", "ext4");
    host.bash(
      "echo 'UUID=99999999-aaaa-4bbb-8ccc-dddddddddddd /mnt/unplugged ext4 defaults 0 2' >> /etc/fstab",
    );
    expect(host.run(["findmnt", "--verify"]).exitCode).not.toBe(0);
    expect(tune(host, "apply", "--yes").document?.generation).toBe(1);
    expect(host.bash("tail -n 1 /etc/fstab")).toContain("/mnt/unplugged ext4 defaults 0 2");
  }, 60_000);

  test("a mount that fstab does not know is added by UUID in a marked block", () => {
    using host = createPrivateHost("ext4", "ext4");
    host.bash("sed -i /citadel-models/d /etc/fstab");
    const before = stateOf(host);
    tune(host, "apply", "--yes");
    expect(host.bash("tail -n 2 /etc/fstab")).toContain(
      `UUID=${host.uuids.models}\t/mnt/citadel-models\text4`,
    );
    host.bash("umount /mnt/citadel-models; mount /mnt/citadel-models");
    expect(host.bash("findmnt -n -o VFS-OPTIONS /mnt/citadel-models")).toBe(
      "rw,noatime,nodiratime",
    );
    expect(tune(host, "rollback", "--yes").exitCode).not.toBe(6);
    expect(host.bash("sha256sum < /etc/fstab")).toBe(before.split("\n")[0] ?? "");
  }, 60_000);
});

live("on xfs and btrfs", () => {
  test.each([["xfs", "btrfs"] as [LoopType, LoopType], ["btrfs", "xfs"] as [LoopType, LoopType]])(
    "models on %s, backup on %s: noatime only, and what planb-02 leaves out is said",
    (models, backup) => {
      using host = createPrivateHost(models, backup);
      const before = stateOf(host);
      const run = tune(host, "apply", "--profile", "planb-02", "--yes");
      expect(run.exitCode).toBe(4);
      expect(run.stdout).toContain(`left out: ext4 only, ${models} refuses to mount with it`);
      expect(host.bash("grep models /etc/fstab")).toContain(
        "defaults,nofail,noatime,nodiratime 0 2",
      );
      expect(host.bash("grep backup /etc/fstab")).toContain("rw,noatime 0 2");
      host.bash("umount /mnt/citadel-models; mount /mnt/citadel-models");
      expect(host.bash("findmnt -n -o VFS-OPTIONS /mnt/citadel-models")).toBe(
        "rw,noatime,nodiratime",
      );
      expect(tune(host, "rollback", "--yes").exitCode).toBe(0);
      expect(stateOf(host)).toBe(before);
    },
    60_000,
  );
});
