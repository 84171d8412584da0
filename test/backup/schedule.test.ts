import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import {
  dueRun,
  firstSeenFrom,
  nextOpenTime,
  nextRun,
  nextTime,
  ranUntil,
  scheduleOf,
  toOnCalendar,
  withCronBlock,
} from "../../src/backup/schedule.ts";
import { runsCron } from "../../src/app/schedule-runners.ts";
import { cliCommand, runCli } from "../support/run-cli.ts";

const local = (text: string) => new Date(text).getTime(); // without a zone: local time
const schedule = [
  { tag: "daily", cron: "0 2 * * *" },
  { tag: "monthly", cron: "30 2 1 * *" },
  { tag: "weekly", cron: "0 3 * * 0" },
];
const all = (atMs: number) => new Map(schedule.map(({ tag }) => [tag, atMs]));

test("the daily schedule is BACKUP_BACKUP_SCHEDULE unless the types name another", () => {
  const types = { daily: "0 2 * * *", weekly: "0 3 * * 0" };
  expect(scheduleOf("15 1 * * *", types)[0]).toEqual({ tag: "daily", cron: "15 1 * * *" });
  expect(scheduleOf("15 1 * * *", { ...types, daily: "0 5 * * *" })[0]).toEqual({
    tag: "daily",
    cron: "0 5 * * *",
  });
  expect(scheduleOf("15 1 * * *", {})).toEqual([{ tag: "daily", cron: "15 1 * * *" }]);
}, 60_000);

test("cron texts are local time", () => {
  expect(nextTime("0 2 * * *", local("2026-06-01T12:00"))).toBe(local("2026-06-02T02:00"));
  expect(nextTime("0 4 31 2 *", local("2026-06-01T12:00"))).toBeUndefined();
}, 60_000);

test("what falls due in one hour is one run with all its tags", () => {
  const run = dueRun(schedule, all(local("2026-05-31T12:00")), local("2026-06-01T02:00"));
  expect(run).toEqual({ dueMs: local("2026-06-01T02:00"), tags: ["daily", "monthly"] });
  const after = all(ranUntil(local("2026-06-01T02:05")));
  expect(dueRun(schedule, after, local("2026-06-01T02:45"))).toBeUndefined();
  expect(nextRun(schedule, local("2026-05-31T12:00"))?.tags).toEqual(["daily", "monthly"]);
}, 60_000);

test("however many runs were missed, one makes up for them", () => {
  const nowMs = local("2026-06-20T10:00");
  const run = dueRun(schedule, all(local("2026-05-01T12:00")), nowMs);
  expect(run?.tags).toEqual(["daily", "monthly", "weekly"]);
  expect(dueRun(schedule, all(ranUntil(nowMs)), nowMs)).toBeUndefined();
}, 60_000);

test("a clock that jumps neither repeats runs nor waits for itself to catch up", () => {
  const nowMs = local("2026-06-20T10:00");
  const ahead = all(local("2027-06-20T10:00"));
  expect(dueRun(schedule, ahead, nowMs)).toBeUndefined();
  expect(dueRun(schedule, new Map(), nowMs)).toBeUndefined();
}, 60_000);

test("a schedule that is met at its very time does not wait for the next one", () => {
  const atTwo = local("2026-06-02T02:00:03");
  const since = (nowMs: number) => all(firstSeenFrom(nowMs));
  expect(dueRun(schedule, since(atTwo), atTwo)?.tags).toEqual(["daily"]);
  const later = local("2026-06-02T10:00");
  expect(dueRun(schedule, since(later), later)).toBeUndefined();
});

test("the next run counts from what was dealt with, and lies in the past where it is overdue", () => {
  const nowMs = local("2026-06-20T10:00");
  const daily = "0 2 * * *";
  expect(nextOpenTime(daily, undefined, nowMs)).toBe(local("2026-06-21T02:00"));
  expect(nextOpenTime(daily, local("2026-06-18T10:00"), nowMs)).toBe(local("2026-06-19T02:00"));
  expect(nextOpenTime(daily, local("2027-06-18T10:00"), nowMs)).toBe(local("2026-06-21T02:00"));
});

