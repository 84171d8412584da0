// The schedule under a real systemd: timers that fire, runs that were missed, runs that overlap, runs that fail, and
// a removal that leaves nothing.

import { describe, expect, test } from "bun:test";
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { builtBinary } from "../support/built-binary.ts";
import { bootSystemdBox, whyNoSystemdBox, type SystemdBox } from "../support/systemd-box.ts";

const why = whyNoSystemdBox();
if (why !== undefined) console.log(`skipped: the schedule under systemd: ${why}`);

const program = "/usr/local/bin/citadel-agent";
const [timer, service] = ["citadel-agent-backup.timer", "citadel-agent-backup.service"];
const models = "/mnt/citadel-models/active";

/** A box with both storages, models and our binary. Its zone is no whole hour from UTC, as a few are. */
function bootHost(): SystemdBox {
  const box = bootSystemdBox([
    `${dirname(builtBinary())}:/opt/agent`,
    `${realpathSync(process.execPath)}:/opt/bun`,
  ]);
  must(
    box,
    `ln -sf /usr/share/zoneinfo/Asia/Kolkata /etc/localtime
    for each in models backup; do mkdir /mnt/citadel-$each; mount -t tmpfs t /mnt/citadel-$each; done
    mkdir -p ${models}/llama /etc/citadel
    for each in 1 2 3 4; do head -c 200000 /dev/urandom > ${models}/llama/$each; done
    install -m 755 /opt/agent/citadel-agent ${program}`,
  );
  return box;
}

function must(box: SystemdBox, script: string): string {
  const { exitCode, stdout, stderr } = box.bash(`set -e; ${script}`);
  if (exitCode !== 0) throw new Error(`${exitCode}: ${script}\n${stdout}${stderr}`);
  return stdout.trim();
}

const asJson = <T>(box: SystemdBox, words: string) =>
  JSON.parse(must(box, `${program} ${words} --json`)) as T;

/** Waits for a condition inside. */
function until(box: SystemdBox, what: string, script: string): void {
  const loop = `for i in $(seq 400); do { ${script}; } >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1`;
  if (box.bash(loop).exitCode === 0) return;
  throw new Error(`${what}\n${box.bash("journalctl --no-pager -o cat -n 60").stdout}`);
}

/** Only a daily type, due once a day at the minute that it is now: a new schedule is due at its very time. */
function writeSettings(box: SystemdBox, more = ""): void {
  const cron = must(box, "date '+%-M %-H * * *'");
  must(
    box,
    `printf '%s\n' 'BACKUP_BACKUP_SCHEDULE="${cron}"' 'BACKUP_BACKUP_TYPES={}' ${more} > /etc/citadel/agent.env
    chmod 600 /etc/citadel/agent.env`,
  );
}

/** As after days in which nothing ran. */
function missDays(box: SystemdBox, days: number): void {
  const script = `import { Database } from "bun:sqlite";
    const catalog = new Database("/var/lib/citadel-agent/catalog.db");
    const names = "('schedule.daily', 'schedule-seen.daily')";
    const change = "UPDATE facts SET value = value - ? WHERE name IN " + names;
    console.log(catalog.run(change, [${days * 86_400_000}]).changes > 0);`;
  must(box, `cat > /root/miss.ts <<'E'\n${script}\nE`);
  expect(must(box, "/opt/bun /root/miss.ts")).toBe("true");
}

interface Snapshots {
  readonly snapshots: { readonly id: string; readonly area: string; readonly state: string }[];
}
const snapshotsOf = (box: SystemdBox) => {
  const { snapshots } = asJson<Snapshots>(box, "backup list");
  expect(snapshots.every(({ state }) => state === "complete")).toBe(true);
  return snapshots.filter(({ area }) => area === "models").map(({ id }) => id);
};
interface Status {
  readonly jobs: { readonly kind: string; readonly state: string; readonly source: string }[];
}
const createJobs = (box: SystemdBox, state: string) =>
  asJson<Status>(box, "backup status --jobs 50").jobs.filter(
    (job) => job.kind === "create" && job.state === state && job.source === models,
  ).length;
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
    using box = bootHost();
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
    must(box, `${program} backup schedule install`);
    expect(must(box, `systemctl show -p TimersCalendar ${timer}`)).toContain("*-*-* 04:07:00");
    expect(must(box, `${program} backup schedule install`)).toContain("nothing to do");

    must(box, `${program} backup schedule remove`);
    expect(traces(box)).toBe("");
    expect(snapshotsOf(box)).toHaveLength(2);
  }, 240_000);

  test("overlapping runs queue, and a failed one is a failed unit with its exit code", () => {
    using box = bootHost();
    writeSettings(box, "BACKUP_IO_LIMIT=200000");
    must(box, `${program} backup schedule install`);
    // 800 kB at 200 kB/s: the unit is at it for seconds, and two by hand come meanwhile.
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
    using box = bootHost();
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
