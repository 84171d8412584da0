// `backup create` where the host does not play along: link limits, protected links, interrupts, two at once, read
// errors, file systems that share blocks. By the program itself; errors are injected by strace.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { straceAvailable } from "../support/crash.ts";
import { cliCommand, runCli, scrubbedEnvironment } from "../support/run-cli.ts";

const isRoot = process.getuid?.() === 0;
const cleanups: (() => void)[] = [];
afterAll(() => {
  for (const cleanup of cleanups.reverse()) cleanup();
});

interface Report {
  snapshot: string;
  files: number;
  copied_files: number;
  linked_files: number;
  resumed_files: number;
  skipped: { path: string; reason: string }[];
  warnings: string[];
}

function openHost(root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/hard-cases-`))) {
  cleanups.push(() => fs.rmSync(root, { recursive: true, force: true }));
  const source = `${root}/mnt/citadel-models/active`;
  const models = `${root}/mnt/citadel-backup/models`;
  fs.mkdirSync(source, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  const words = (...more: string[]) => ["--root", root, "--json", "backup", ...more];
  const create = ["create", "--no-verify", "--plain"];
  return {
    root,
    source,
    models,
    words,
    partials: () =>
      fs.existsSync(models)
        ? fs.readdirSync(models).filter((name) => name.endsWith(".partial"))
        : [],
    create: (...more: string[]) =>
      runCli(words(...create, ...more), { env: { BACKUP_RESERVE_BYTES: "0" } }),
    verify: () => runCli(words("verify", "latest", "--mode", "full", "--cached")),
    /** The create command under strace with one injection. */
    traced: (options: readonly string[], env: Record<string, string> = {}) =>
      runCli(words(...create), {
        command: ["strace", "-f", "-qq", "-o", `${root}/trace`, ...options, ...cliCommand()],
        env,
        timeoutMs: 60_000,
      }),
  };
}

const settle = () => Bun.sleep(1100); // a file is trusted when its change is older than the clock's grain

test("where an inode has all its links (EMLINK) a new copy starts, and where links are forbidden that is said", async () => {
  if (!straceAvailable) return console.log("skipped: strace is missing, or may not trace here");
  for (const [errno, isTold] of [
    ["EMLINK", false],
    ["EPERM", true],
  ] as const) {
    const host = openHost();
    for (const name of ["a", "b", "c"]) fs.writeFileSync(`${host.source}/${name}`, name.repeat(50));
    await settle();
    expect((await host.create()).exitCode).toBe(0);
    const inject = `inject=link,linkat:error=${errno}`;
    const run = await host.traced(["-e", "trace=link,linkat", "-e", inject]);
    expect({ exitCode: run.exitCode, stderr: run.stderr }).toMatchObject({ exitCode: 0 });
    const report = run.json<Report>();
    expect(report).toMatchObject({ files: 3, copied_files: 3, linked_files: 0, skipped: [] });
    expect(report.warnings.join().includes("hard links")).toBe(isTold);
    expect(fs.statSync(`${host.models}/${report.snapshot}/data/a`).nlink).toBe(1);
    expect((await host.verify()).exitCode).toBe(0);
    expect((await host.create()).json<Report>().linked_files).toBe(3);
  }
}, 120_000);

test("a read that fails with EIO is tried again as often as the settings say, and goes on with its partial", async () => {
  if (!straceAvailable) return console.log("skipped: strace is missing, or may not trace here");
  const host = openHost();
  fs.writeFileSync(`${host.source}/good`, "good");
  fs.writeFileSync(`${host.source}/weak`, crypto.getRandomValues(new Uint8Array(60_000)));
  const inject = "inject=read,pread64,preadv:error=EIO";
  const run = await host.traced(
    ["-P", `${host.source}/weak`, "-e", "trace=read,pread64,preadv", "-e", inject],
    { BACKUP_RETRY_DELAY_SECONDS: "5", BACKUP_MAX_RETRY_ATTEMPTS: "2" },
  );
  expect(run.stderr.match(/trying again/g)).toHaveLength(1);
  expect(run.exitCode).toBe(4);
  const report = run.json<Report>();
  expect(report).toMatchObject({ files: 1, resumed_files: 1, copied_files: 0 });
  expect(report.skipped).toMatchObject([{ path: "weak", reason: "unreadable" }]);
  const next = await host.create();
  expect({ exitCode: next.exitCode, ...next.json<Report>() }).toMatchObject({
    exitCode: 0,
    files: 2,
    skipped: [],
  });
}, 120_000);

test("SIGINT and SIGTERM end a backup with 130 and 143 and leave a partial that the next one goes on with", async () => {
  const host = openHost();
  for (let at = 0; at < 400; at += 1) fs.writeFileSync(`${host.source}/f${at}`, `${at}`.repeat(99));
  const block = new Uint8Array(60_000_000);
  for (let at = 0; at < block.length; at += 60_000)
    crypto.getRandomValues(block.subarray(at, at + 60_000));
  fs.writeFileSync(`${host.source}/z-large`, block);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    const child = Bun.spawn(
      [...cliCommand(), ...host.words("create", "--type", "full", "--plain")],
      {
        env: { ...scrubbedEnvironment, BACKUP_IO_LIMIT: "2000000" },
        stdout: "ignore",
        stderr: "ignore",
      },
    );
    const isUnderWay = () => {
      const [name] = host.partials();
      const journal = `${host.models}/${name}/.work/journal`;
      return (
        name !== undefined && (fs.statSync(journal, { throwIfNoEntry: false })?.size ?? 0) > 5000
      );
    };
    while (!isUnderWay() && child.exitCode === null) await Bun.sleep(5);
    child.kill(signal);
    expect(await child.exited).toBe(code);
    expect(host.partials()).toHaveLength(1);
  }
  const next = await host.create("--type", "full");
  expect(next.exitCode).toBe(0);
  const report = next.json<Report>();
  expect(report.resumed_files).toBeGreaterThan(0);
  expect(report.resumed_files + report.copied_files).toBe(401);
  expect(host.partials()).toEqual([]);
  expect((await host.verify()).exitCode).toBe(0);
}, 120_000);

test("two backups of one source at once: one waits for the other, or ends with 5; both snapshots verify", async () => {
  const host = openHost();
  fs.writeFileSync(`${host.source}/large`, Buffer.alloc(20_000_000, "ab"));
  const runs = await Promise.all([host.create(), host.create(), host.create("--type", "full")]);
  for (const { exitCode } of runs) expect([0, 5]).toContain(exitCode ?? -1);
  expect(runs.some(({ exitCode }) => exitCode === 0)).toBe(true);
  expect(host.partials()).toEqual([]);
  expect((await runCli(host.words("verify", "--all", "--cached"))).exitCode).toBe(0);
}, 120_000);

test("a link that a killed run had not renamed to latest yet is removed, that of a living one stays", async () => {
  const host = openHost();
  fs.writeFileSync(`${host.source}/a`, "a");
  expect((await host.create()).exitCode).toBe(0);
  const name = (pid: number) => `.citadel-agent.link-${pid}-${"0".repeat(24)}.tmp`;
  for (const pid of [Bun.spawnSync(["true"]).pid, process.pid])
    fs.symlinkSync("somewhere", `${host.models}/${name(pid)}`);
  expect((await host.create()).exitCode).toBe(0);
  const left = fs.readdirSync(host.models).filter((entry) => entry.startsWith(".citadel-agent"));
  expect(left).toEqual([name(process.pid)]);
}, 60_000);

test("a clock that was set back: the backup is made, cleaning up needs --force", async () => {
  if (Bun.which("faketime") === null) return console.log("skipped: faketime is missing");
  const host = openHost();
  fs.writeFileSync(`${host.source}/a`, "a");
  const ago = (days: number) => ["faketime", "-f", `-${days}d`, ...cliCommand()];
  const old = await runCli(host.words("create", "--no-verify"), { command: ago(200) });
  expect(old.exitCode).toBe(0);
  fs.writeFileSync(`${host.source}/a`, "c");
  expect((await host.create()).exitCode).toBe(0);
  const past = ago(90);
  const clean = (...more: string[]) =>
    runCli(host.words("cleanup", "30", "--yes", ...more), { command: past });
  fs.writeFileSync(`${host.source}/a`, "b");
  const made = await runCli(host.words("create", "--no-verify"), { command: past });
  expect(made.exitCode).toBe(0);
  // the link and the word mean the same one, and it is said that this is not it
  const { snapshot, warnings } = made.json<{ snapshot: string; warnings: string[] }>();
  const latest = fs.readlinkSync(`${host.models}/latest`);
  expect(latest > snapshot).toBe(true);
  expect(warnings.join()).toContain(`\`latest\` stays with ${latest}`);
  const verified = await runCli(host.words("verify", "latest", "--sample", "0"));
  expect(verified.json()).toMatchObject({ snapshot: latest });
  const refused = await clean();
  expect(refused).toMatchObject({ exitCode: 6 });
  expect(refused.json<{ error: { message: string } }>().error.message).toContain("clock");
  const listed = () => fs.readdirSync(host.models).filter((name) => /^2.*-[0-9a-f]{4}$/.test(name));
  expect(listed()).toHaveLength(3);
  expect((await clean("--force")).exitCode).toBe(0);
  expect(listed()).toHaveLength(2);
}, 60_000);

