import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import {
  dueRun,
  nextRun,
  nextTime,
  ranUntil,
  scheduleOf,
  toOnCalendar,
  withCronBlock,
} from "../../src/backup/schedule.ts";
import { runCli } from "../support/run-cli.ts";

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

test("backup run-due runs nothing at first, then makes up once, cleans up and tries a restore", async () => {
  expect((await agent("run-due", "--json")).json()).toMatchObject({ run: null, steps: [] });
  const { Database } = await import("bun:sqlite");
  const catalog = new Database(`${root}/var/lib/citadel-agent/catalog.db`);
  catalog.run("UPDATE facts SET value = ? WHERE name LIKE 'schedule.%'", [
    String(Date.now() - 90 * 86_400_000),
  ]);
  catalog.close();
  const run = await agent("run-due", "--json");
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
  expect((await agent("run-due", "--json")).json()).toMatchObject({ run: null });
  const listed = (await agent("list", "--json")).json<{ snapshots: { tags: string[] }[] }>();
  const all = ["daily", "monthly", "weekly"];
  expect(listed.snapshots.map(({ tags }) => tags)).toEqual([all, all]); // models, configuration
}, 60_000);