test("every cron text has an OnCalendar form that systemd takes", () => {
  expect(toOnCalendar("0 2 * * *")).toEqual(["*-*-* 02:00:00"]);
  expect(toOnCalendar("0 3 * * 0")).toEqual(["Sun *-*-* 03:00:00"]);
  expect(toOnCalendar("30 4 1 * *")).toEqual(["*-*-01 04:30:00"]);
  expect(toOnCalendar("*/15 0-6 1 1 1-5")).toEqual([
    "*-01-01 00..06:00/15:00",
    "Mon..Fri *-01-* 00..06:00/15:00",
  ]);
  if (Bun.which("systemd-analyze") === null) {
    console.log("skipped in part: no systemd-analyze");
    return;
  }
  for (const cron of ["0 2 * * *", "0 3 * * 0", "5,35 */6 1-7 1,7 sun,wed"]) {
    for (const line of toOnCalendar(cron)) {
      expect(Bun.spawnSync(["systemd-analyze", "calendar", line]).exitCode).toBe(0);
    }
  }
}, 60_000);

test("our block of a crontab comes and goes, all else stays byte for byte", () => {
  const others = "# mine\n0 5 * * * other\n\n  odd line without newline";
  for (const before of ["", others, `${others}\n`]) {
    const once = withCronBlock(before, ["0 2 * * * agent"]);
    expect(withCronBlock(once, ["0 2 * * * agent"])).toBe(once);
    expect(once).toContain("\n0 2 * * * agent\n# END");
    const gone = withCronBlock(once, []);
    expect(gone === before || gone === `${before}\n`).toBe(true);
    expect(withCronBlock(once, ["0 3 * * * agent"])).not.toContain("0 2 * * * agent");
  }
}, 60_000);