test("a loop of links, names of 255 bytes, and files that vanish meanwhile", async () => {
  const host = openHost();
  const long = "n".repeat(255);
  fs.writeFileSync(`${host.source}/${long}`, "long");
  fs.symlinkSync("loop-b", `${host.source}/loop-a`);
  fs.symlinkSync("loop-a", `${host.source}/loop-b`);
  fs.symlinkSync("..", `${host.source}/up`);
  for (let at = 0; at < 2000; at += 1) fs.writeFileSync(`${host.source}/v${at}`, `${at}`);
  const child = Bun.spawn([...cliCommand(), ...host.words("create", "--no-verify")], {
    env: scrubbedEnvironment,
    stdout: "pipe",
    stderr: "ignore",
  });
  while (host.partials().length === 0 && child.exitCode === null) await Bun.sleep(1);
  for (let at = 1999; at >= 0; at -= 2) fs.rmSync(`${host.source}/v${at}`);
  const report = JSON.parse(await child.stdout.text()) as Report;
  expect([0, 4]).toContain(await child.exited);
  for (const { reason } of report.skipped) expect(reason).toBe("vanished");
  const data = `${host.models}/${report.snapshot}/data`;
  expect(fs.readFileSync(`${data}/${long}`, "utf8")).toBe("long");
  expect(fs.readlinkSync(`${data}/loop-a`)).toBe("loop-b");
  expect(fs.readlinkSync(`${data}/up`)).toBe("..");
  expect((await host.verify()).exitCode).toBe(0);
}, 60_000);

