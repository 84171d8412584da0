// The schedule under a real systemd: timers that fire, runs that were missed, runs that overlap, runs that fail, and
// a removal that leaves nothing.

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
import { whyNoSystemdBox, type SystemdBox } from "../support/systemd-box.ts";

const why = whyNoSystemdBox();
if (why !== undefined) console.log(`skipped: the schedule under systemd: ${why}`);

const [timer, service] = ["citadel-agent-backup.timer", "citadel-agent-backup.service"];
const property = (box: SystemdBox, name: string) =>
  must(box, `systemctl show -p ${name} --value ${service}`);
const starts = (box: SystemdBox) =>
  Number(must(box, `journalctl -u ${service} -o cat | grep -c '^Starting' || true`));
/** Every file of systemd's that could stay, and every unit that it knows of us. */
const traces = (box: SystemdBox) =>
  must(
    box,
    `find /etc/systemd /run/systemd/system /var/lib/systemd -name '*citadel*'
    systemctl list-units --all --no-legend --plain 'citadel-agent*'; systemctl list-timers --all --no-legend 'citadel-agent*'`,
  );

describe.skipIf(why !== undefined)("the schedule under systemd", () => {
  test("a timer makes one backup when it is due, makes up once for missed ones, and goes without a trace", () => {
    using box = bootBackupHost();
    writeSettings(box);
    must(box, `${program} backup schedule install`);
    expect(must(box, `systemd-analyze verify /etc/systemd/system/${timer} 2>&1`)).toBe("");
    expect(must(box, `systemd-analyze verify /etc/systemd/system/${service} 2>&1`)).toBe("");
    const calendars = must(box, `sed -n 's/^OnCalendar=//p' /etc/systemd/system/${timer}`);
    const elapse = `systemd-analyze calendar '${calendars}' | sed -n 's/.*(in UTC): //p'`;
    const next = asJson<{ next: { due: string }; automatic: boolean }>(box, "backup schedule next");
    expect(next.automatic).toBe(true);
    const utc = must(box, elapse).replace(/^\w+ (\S+) (\S+) UTC$/, "$1T$2.000Z");
    expect(utc).toBe(next.next.due);

    // Made to fire every second: the first of many runs finds a backup due, the others find none.
    const dropIn = `/run/systemd/system/${timer}.d`;
    must(
      box,
      `mkdir ${dropIn}; printf '[Timer]\nOnCalendar=*:*:*\nAccuracySec=1us\n' > ${dropIn}/often.conf
      printf '[Unit]\nStartLimitIntervalSec=0\n' > ${dropIn}/limit.conf
      mkdir /run/systemd/system/${service}.d; cp ${dropIn}/limit.conf /run/systemd/system/${service}.d/
      systemctl daemon-reload; systemctl restart ${timer}`,
    );
    until(
      box,
      "the timer fires",
      `test $(journalctl -u ${service} -o cat | grep -c ^Finished) -ge 4`,
    );
    must(
      box,
      `systemctl stop ${timer}; rm -r ${dropIn} /run/systemd/system/${service}.d; systemctl daemon-reload`,
    );
    until(box, "the last one ended", `! systemctl is-active ${service} | grep activating`);
    const [first, ...others] = snapshotsOf(box);
    expect([others, createJobs(box, "completed"), createJobs(box, "failed")]).toEqual([[], 1, 0]);
    expect(property(box, "Result")).toBe("success");

    // The host was off for days.
    missDays(box, 10);
    const before = starts(box);
    must(
      box,
      `touch -d '10 days ago' /var/lib/systemd/timers/stamp-${timer}; systemctl start ${timer}`,
    );
    until(
      box,
      "a run that makes up",
      `systemctl show -p ExecMainExitTimestampMonotonic ${service}
      test $(journalctl -u ${service} -o cat | grep -c ^Finished) -gt ${before}`,
    );
    expect(starts(box)).toBe(before + 1);
    expect(snapshotsOf(box)).toEqual([first as string, expect.any(String)]);
    must(box, `systemctl restart ${timer}; systemctl start ${service}`);
    expect(snapshotsOf(box)).toHaveLength(2);
    expect(starts(box)).toBe(before + 2);

    // A changed schedule moves the timer.
    must(box, "sed -i 's/SCHEDULE=.*/SCHEDULE=\"7 4 * * *\"/' /etc/citadel/agent.env");
    const list = `${program} backup schedule list`;
    expect(must(box, list)).toContain("starts at other times than the settings say");
    must(box, `${program} backup schedule install`);
    expect(must(box, list)).not.toContain("other times");
    expect(must(box, `systemctl show -p TimersCalendar ${timer}`)).toContain("*-*-* 04:07:00");
    expect(must(box, `${program} backup schedule install`)).toContain("nothing to do");

    must(box, `${program} backup schedule remove`);
    expect(traces(box)).toBe("");
    expect(snapshotsOf(box)).toHaveLength(2);
  }, 240_000);

  test("overlapping runs queue, and a failed one is a failed unit with its exit code", () => {
    using box = bootBackupHost();
    writeSettings(box, "BACKUP_IO_LIMIT=2000000");
    must(box, `${program} backup schedule install`);
    // 8 MB at 2 MB/s: the unit is at it for seconds, and two by hand come meanwhile.
    must(box, `systemctl start --no-block ${service}`);
    until(box, "a backup runs", `${program} backup status --json | grep -q '"state":"running"'`);
    const queued = must(
      box,
      `cd /root; for each in 1 2; do ${program} backup run-due --json > $each.json & done; wait
      systemctl is-active ${service} || true; cat 1.json 2.json`,
    );
    expect(queued.split("\n")[0]).not.toBe("failed");
    const documents = queued.split("\n").slice(1);
    expect(documents).toHaveLength(2);
    for (const text of documents) expect(JSON.parse(text)).toMatchObject({ run: null });
    until(
      box,
      "the unit ended",
      `systemctl show -p ActiveState --value ${service} | grep inactive`,
    );
    expect([snapshotsOf(box).length, createJobs(box, "completed")]).toEqual([1, 1]);

    const fails = (code: number, jobs: number, snapshots: number) => {
      missDays(box, 2);
      expect(box.bash(`systemctl start ${service}`).exitCode).not.toBe(0);
      expect(property(box, "ActiveState")).toBe("failed");
      expect([property(box, "Result"), property(box, "ExecMainStatus")]).toEqual([
        "exit-code",
        String(code),
      ]);
      expect([createJobs(box, "failed"), snapshotsOf(box).length]).toEqual([jobs, snapshots]);
    };
    must(box, `mv ${models}/llama /root; mkdir ${models}/llama; cp /root/llama/1 ${models}/llama`);
    fails(6, 1, 1); // far smaller than before
    must(box, `rm -r ${models}/llama; mv /root/llama ${models}`);
    missDays(box, 2);
    must(box, `systemctl start ${service}`);
    expect([property(box, "Result"), snapshotsOf(box).length]).toEqual(["success", 2]);
    must(box, "umount /mnt/citadel-models");
    fails(7, 2, 2); // gone: an empty directory lies where it was mounted

    must(box, `${program} backup schedule remove`);
    expect(traces(box)).toBe("");
  }, 240_000);

  test("a program that is not at the usual place is started from where it is, with its settings", () => {
    using box = bootBackupHost();
    must(
      box,
      `mkdir /srv/tools; mv ${program} /srv/tools/citadel-agent; mkdir -p /srv/backup; mount -t tmpfs t /srv/backup
      f='/etc/citadel/of $HOME "100%".yml'; printf 'paths:\n  backup_root: /srv/backup\n' > "$f"; chmod 600 "$f"`,
    );
    const config = `--config '/etc/citadel/of $HOME "100%".yml'`;
    must(box, `/srv/tools/citadel-agent ${config} backup schedule install`);
    expect(must(box, `systemd-analyze verify /etc/systemd/system/${service} 2>&1`)).toBe("");
    must(box, `systemctl start ${service}`);
    missDays(box, 400);
    must(box, `systemctl start ${service}`);
    expect(must(box, "ls /srv/backup/models/latest/data/llama").split("\n")).toHaveLength(4);
    must(box, `/srv/tools/citadel-agent ${config} backup schedule remove`);
    expect(traces(box)).toBe("");
  }, 120_000);
});