let root: string;
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/schedule-`));
  fs.mkdirSync(`${root}/mnt/citadel-models/active/m`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  fs.writeFileSync(`${root}/mnt/citadel-models/active/m/w`, "weights");
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args]);

test("backup schedule installs and removes exactly its own files below --root", async () => {
  const crontab = `${root}/var/spool/cron/crontabs/root`;
  fs.mkdirSync(`${root}/var/spool/cron/crontabs`, { recursive: true });
  const others = Buffer.from("0 5 * * * other \xff\n# no end of line", "latin1");
  fs.writeFileSync(crontab, others, { mode: 0o600 });
  const planned = await agent("schedule", "install", "--dry-run", "--json");
  expect(planned.json()).toMatchObject({ steps: [{ op: "write_file", path: crontab }] });
  expect(fs.readFileSync(crontab)).toEqual(others);
  await agent("schedule", "install");
  expect(fs.readFileSync(crontab, "latin1")).toContain(
    "0 2 * * * /usr/local/bin/citadel-agent backup run-due\n",
  );
  expect((await agent("schedule", "install", "--json")).json()).toMatchObject({ steps: [] });
  await agent("schedule", "remove");
  expect(fs.readFileSync(crontab, "latin1")).toBe(`${others.toString("latin1")}\n`);
  fs.mkdirSync(`${root}/etc/systemd/system`, { recursive: true });
  const installed = await agent("schedule", "install", "--json");
  expect(installed.json()).toMatchObject({
    on_the_host: ["systemctl daemon-reload", "systemctl start citadel-agent-backup.timer"],
  });
  expect(
    fs.readFileSync(`${root}/etc/systemd/system/citadel-agent-backup.timer`, "utf8"),
  ).toContain("OnCalendar=*-*-* 02:00:00");
  expect((await agent("schedule", "install", "--json")).json()).toMatchObject({ steps: [] });
  await agent("schedule", "remove");
  expect(fs.readdirSync(`${root}/etc/systemd/system`)).toEqual(["timers.target.wants"]);
  expect(fs.readdirSync(`${root}/etc/systemd/system/timers.target.wants`)).toEqual([]);
  const { next } = (await agent("schedule", "next", "--json")).json<{ next: { tags: string[] } }>();
  expect(next.tags).toContain("daily");
}, 60_000);

test("a crontab that the schedule made is not left behind, and uninstall takes our block", async () => {
  const crontab = `${root}/var/spool/cron/crontabs/root`;
  fs.rmSync(crontab, { force: true });
  await agent("schedule", "install", "--cron");
  expect(fs.readFileSync(crontab, "utf8")).toContain("run-due");
  await agent("schedule", "remove");
  expect(fs.existsSync(crontab)).toBe(false);
  await agent("schedule", "install", "--cron");
  fs.appendFileSync(crontab, "0 6 * * * mine\n");
  expect((await runCli(["--root", root, "--yes", "uninstall", "--keep-state"])).exitCode).toBe(0);
  expect(fs.readFileSync(crontab, "utf8")).toBe("0 6 * * * mine\n");
  fs.rmSync(crontab);
}, 60_000);

test("a crontab block without its end loses only its first line", () => {
  const broken =
    "# BEGIN citadel-agent backup (managed: changes inside are lost)\n0 5 * * * mine\n";
  expect(withCronBlock(broken, [])).toBe("0 5 * * * mine\n");
});

interface Listed {
  readonly automatic: boolean | null;
  readonly runners: { kind: string; where: string; problem: string | null }[];
  readonly schedule: { tag: string; last: string | null; next: string }[];
}

/** Six hours from now: nothing falls due while the test runs. */
const quiet = `0 ${(new Date().getUTCHours() + 6) % 24} * * *`;
const later = {
  BACKUP_BACKUP_SCHEDULE: quiet,
  BACKUP_BACKUP_TYPES: JSON.stringify({
    daily: quiet,
    weekly: quiet.replace(/\*$/, "0"),
    monthly: quiet.replace("*", "1"),
  }),
};
const quietly = (...args: string[]) => runCli(["--root", root, "backup", ...args], { env: later });

test("the schedule says that nobody runs it, or who does, and whether he can", async () => {
  const crontab = `${root}/var/spool/cron/crontabs/root`;
  const listed = async () => (await quietly("schedule", "list", "--json")).json<Listed>();
  expect(await listed()).toMatchObject({ automatic: false, runners: [] });
  expect((await quietly("schedule", "list")).stdout).toContain("nobody runs it: start the service");
  const next = (await quietly("schedule", "next")).stdout;
  expect(next).toMatch(/^\d{4}-\d\d-\d\dT\d\d:00:00\.000Z \(in \d+ h\) {2}daily/);
  expect(next).toContain("nobody runs it");
  expect((await quietly("status")).stderr).toContain("nobody runs it");
  expect((await quietly("status", "--json")).json()).toMatchObject({ automatic: false });
  // the status of the agent itself names the same time, and says the same of it
  const whole = (...args: string[]) => runCli(["--root", root, "status", ...args], { env: later });
  const backups = async () => (await whole("--json")).json<{ backups: unknown }>().backups;
  const due = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:00:00/);
  expect(await backups()).toMatchObject({ next_scheduled: due, automatic: false });
  expect((await whole()).stdout).toMatch(/, next in .* \(nobody runs it: `citadel-agent backup/);

  const planned = await quietly("schedule", "install", "--cron", "--dry-run");
  expect(planned.stderr).toContain("there is no /usr/local/bin/citadel-agent");
  const installed = await quietly("schedule", "install", "--cron");
  expect(installed.exitCode).toBe(0);
  expect(installed.stderr).toContain("there is no /usr/local/bin/citadel-agent");
  expect(await listed()).toMatchObject({
    automatic: false,
    runners: [{ kind: "crontab", problem: "there is no /usr/local/bin/citadel-agent" }],
  });
  fs.mkdirSync(`${root}/usr/local/bin`, { recursive: true });
  fs.writeFileSync(`${root}/usr/local/bin/citadel-agent`, "#!/bin/sh\n");
  const [unable] = (await listed()).runners;
  expect(unable?.problem).toContain("is not a program that can be started");
  fs.chmodSync(`${root}/usr/local/bin/citadel-agent`, 0o755);
  expect(await listed()).toMatchObject({
    automatic: true,
    runners: [{ kind: "crontab", where: "/var/spool/cron/crontabs/root", problem: null }],
  });
  expect((await quietly("schedule", "list")).stdout).toContain("run by the crontab");
  expect((await quietly("status")).stderr).not.toContain("nobody");
  expect(await backups()).toMatchObject({ next_scheduled: due, automatic: true });
  expect((await whole()).stdout).not.toContain("runs it");
  expect((await quietly("schedule", "install", "--cron")).stderr).toBe("");
  await quietly("schedule", "remove");
  expect(await listed()).toMatchObject({ automatic: false, runners: [] });
  expect(fs.existsSync(crontab)).toBe(false);
}, 60_000);

