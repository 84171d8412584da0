// The daemon as runner of the schedule, under a booted systemd: each backup is a process of its own, and how it went
// reaches status, metrics and alerts.

import { describe, expect, test } from "bun:test";
import {
  asJson,
  bootBackupHost,
  createJobs,
  missDays,
  models,
  must,
  program,
  snapshotsOf,
  until,
  writeSettings,
} from "../support/schedule-box.ts";
import { whyNoSystemdBox } from "../support/systemd-box.ts";

const why = whyNoSystemdBox();
if (why !== undefined) console.log(`skipped: the daemon as runner of the schedule: ${why}`);

const unit = "citadel-agent-backup@run-due.service";

interface Alerts {
  readonly alerts: { readonly name: string; readonly state: string; readonly summary: string }[];
}

describe.skipIf(why !== undefined)("the daemon as runner of the schedule", () => {
  test("a due backup is a process of its own, and failing ones alert and keep the old snapshots", () => {
    using box = bootBackupHost();
    const property = (name: string) => must(box, `systemctl show -p ${name} --value ${unit}`);
    const metric = (name: string) => must(box, `${program} metrics | sed -n 's/^${name} //p'`);
    const failures = () =>
      asJson<Alerts>(box, "alerts list --firing").alerts.filter(
        ({ name }) => name === "BACKUP_JOB_FAILED",
      );
    // A reload looks at once for what is due, and at everything that is watched. An alert fires when a second look
    // finds it too.
    const look = "systemctl reload citadel-agent; sleep 0.5";
    /** The audit line of a run that ended so. */
    const ended = (code: number) => {
      const line = `"command":"backup run-due".*"exit_code":${code}}`;
      until(box, `exit ${code}`, `journalctl -u ${unit} -o cat | grep -q '${line}'`);
    };
    const runDue = (code: number, state: string, count: number) => {
      missDays(box, 2);
      for (let tries = 0; createJobs(box, state) < count && tries < 40; tries += 1) must(box, look);
      expect(createJobs(box, state)).toBe(count);
      ended(code);
    };

    writeSettings(box, "BACKUP_IO_LIMIT=2000000 STORAGE_MONITOR_CHECK_INTERVAL=1");
    must(
      box,
      `mkdir -p /opt/citadel /etc/systemd/system/${unit}.d
      printf '[Unit]\nStartLimitIntervalSec=0\n' > /etc/systemd/system/${unit}.d/test.conf
      ${program} setup --yes; ${program} service install --now`,
    );

    // Under way: the daemon that started it goes and comes back, the backup stays what it is.
    until(box, "a backup runs", `${program} backup status --json | grep -q '"state":"running"'`);
    const [pid, daemon] = [
      property("MainPID"),
      must(box, "systemctl show -p MainPID --value citadel-agent"),
    ];
    expect(Number(pid)).toBeGreaterThan(0);
    expect(pid).not.toBe(daemon);
    must(box, "sed -i /IO_LIMIT/d /etc/citadel/agent.env; systemctl restart citadel-agent");
    expect(property("MainPID")).toBe(pid);
    ended(0);
    expect([snapshotsOf(box).length, createJobs(box, "completed")]).toEqual([1, 1]);

    // Done: everybody knows.
    until(
      box,
      "the metrics",
      `${look}; ${program} metrics | grep -qx 'citadel_backup_snapshots 2'`,
    );
    const { backups } = asJson<{ backups: { state: string; last_complete: string | null } }>(
      box,
      "status",
    );
    expect(backups.state).toBe("ok");
    expect(Date.now() - Date.parse(backups.last_complete ?? "")).toBeLessThan(300_000);
    expect([metric("citadel_backup_failed_jobs"), failures()]).toEqual(["0", []]);

    // Far smaller than before: refused, alerted, the old snapshot stays.
    must(box, `mkdir /root/aside; mv ${models}/llama/[123] /root/aside`);
    runDue(6, "failed", 1);
    until(box, "the alert", `${look}; ${program} alerts list --firing | grep -q BACKUP_JOB_FAILED`);
    expect(failures()[0]?.summary).toContain(models);
    expect([metric("citadel_backup_failed_jobs"), snapshotsOf(box).length]).toEqual(["1", 1]);
    expect(asJson<Alerts>(box, "status").alerts.map(({ name }) => name)).toContain(
      "BACKUP_JOB_FAILED",
    );

    // As it was again: the next run settles it.
    must(box, `mv /root/aside/* ${models}/llama`);
    runDue(0, "completed", 2);
    until(
      box,
      "it is settled",
      `${look}; ! ${program} alerts list --firing | grep -q BACKUP_JOB_FAILED`,
    );
    expect([metric("citadel_backup_failed_jobs"), snapshotsOf(box).length]).toEqual(["0", 2]);

    // The disk of the models is gone.
    must(box, "umount /mnt/citadel-models");
    runDue(7, "failed", 2);
    until(box, "the alert", `${look}; ${program} alerts list --firing | grep -q BACKUP_JOB_FAILED`);
    expect(failures()[0]?.summary).toContain("not mounted");
    expect(snapshotsOf(box)).toHaveLength(2);
    must(box, `rm -r /etc/systemd/system/${unit}.d; ${program} service uninstall`);
    expect(
      must(
        box,
        "find /etc/systemd -name '*citadel*'; systemctl list-units --failed --plain --no-legend 'citadel-agent*'",
      ),
    ).toBe("");
  }, 240_000);
});
