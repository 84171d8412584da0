// A backup disk with 0 bytes free: list, verify, restore elsewhere and clean-up work, through the reserve.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { keepReserve, releaseReserve } from "../../src/system/reserve-file.ts";
import { randomBytes } from "node:crypto";
import { cliCommand, runCli, scrubbedEnvironment } from "../support/run-cli.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

let root: string;
let isMounted = false;
const disk = () => `${root}/mnt/citadel-backup`;
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/full-`));
  fs.mkdirSync(disk(), { recursive: true });
  const image = `${root}/disk.img`;
  fs.writeFileSync(image, "");
  fs.truncateSync(image, 64 * 1024 * 1024);
  const made = Bun.spawnSync(["mkfs.ext4", "-q", "-F", image]).exitCode === 0;
  isMounted = made && Bun.spawnSync(["mount", "-o", "loop", image, disk()]).exitCode === 0;
  if (!isMounted) console.log("skipped: cannot mount a file system here");
});
afterAll(() => {
  if (isMounted) Bun.spawnSync(["umount", disk()]);
  fs.rmSync(root, { recursive: true, force: true });
});

test("the reserve is made once, refused where there is no room, and given up whole", () => {
  const path = `${root}/reserve`;
  expect(keepReserve(path, 3_000_000)).toBe(true);
  const { ino } = fs.statSync(path);
  expect(keepReserve(path, 3_000_000)).toBe(true);
  expect(fs.statSync(path).ino).toBe(ino);
  expect(releaseReserve(path)).toBe(3_000_000);
  expect(releaseReserve(path)).toBe(0);
  expect(keepReserve(path, 0)).toBe(false);
  expect(keepReserve(path, Number.MAX_SAFE_INTEGER)).toBe(false);
});

test("at 0 bytes free list, verify, restore and cleanup work", async () => {
  if (!isMounted) return;
  const source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(source, { recursive: true });
  fs.writeFileSync(`${source}/w`, Buffer.alloc(8_000_000, 1));
  const dayMs = 86_400_000;
  for (const days of [90, 80, 1])
    buildSnapshot(disk(), source, { atMs: Date.now() - days * dayMs });
  keepReserve(`${disk()}/.citadel-agent.reserve`, 4_000_000);
  Bun.spawnSync(["dd", "if=/dev/zero", `of=${disk()}/filler`, "bs=64k"], { stderr: "ignore" });
  expect(fs.statfsSync(disk()).bavail).toBe(0);
  const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args, "--json"]);
  expect((await agent("list")).exitCode).toBe(0);
  expect((await agent("verify", "--all")).exitCode).toBe(0);
  expect((await agent("restore", "latest", "--to", "/elsewhere")).exitCode).toBe(0);
  const cleaned = await agent("cleanup", "--force", "--yes");
  expect({ exitCode: cleaned.exitCode, stderr: cleaned.stderr }).toMatchObject({ exitCode: 0 });
  expect(cleaned.json<{ removed: string[] }>().removed).toHaveLength(2);
  expect(fs.statfsSync(disk()).bavail).toBeGreaterThan(0);
}, 60_000);

test("a disk without inodes is told by its inodes", async () => {
  if (!isMounted) return;
  const image = `${root}/inodes.img`;
  const place = `${root}/inodes`;
  fs.writeFileSync(image, "");
  fs.truncateSync(image, 16 * 1024 * 1024);
  fs.mkdirSync(place);
  expect(Bun.spawnSync(["mkfs.ext4", "-q", "-F", "-N", "32", image]).exitCode).toBe(0);
  expect(Bun.spawnSync(["mount", "-o", "loop", image, place]).exitCode).toBe(0);
  try {
    fs.mkdirSync(`${root}/many`);
    for (let at = 0; at < 200; at += 1) fs.writeFileSync(`${root}/many/${at}`, `${at}`);
    const env = { CITADEL_BACKUP_ROOT: "/inodes", BACKUP_RESERVE_BYTES: "0" };
    const run = await runCli(["--root", root, "backup", "create", "/many", "--json"], { env });
    expect(run.exitCode).toBe(7);
    const { error } = run.json<{ error: { code: string; message: string } }>();
    expect(error.code).toBe("BACKUP_NO_SPACE");
    expect(error.message).toMatch(/ has \d+ free inodes, the snapshot needs up to 201$/);
  } finally {
    Bun.spawnSync(["umount", place]);
  }
}, 60_000);

test("a killed run is resumed where the room that is left takes what is missing, not the whole", async () => {
  if (!isMounted) return;
  for (const name of fs.readdirSync(disk())) {
    if (name !== "lost+found") fs.rmSync(`${disk()}/${name}`, { recursive: true });
  }
  const source = `${root}/mnt/citadel-models/active`;
  fs.rmSync(source, { recursive: true, force: true });
  fs.mkdirSync(source, { recursive: true });
  const fileBytes = 1_000_000;
  for (let at = 0; at < 20; at += 1) fs.writeFileSync(`${source}/f${at}`, randomBytes(fileBytes));
  const env = { BACKUP_RESERVE_BYTES: "0", BACKUP_VERIFY_BACKUPS: "no" };
  const child = Bun.spawn([...cliCommand(), "--root", root, "backup", "create"], {
    env: { ...scrubbedEnvironment, ...env, BACKUP_IO_LIMIT: "6000000" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const models = `${disk()}/models`;
  const noted = () => {
    const partial = fs.existsSync(models) ? fs.readdirSync(models)[0] : undefined;
    const journal = `${models}/${partial}/.work/journal`;
    return fs.existsSync(journal)
      ? fs.readFileSync(journal, "utf8").split('"type":"file"').length
      : 0;
  };
  while (noted() < 13 && child.exitCode === null) await Bun.sleep(5);
  child.kill("SIGKILL");
  await child.exited;
  expect(fs.readdirSync(models)[0]).toEndWith(".partial");
  const free = fs.statfsSync(disk());
  const fillerBytes = free.bavail * free.bsize - 14 * fileBytes; // the whole would need 20
  fs.writeFileSync(`${disk()}/filler`, Buffer.alloc(fillerBytes, 7));
  const run = (...words: string[]) =>
    runCli(["--root", root, "backup", "create", ...words, "--json"], { env });
  expect((await run("--dry-run")).json()["conflicts"]).toEqual([]);
  const made = await run();
  expect({ exitCode: made.exitCode, stdout: made.stdout }).toMatchObject({ exitCode: 0 });
  expect(made.json<{ resumed_files: number }>().resumed_files).toBeGreaterThan(5);
  fs.rmSync(`${disk()}/filler`);
}, 60_000);