test("a crontab runs nothing without a cron daemon; who does not see other processes cannot tell", () => {
  const proc = `${root}/some-proc`;
  const put = (pid: string, comm: string) => {
    fs.mkdirSync(`${proc}/${pid}`, { recursive: true });
    fs.writeFileSync(`${proc}/${pid}/comm`, `${comm}\n`);
  };
  put("77", "crontab");
  expect(runsCron(proc)).toBeUndefined();
  put("1", "init");
  expect(runsCron(proc)).toBe(false);
  put("78", "crond");
  expect(runsCron(proc)).toBe(true);
  fs.rmSync(proc, { recursive: true });
});

test("an instance of a template is found as a timer, and one that no target wants runs nothing", async () => {
  const units = `${root}/etc/systemd/system`;
  fs.mkdirSync(`${units}/timers.target.wants`, { recursive: true });
  const timer = "citadel-agent-backup@run-due.timer";
  fs.writeFileSync(`${units}/${timer}`, "[Timer]\nOnCalendar=*-*-* 02:00:00\n");
  fs.writeFileSync(
    `${units}/citadel-agent-backup@.service`,
    "[Service]\nExecStart=/usr/local/bin/citadel-agent backup %i\n",
  );
  const listed = async () => (await quietly("schedule", "list", "--json")).json<Listed>();
  expect((await listed()).runners).toMatchObject([
    { kind: "timer", where: `/etc/systemd/system/${timer}`, problem: `${timer} is not enabled` },
  ]);
  fs.symlinkSync(`../${timer}`, `${units}/timers.target.wants/${timer}`);
  expect(await listed()).toMatchObject({ automatic: true, runners: [{ problem: null }] });
  fs.rmSync(`${units}`, { recursive: true });
}, 60_000);

const mayBecome = process.geteuid?.() === 0 && Bun.which("setpriv") !== null;
if (!mayBecome) console.log("skipped in part: another user needs root and setpriv");
test.skipIf(!mayBecome)(
  "what the caller may not read is not known, neither run nor unattended",
  async () => {
    fs.chmodSync(root, 0o755);
    const tables = `${root}/var/spool/cron/crontabs`;
    fs.mkdirSync(tables, { recursive: true });
    fs.writeFileSync(`${tables}/root`, "0 2 * * * /usr/local/bin/citadel-agent backup run-due\n");
    fs.chmodSync(`${tables}/root`, 0o600);
    const command = [
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      ...cliCommand(),
    ];
    const listed = (...words: string[]) =>
      runCli(["--root", root, "backup", "schedule", "list", ...words], { command });
    expect((await listed("--json")).json<Listed>().automatic).toBeNull();
    expect((await listed()).stdout).toContain("whether anything runs it is not known");
    fs.rmSync(`${tables}/root`);
  },
  60_000,
);

test("in a tree the unit of the daemon counts, once it is enabled", async () => {
  const units = `${root}/etc/systemd/system`;
  fs.mkdirSync(`${units}/multi-user.target.wants`, { recursive: true });
  const unit = `${units}/citadel-agent.service`;
  fs.writeFileSync(unit, "[Service]\nExecStart=/usr/local/bin/citadel-agent monitor\n");
  const listed = async () => (await quietly("schedule", "list", "--json")).json<Listed>();
  const where = "/etc/systemd/system/citadel-agent.service";
  const off = await listed();
  expect(off.automatic).toBe(false);
  expect(off.runners).toMatchObject([{ kind: "daemon", where, problem: "it is not enabled" }]);
  fs.symlinkSync(unit, `${units}/multi-user.target.wants/citadel-agent.service`);
  const on = await listed();
  expect(on.automatic).toBe(true);
  expect(on.runners).toMatchObject([{ kind: "daemon", where, problem: null }]);
  fs.rmSync(units, { recursive: true });
}, 60_000);

