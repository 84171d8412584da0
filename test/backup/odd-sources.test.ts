// `backup create` of sources and on file systems that are not as most are: a source whose own name is not UTF-8,
// attributes of links, and a file system that takes O_DIRECT and then refuses it.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { FileHashes } from "../../src/backup/copy/hashes.ts";
import type { CreateReport } from "../../src/backup/create/options.ts";
import { packStream } from "../../src/backup/copy/pack.ts";
import { TargetFailure } from "../../src/backup/copy/target-failure.ts";
import { openXxh3 } from "../../src/backup/xxh3/xxh3.ts";
import { readXattrs, setXattr } from "../../src/system/native.ts";
import {
  closeFile,
  createForWriting,
  openForReading,
  readFullyAt,
  readFullySync,
  writeFullyAt,
  writeFullySync,
} from "../../src/system/raw-file.ts";
import {
  allocateAligned,
  closeStored,
  openStored,
  readBlock,
  readBlockAsync,
} from "../../src/system/stored-files.ts";
import { straceAvailable } from "../support/crash.ts";
import { manifestOf } from "../support/create-snapshot.ts";
import { cliCommand, runCli } from "../support/run-cli.ts";

const isRoot = process.getuid?.() === 0;
const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/odd-sources-`));
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
const env = { BACKUP_RESERVE_BYTES: "0" };
const agent = (...words: string[]) => runCli(["--root", root, "--json", ...words], { env });

/** Runs the program by a shell, which alone can hand over bytes that are no text. */
function byShell(words: string) {
  const quoted = ["--root", root, "--json"].map((word) => `'${word}'`).join(" ");
  return runCli([], {
    env,
    command: ["bash", "-c", `"$@" ${quoted} ${words}`, "-", ...cliCommand()],
  });
}

test("a source whose name is not UTF-8 is backed up, found again as its own parent, and through a link", async () => {
  const name = Buffer.concat([Buffer.from(`${root}/models-`), Buffer.from([0xff])]);
  const other = Buffer.concat([Buffer.from(`${root}/models-`), Buffer.from([0xfe])]);
  for (const path of [name, other]) {
    fs.mkdirSync(path);
    fs.writeFileSync(Buffer.concat([path, Buffer.from("/weights")]), `weights of ${path.at(-1)}`);
  }
  fs.symlinkSync(name, `${root}/plain-name`);
  await Bun.sleep(1100); // a file is trusted when its change is older than the clock's grain
  const first = await byShell("backup create $'/models-\\xff'");
  expect([first.exitCode, first.stderr]).toEqual([0, expect.anything()]);
  expect(first.json()).toMatchObject({ files: 1, parent: null, verified: { valid: true } });
  const second = await byShell("backup create $'/models-\\xff'");
  expect(second.json()).toMatchObject({ parent: first.json()["snapshot"], linked_files: 1 });
  const stranger = await byShell("backup create $'/models-\\xfe'");
  expect(stranger.json()).toMatchObject({ parent: null, copied_files: 1 });
  const linked = await agent("backup", "create", "/plain-name");
  expect(linked.json()).toMatchObject({ parent: second.json()["snapshot"], linked_files: 1 });
  const stored = `${linked.json()["directory"]}/data/weights`;
  expect(fs.readFileSync(stored, "utf8")).toBe("weights of 255");
  const { snapshot, directory } = second.json() as { snapshot: string; directory: string };
  fs.rmSync(`${directory}/data/weights`);
  const repaired = await agent("backup", "repair", snapshot);
  expect(repaired.json()).toMatchObject({ healed: [{ path: "data/weights" }], lost: [] });
  expect(JSON.stringify(repaired.json()["healed"])).toContain("the source");
  const missing = await byShell("backup create $'/no-\\xff'");
  expect([missing.exitCode, missing.json()["error"]]).toMatchObject([
    1,
    { code: "SOURCE_MISSING" },
  ]);
}, 60_000);

test.skipIf(!isRoot)(
  "extended attributes of a link are kept, and come back with --privileged",
  async () => {
    const source = `${root}/with-attributes`;
    fs.mkdirSync(source);
    fs.symlinkSync("nowhere", `${source}/link`);
    const value = Buffer.from("kept");
    if (!setXattr(`${source}/link`, "trusted.note", value)) {
      return console.log("skipped: this file system keeps no attributes of links");
    }
    const made = (await agent("backup", "create", "/with-attributes")).json();
    const stored = readXattrs(`${made["directory"]}/data/link`)?.get("trusted.note");
    expect(Buffer.from(stored ?? [])).toEqual(value);
    const restore = (to: string, ...more: string[]) =>
      agent("backup", "restore", String(made["snapshot"]), "--to", to, ...more);
    expect((await restore("/plain")).exitCode).toBe(0);
    expect(readXattrs(`${root}/plain/link`)?.has("trusted.note") ?? false).toBe(false);
    expect((await restore("/whole", "--privileged")).exitCode).toBe(0);
    expect(readXattrs(`${root}/whole/link`)?.has("trusted.note")).toBe(true);
  },
  60_000,
);

const content = Buffer.alloc(9_000_001, "weights ");

test("restore to a name that is not UTF-8 is refused, as another name would be made", async () => {
  fs.mkdirSync(`${root}/to`);
  const refused = await byShell("backup restore latest --to $'/to/out-\\xff'");
  expect([refused.exitCode, refused.stdout]).toEqual([
    2,
    expect.stringContaining("RESTORE_TARGET_NOT_TEXT"),
  ]);
  expect(fs.readdirSync(`${root}/to`)).toEqual([]);
});

test("a call that O_DIRECT cannot take is done without: odd places and lengths, on this and on the I/O threads", async () => {
  const path = `${root}/odd`;
  const memory = allocateAligned(16_384);
  content.copy(memory, 0, 0, 16_384);
  const target = createForWriting(path, true);
  await writeFullyAt(target.fd, memory.subarray(3, 5003), 7);
  closeFile(target.fd);
  const again = createForWriting(`${path}-2`, true);
  writeFullySync(again.fd, memory.subarray(3, 5003), 7);
  closeFile(again.fd);
  expect(fs.readFileSync(path).equals(fs.readFileSync(`${path}-2`))).toBe(true);
  for (const read of [readFullyAt, readFullySync]) {
    const source = openForReading(path, true);
    const into = allocateAligned(8192).subarray(1, 4001);
    expect([await read(source.fd, into, 7), into.equals(memory.subarray(3, 4003))]).toEqual([
      4000,
      true,
    ]);
    closeFile(source.fd);
  }
  // several at once: the first that fails turns O_DIRECT off, the others have failed by then too
  const source = openForReading(path, true);
  const all = Array.from({ length: 8 }, (_, at) =>
    readFullyAt(source.fd, allocateAligned(8192).subarray(1, 101), 7 + at),
  );
  expect(await Promise.all(all)).toEqual(all.map(() => 100));
  closeFile(source.fd);
  const stored = openStored(Buffer.from(path), "device");
  expect(stored).toBeDefined();
  if (stored === undefined) return;
  const block = allocateAligned(8192);
  expect(readBlock(stored, block, 7, 4000, "odd")).toBe(4000);
  expect(block.subarray(0, 4000).equals(memory.subarray(3, 4003))).toBe(true);
  expect(await readBlockAsync(stored, block, 0, 7, 4000, "odd")).toBe(4000);
  closeStored(stored);
});

test.skipIf(!straceAvailable)(
  "attributes of what vanishes end nothing; an I/O error is told, unless the next try does not meet it",
  async () => {
    const source = `${root}/churning`;
    fs.mkdirSync(`${source}/sub`, { recursive: true });
    fs.symlinkSync("nowhere", `${source}/link`);
    const traced = (error: string, attempts: number) => {
      const inject = ["-e", "trace=llistxattr", "-e", `inject=llistxattr:error=${error}`];
      const command = ["strace", "-f", "-qq", "-o", "/dev/null", ...inject, ...cliCommand()];
      const words = ["--root", root, "--json", "backup", "create", "/churning", "--type", "full"];
      const tries = {
        BACKUP_MAX_RETRY_ATTEMPTS: String(attempts),
        BACKUP_RETRY_DELAY_SECONDS: "5",
      };
      return runCli(words, { env: { ...env, ...tries }, timeoutMs: 60_000, command });
    };
    for (const errno of ["ENOENT", "ENOTDIR"]) {
      const run = await traced(errno, 1);
      expect([errno, run.exitCode]).toEqual([errno, 0]);
      expect(run.json()).toMatchObject({ entries: 3, skipped: [] });
    }
    const run = await traced("EIO", 1);
    expect([run.exitCode, run.json()["entries"]]).toEqual([4, 3]);
    expect(run.json()["skipped"]).toContainEqual({
      path: "link",
      reason: "unreadable",
      error: "EIO",
    });
    const cleared = await traced("EIO:when=1", 2);
    expect([cleared.exitCode, cleared.json()["skipped"]]).toEqual([0, []]);
    expect(cleared.stderr).toContain("trying again");
  },
  120_000,
);

test("a packed copy that meets a full disk blames the disk, not the source", async () => {
  fs.writeFileSync(`${root}/words`, "the same words again and again\n".repeat(50_000));
  const source = openForReading(`${root}/words`, false);
  const target = { fd: fs.openSync("/dev/full", "w"), direct: false };
  const request = { root, method: "zstd", level: 3 } as const;
  const ring = new Uint8Array(allocateAligned(4 * 1024 * 1024).buffer);
  const { size } = fs.statSync(`${root}/words`);
  const hashes = new FileHashes([], openXxh3());
  const packed = packStream(source, target, request, size, hashes, ring);
  const thrown: unknown = await packed.catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(TargetFailure);
  expect((thrown as Error).cause).toMatchObject({ code: "ENOSPC" });
  closeFile(source.fd);
  fs.closeSync(target.fd);
});

test("names that sharing could stumble over: our temporaries', too long with an ending, an ending that is a directory", async () => {
  const source = `${root}/stumbling`;
  fs.mkdirSync(`${source}/twins`, { recursive: true });
  const words = "the same words again and again\n".repeat(2000);
  const long = "n".repeat(253);
  for (const name of ["a", "b", ".citadel-link", long]) {
    fs.writeFileSync(`${source}/twins/${name}`, words);
  }
  const further = "h".repeat(253);
  fs.linkSync(`${source}/twins/a`, `${source}/twins/${further}`);
  const inodes = new Set<number>();
  fs.mkdirSync(`${source}/c.zst`);
  fs.writeFileSync(`${source}/c`, `${words}c`);
  for (const name of ["0", "c.zst/b"]) fs.writeFileSync(`${source}/${name}`, `${words}b`);
  const packing = { ...env, BACKUP_COMPRESS_BACKUPS: "yes", BACKUP_COMPRESSION_ALGORITHM: "zstd" };
  for (let round = 0; round < 2; round += 1) {
    const create = ["--root", root, "--json", "backup", "create", "/stumbling"];
    const run = await runCli(create, { env: packing });
    const report = run.json<CreateReport>();
    expect([run.exitCode, report.skipped_total]).toEqual([0, 0]);
    // the further name of a packed file cannot have its ending: it has a file of its own, which the next run shares
    if (round > 0) expect(report.copied_files).toBe(0);
    const { directory, snapshot } = report;
    const names = manifestOf(directory);
    expect(names.get("twins/a")).toMatchObject({ packed: { method: "zstd" } });
    const found = names.get(`twins/${further}`);
    expect(found).toMatchObject({ hardlink: "twins/a", packed: undefined });
    expect(fs.readFileSync(`${directory}/data/twins/${further}`, "utf8")).toBe(words);
    inodes.add(fs.statSync(`${directory}/data/twins/${further}`).ino);
    const verified = await agent("backup", "verify", snapshot, "--mode", "full", "--cached");
    expect(verified.json()).toMatchObject({ valid: true });
    const restored = `/stumbled-${round}`;
    expect((await agent("backup", "restore", snapshot, "--to", restored)).exitCode).toBe(0);
    const inodeOf = (name: string) => fs.statSync(`${root}${restored}/twins/${name}`).ino;
    expect(inodeOf(further)).toBe(inodeOf("a"));
    await Bun.sleep(1100);
  }
  expect(inodes.size).toBe(1);
}, 60_000);

test.skipIf(!straceAvailable)(
  "a further name that the file system links no more has a file of its own",
  async () => {
    fs.mkdirSync(`${root}/full-inode`);
    fs.writeFileSync(`${root}/full-inode/a`, content);
    fs.linkSync(`${root}/full-inode/a`, `${root}/full-inode/b`);
    const inject = ["-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EMLINK"];
    const made = await runCli(
      ["--root", root, "--json", "backup", "create", "/full-inode", "--plain"],
      {
        env,
        command: ["strace", "-f", "-qq", "-o", "/dev/null", ...inject, ...cliCommand()],
      },
    );
    const report = made.json<CreateReport>();
    expect([made.exitCode, report.copied_files, report.skipped_total]).toEqual([0, 2, 0]);
    expect(report.stored_bytes).toBe(2 * content.length);
    expect(manifestOf(report.directory).get("b")).toMatchObject({ hardlink: "a" });
    const [a, b] = ["a", "b"].map((name) => fs.statSync(`${report.directory}/data/${name}`).ino);
    expect(a).not.toBe(b);
    const verified = await agent("backup", "verify", report.snapshot, "--mode", "full");
    expect(verified.json()).toMatchObject({ valid: true });
    const next = (
      await agent("backup", "create", "/full-inode", "--plain")
    ).json() as unknown as CreateReport;
    expect(next).toMatchObject({ copied_files: 0, skipped_total: 0 });
  },
  60_000,
);

test("a directory that a killed run made is no obstacle for the file that has its name now", async () => {
  const source = `${root}/changed-kind`;
  fs.mkdirSync(`${source}/name/below`, { recursive: true });
  const killed = await runCli(["--root", root, "--json", "backup", "create", "/changed-kind"], {
    env,
    command: straceAvailable
      ? [
          "strace",
          "-f",
          "-qq",
          "-o",
          "/dev/null",
          "-e",
          "trace=syncfs",
          "-e",
          "inject=syncfs:signal=KILL:when=1",
          ...cliCommand(),
        ]
      : ["true"],
  });
  expect(killed.exitCode).not.toBe(straceAvailable ? 0 : 1);
  fs.rmSync(`${source}/name`, { recursive: true });
  fs.writeFileSync(`${source}/name`, "a file now");
  const made = await agent("backup", "create", "/changed-kind", "--accept-shrink");
  expect([made.exitCode, made.json()["files"]]).toEqual([0, 1]);
  expect(fs.readFileSync(`${made.json()["directory"]}/data/name`, "utf8")).toBe("a file now");
}, 60_000);

test.skipIf(!straceAvailable)(
  "a large file that cannot be read leaves nothing in the snapshot",
  async () => {
    fs.mkdirSync(`${root}/weak`);
    fs.writeFileSync(`${root}/weak/large`, content);
    const strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", `${root}/weak/large`];
    const command = [
      ...strace,
      "-e",
      "trace=pread64",
      "-e",
      "inject=pread64:error=EIO",
      ...cliCommand(),
    ];
    const words = ["--root", root, "--json", "backup", "create", "/weak"];
    const tries = { ...env, BACKUP_MAX_RETRY_ATTEMPTS: "1" };
    const run = await runCli(words, { env: tries, command, timeoutMs: 60_000 });
    expect([run.exitCode, run.json()["skipped"]]).toMatchObject([4, [{ path: "large" }]]);
    const verified = await agent("backup", "verify", String(run.json()["snapshot"]));
    expect(verified.json()).toMatchObject({ valid: true });
  },
  60_000,
);