test.each(["xfs", "btrfs"] as const)(
  "on %s an incremental backup shares blocks with its source, a full one does not",
  async (type) => {
    if (!isRoot || Bun.which(`mkfs.${type}`) === null)
      return console.log(`skipped: needs root and mkfs.${type}`);
    const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/reflink-`));
    const image = `${root}.img`;
    fs.writeFileSync(image, "");
    fs.truncateSync(image, 400_000_000);
    const options = type === "xfs" ? ["-q", "-m", "reflink=1"] : ["-q"];
    const isMade = Bun.spawnSync([`mkfs.${type}`, ...options, image]).exitCode === 0;
    cleanups.push(() => fs.rmSync(image, { force: true }));
    if (!isMade || Bun.spawnSync(["mount", "-o", "loop", image, root]).exitCode !== 0)
      return console.log(`skipped: cannot mount ${type} here`);
    const host = openHost(root);
    cleanups.push(() => Bun.spawnSync(["umount", root]));
    fs.writeFileSync(`${host.source}/w`, Buffer.alloc(50_000_000, crypto.randomUUID()));
    const used = () => {
      Bun.spawnSync(["sync", "-f", root]);
      const { blocks, bfree, bsize } = fs.statfsSync(root);
      return (blocks - bfree) * bsize;
    };
    const before = used();
    expect((await host.create("--type", "incremental")).exitCode).toBe(0);
    expect(used() - before).toBeLessThan(25_000_000);
    expect((await host.verify()).exitCode).toBe(0);
    const shared = used();
    expect((await host.create("--type", "full")).exitCode).toBe(0);
    expect(used() - shared).toBeGreaterThan(45_000_000);
    expect((await host.verify()).exitCode).toBe(0);
  },
  120_000,
);