test("backup run-due runs nothing at first, then makes up once, cleans up and tries a restore", async () => {
  expect((await quietly("run-due", "--json")).json()).toMatchObject({ run: null, steps: [] });
  const lasts = async () =>
    (await quietly("schedule", "list", "--json")).json<Listed>().schedule.map(({ last }) => last);
  expect(await lasts()).toEqual([null, null, null]); // it was seen, and nothing ran
  const { Database } = await import("bun:sqlite");
  const catalog = new Database(`${root}/var/lib/citadel-agent/catalog.db`);
  const longAgoMs = Date.now() - 90 * 86_400_000;
  const seen = catalog.run("UPDATE facts SET value = ? WHERE name LIKE 'schedule-seen.%'", [
    String(longAgoMs),
  ]);
  expect(seen.changes).toBe(3);
  catalog.close();
  const overdue = (await quietly("schedule", "list", "--json")).json<Listed>();
  for (const { last, next } of overdue.schedule) {
    expect(last).toBeNull();
    expect(Date.parse(next)).toBeLessThan(Date.now() - 40 * 86_400_000);
  }
  expect((await quietly("schedule", "list")).stdout).toMatch(/daily .* never +due, \d+ d ago/);
  // trials that were killed, before and after they had everything; and one that is under way
  const dead = Bun.spawnSync(["true"]).pid;
  const stage = (pid: number) =>
    `.citadel-agent.restore-.citadel-agent.test-restore.${pid}.${pid}.0a`;
  const trials = [dead, process.pid].flatMap((pid) => [
    `.citadel-agent.test-restore.${pid}`,
    stage(pid),
  ]);
  const backupRoot = `${root}/mnt/citadel-backup`;
  for (const name of trials) {
    fs.mkdirSync(`${backupRoot}/${name}/below`, { recursive: true });
    fs.writeFileSync(`${backupRoot}/${name}/below/shard`, "shard");
  }
  const run = await quietly("run-due", "--json");
  const left = fs.readdirSync(backupRoot).filter((name) => name.includes("test-restore"));
  expect(left.toSorted()).toEqual(trials.slice(2).toSorted());
  for (const name of left) fs.rmSync(`${backupRoot}/${name}`, { recursive: true });
  expect({ exitCode: run.exitCode, stderr: run.stderr }).toMatchObject({ exitCode: 0 });
  const { steps, run: ran } = run.json<{
    steps: { step: string; ok: boolean; message: string }[];
    run: { tags: string[] };
  }>();
  expect(ran.tags).toEqual(["daily", "monthly", "weekly"]);
  expect(steps.map(({ step, ok }) => [step, ok])).toEqual([
    ["backup", true],
    ["configs", true],
    ["cleanup", true],
    ["test_restore", true],
    ["verify", true],
  ]);
  expect((await quietly("run-due", "--json")).json()).toMatchObject({ run: null });
  for (const last of await lasts())
    expect(Date.now() - Date.parse(last ?? "")).toBeLessThan(60_000);
  const listed = (await agent("list", "--json")).json<{ snapshots: { tags: string[] }[] }>();
  const all = ["daily", "monthly", "weekly"];
  expect(listed.snapshots.map(({ tags }) => tags)).toEqual([all, all]); // models, configuration
}, 60_000);

test("an hour is one of the local clock, in zones of half hours too", () => {
  const script = `import { dueRun, ranUntil } from "${import.meta.dir}/../../src/backup/schedule.ts";
    const at = (text) => new Date(text).getTime();
    const schedule = [{ tag: "a", cron: "10 2 * * *" }, { tag: "b", cron: "50 2 * * *" }];
    const last = new Map(schedule.map(({ tag }) => [tag, at("2026-06-01T12:00")]));
    const run = dueRun(schedule, last, at("2026-06-02T02:10"));
    console.log(run.tags.join(), ranUntil(at("2026-06-02T02:10")) - at("2026-06-02T02:59"));`;
  const run = Bun.spawnSync([process.execPath, "-e", script], {
    env: { PATH: process.env["PATH"] ?? "", TZ: "Asia/Kolkata" },
  });
  expect(run.stdout.toString()).toBe("a,b 59999\n");
});
