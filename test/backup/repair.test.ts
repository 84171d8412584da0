import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { repairSnapshot } from "../../src/backup/repair/repair.ts";
import { listSnapshots, readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import { toText } from "../../src/backup/format/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { CitadelError, type AbsolutePath } from "../../src/core/index.ts";
import { isLockHeldByAny } from "../../src/system/lock-look.ts";
import { straceAvailable } from "../support/crash.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";
import { cliCommand, runCli, scrubbedEnvironment } from "../support/run-cli.ts";

let dir: string;
const chunk = 16 * 1024 * 1024;
beforeAll(() => {
  dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/repair-`));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const full = { mode: "full", cached: true, sampleRate: 1, seed: 0, cores: 2, workers: 0 } as const;
const verify = (snapshot: FoundSnapshot) => verifySnapshot(snapshot, full, { clock: systemClock });
const open = (directory: string) =>
  readSnapshot(directory as AbsolutePath, "models") as FoundSnapshot;

function write(path: string, at: number, text: string): void {
  const fd = fs.openSync(path, "r+");
  fs.writeSync(fd, text, at);
  fs.closeSync(fd);
}

test("damaged ranges come from the source or another snapshot, proved by hash; what nobody has is said", async () => {
  const source = `${dir}/source`;
  fs.mkdirSync(source);
  const content = Buffer.alloc(2 * chunk + 5000, 9);
  fs.writeFileSync(`${source}/big`, content);
  fs.writeFileSync(`${source}/small`, "small");
  fs.writeFileSync(`${source}/alone`, "nobody else has this");
  fs.symlinkSync("small", `${source}/link`);
  const first = buildSnapshot(`${dir}/repo`, source, { atMs: 1000 });
  const second = buildSnapshot(`${dir}/repo`, source, { atMs: 2000 });
  write(`${source}/big`, 0, "the source has changed at its beginning");
  fs.writeFileSync(`${source}/alone`, "changed in the source");
  fs.writeFileSync(`${second.directory}/data/alone`, "damaged there too!!!");
  write(`${first.directory}/data/big`, 5, "x"); // only the other snapshot has this range
  write(`${first.directory}/data/big`, 2 * chunk + 1, "x"); // the source has it too
  fs.rmSync(`${first.directory}/data/small`);
  write(`${first.directory}/data/alone`, 0, "X");
  fs.rmSync(`${first.directory}/data/link`);
  fs.writeFileSync(`${first.directory}/data/stray`, "");
  const snapshot = open(first.directory);
  const found = await verify(snapshot);
  const others = listSnapshots(`${dir}/repo`).filter(({ id }) => id !== first.id);
  const report = await repairSnapshot(snapshot, found, { others });
  expect(report.healed.map(({ path, reason }) => [toText(path), reason])).toEqual([
    ["data/big", second.id],
    ["data/link", "the manifest"],
    ["data/small", "the source"],
  ]);
  expect(report.lost.map(({ path }) => toText(path))).toEqual(["data/alone", "data/stray"]);
  expect(fs.readFileSync(`${first.directory}/data/big`).equals(content)).toBe(true);
  const after = await verify(snapshot);
  expect(after.failures.map(({ path }) => toText(path))).toEqual(["data/alone", "data/stray"]);
}, 60_000);

test("backup repair verifies, heals and verifies again; --dry-run only names the damage", async () => {
  const root = `${dir}/host`;
  const source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(source, { recursive: true });
  fs.writeFileSync(`${source}/w`, Buffer.alloc(50_000, 3));
  const { directory } = buildSnapshot(`${root}/mnt/citadel-backup`, source);
  const repair = (...more: string[]) =>
    runCli(["--root", root, "backup", "repair", "latest", "--json", ...more]);
  expect((await repair()).json()).toMatchObject({ damaged: 0, valid: true });
  write(`${directory}/data/w`, 100, "damage");
  const plan = await repair("--dry-run");
  expect([plan.exitCode, plan.json()["damaged"], plan.json()["applied"]]).toEqual([0, 1, false]);
  const run = await repair();
  expect({ exitCode: run.exitCode, stderr: run.stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(run.json()).toMatchObject({ damaged: 1, valid: true, applied: true, lost: [] });
}, 60_000);

/** A small world with a source and a repository of its own. */
function world(name: string): { source: string; repository: string } {
  const source = `${dir}/${name}/source`;
  fs.mkdirSync(source, { recursive: true });
  return { source, repository: `${dir}/${name}/repo` };
}

async function heal(directory: string, repository: string) {
  const snapshot = open(directory);
  const others = listSnapshots(repository).filter(({ id }) => id !== snapshot.id);
  const report = await repairSnapshot(snapshot, await verify(snapshot), { others });
  return { report, after: await verify(snapshot) };
}

const text = Buffer.from("the same words over and over again\n".repeat(4000));

test("a packed file comes from a snapshot that stores it alike", async () => {
  const { source, repository } = world("alike");
  fs.writeFileSync(`${source}/words.txt`, text);
  const first = buildSnapshot(repository, source, { atMs: 1000, pack: /words/ });
  const second = buildSnapshot(repository, source, { atMs: 2000, pack: /words/ });
  fs.rmSync(`${source}/words.txt`);
  write(`${first.directory}/packed/words.txt.zst`, 9, "damage");
  const { report, after } = await heal(first.directory, repository);
  expect(report.healed.map(({ reason }) => reason)).toEqual([second.id]);
  expect([report.lost, after.valid]).toEqual([[], true]);
});

test("a packed file is packed again from its original, and a plain one unpacked from a packed one", async () => {
  const { source, repository } = world("again");
  fs.writeFileSync(`${source}/words.txt`, text);
  const packed = buildSnapshot(repository, source, { atMs: 1000, pack: /words/ });
  const stored = `${packed.directory}/packed/words.txt.zst`;
  const before = fs.readFileSync(stored);
  write(stored, 9, "damage");
  const fromSource = await heal(packed.directory, repository);
  expect(fromSource.report.healed.map(({ reason }) => reason)).toEqual(["the source"]);
  expect([fs.readFileSync(stored).equals(before), fromSource.after.valid]).toEqual([true, true]);
  const plain = buildSnapshot(repository, source, { atMs: 2000 });
  fs.rmSync(`${source}/words.txt`);
  write(`${plain.directory}/data/words.txt`, 9, "damage");
  const unpacked = await heal(plain.directory, repository);
  expect(unpacked.report.healed.map(({ reason }) => reason)).toEqual([packed.id]);
  expect([unpacked.report.lost, unpacked.after.valid]).toEqual([[], true]);
});

test("a packed file whose original nobody has, or packs to other bytes, is lost and left as it is", async () => {
  const { source, repository } = world("none");
  fs.writeFileSync(`${source}/words.txt`, text);
  const { directory } = buildSnapshot(repository, source, { pack: /words/ });
  fs.writeFileSync(`${source}/words.txt`, "changed since");
  write(`${directory}/packed/words.txt.zst`, 9, "damage");
  const damaged = fs.readFileSync(`${directory}/packed/words.txt.zst`);
  const { report, after } = await heal(directory, repository);
  expect(report.lost.map(({ reason }) => reason)).toEqual([`nobody has bytes 0-${damaged.length}`]);
  expect([report.healed, after.valid]).toEqual([[], false]);
  expect(fs.readFileSync(`${directory}/packed/words.txt.zst`).equals(damaged)).toBe(true);
  expect(fs.readdirSync(`${directory}/packed`)).toEqual(["words.txt.zst"]);
});

test("another file of the same content heals, in the same snapshot as well", async () => {
  const { source, repository } = world("twin");
  fs.writeFileSync(`${source}/one`, text);
  fs.writeFileSync(`${source}/two`, text);
  const { directory } = buildSnapshot(repository, source);
  fs.rmSync(source, { recursive: true });
  write(`${directory}/data/one`, 9, "damage");
  const { report, after } = await heal(directory, repository);
  expect(report.healed.map(({ reason }) => reason)).toEqual(["another file of it"]);
  expect(after.valid).toBe(true);
});

test("every name of a damaged inode gets the healed file: in the snapshot and in those that share it", async () => {
  const { source, repository } = world("sharers");
  fs.writeFileSync(`${source}/one`, text);
  fs.linkSync(`${source}/one`, `${source}/two`);
  fs.writeFileSync(`${source}/sound`, "sound");
  const first = buildSnapshot(repository, source, { atMs: 1000 });
  const second = buildSnapshot(repository, source, { atMs: 2000 });
  buildSnapshot(repository, source, { atMs: 3000 }); // has a sound copy of its own
  for (const { directory } of [first, second]) {
    for (const name of ["one", "two"]) {
      fs.rmSync(`${directory}/data/${name}`);
      fs.linkSync(
        directory === first.directory && name === "one"
          ? `${source}/one`
          : `${directory === first.directory ? directory : first.directory}/data/one`,
        `${directory}/data/${name}`,
      );
    }
  }
  fs.copyFileSync(`${source}/one`, `${source}/copy`); // the snapshots' inode is the source's by now
  fs.rmSync(`${source}/one`);
  fs.renameSync(`${source}/copy`, `${source}/one`);
  fs.rmSync(`${source}/two`);
  write(`${first.directory}/data/one`, 9, "damage");
  expect((await verify(open(second.directory))).filesFailed).toBe(2);
  const { report, after } = await heal(first.directory, repository);
  expect(report.healed.map(({ path, reason }) => [toText(path), reason])).toEqual([
    ["data/one", "the source"],
    ["data/two", "its other name"],
  ]);
  expect(report.shared.map(({ snapshot, path }) => [snapshot, toText(path)])).toEqual([
    [second.id, "data/one"],
    [second.id, "data/two"],
  ]);
  expect(after.valid).toBe(true);
  expect((await verify(open(second.directory))).valid).toBe(true);
  const inodes = [first, second].flatMap(({ directory }) =>
    ["one", "two"].map((name) => fs.statSync(`${directory}/data/${name}`).ino),
  );
  expect(new Set(inodes).size).toBe(1); // stored once, as before
});

test.skipIf(!straceAvailable)(
  "cleanup leaves a snapshot alone while a repair of another writes in it",
  async () => {
    const root = `${dir}/held`;
    const source = `${root}/mnt/citadel-models/active`;
    const repository = `${root}/mnt/citadel-backup` as AbsolutePath;
    fs.mkdirSync(source, { recursive: true });
    fs.writeFileSync(`${source}/w`, Buffer.alloc(50_000, 3));
    const dayMs = 86_400_000;
    const old = buildSnapshot(repository, source, { atMs: Date.now() - 90 * dayMs });
    const later = { linkTo: old.directory, kind: "incremental" } as const;
    buildSnapshot(repository, source, { ...later, atMs: Date.now() - 2 * dayMs });
    const newest = buildSnapshot(repository, source, { ...later, atMs: Date.now() - dayMs });
    write(`${newest.directory}/data/w`, 100, "damage");
    const cleanup = () =>
      runCli(["--root", root, "backup", "cleanup", "--keep-last", "1", "--force", "--yes"]);
    // the repair gets no further than to the second link that it makes in the others: in the oldest of them
    const trace = ["-e", "trace=link,linkat", "-e", "inject=link,linkat:delay_enter=120s:when=2+"];
    const strace = ["strace", "-f", "-qq", "-o", "/dev/null", ...trace, ...cliCommand()];
    const repair = Bun.spawn([...strace, "--root", root, "backup", "repair", newest.id], {
      env: scrubbedEnvironment,
      stdout: "ignore",
      stderr: "ignore",
    });
    try {
      const runtimeDir = `${root}/run/citadel-agent` as AbsolutePath;
      const isHeld = () => isLockHeldByAny(runtimeDir, `snapshot-${old.id}`);
      const untilMs = Date.now() + 30_000;
      while (!isHeld() && repair.exitCode === null && Date.now() < untilMs) await Bun.sleep(20);
      expect(isHeld()).toBe(true);
      expect((await cleanup()).exitCode).toBe(0);
      expect(fs.existsSync(`${old.directory}/manifest.jsonl`)).toBe(true);
      expect(repair.exitCode).toBe(null);
    } finally {
      const children = `/proc/${repair.pid}/task/${repair.pid}/children`;
      const child = Number(fs.readFileSync(children, "utf8").trim().split(" ")[0]);
      if (child > 0) process.kill(child, "SIGKILL");
      repair.kill("SIGKILL");
      await repair.exited;
    }
    expect((await cleanup()).exitCode).toBe(0);
    expect(fs.existsSync(old.directory)).toBe(false); // nothing but the repair had kept it
  },
  60_000,
);

test("a snapshot that is being removed is not written to", async () => {
  const { source, repository } = world("removed");
  fs.writeFileSync(`${source}/w`, "weights");
  const first = buildSnapshot(repository, source, { atMs: 1000 });
  const second = buildSnapshot(repository, source, { atMs: 2000, linkTo: first.directory });
  write(`${second.directory}/data/w`, 0, "X");
  const snapshot = open(second.directory);
  const asked: string[] = [];
  const hold = (id: string) => {
    asked.push(id);
    return Promise.reject(new CitadelError({ kind: "locked", code: "LOCKED", message: "held" }));
  };
  const others = listSnapshots(repository).filter(({ id }) => id !== second.id);
  const report = await repairSnapshot(snapshot, await verify(snapshot), { others, hold });
  expect([asked, report.shared, report.namesLeft]).toEqual([[first.id], [], 1]);
  expect(fs.readFileSync(`${first.directory}/data/w`, "utf8")).toBe("Xeights");
});

test("what a killed repair left is no part of the snapshot, and the next one removes it", async () => {
  const { source, repository } = world("leftover");
  fs.writeFileSync(`${source}/a`, "a");
  const { directory } = buildSnapshot(repository, source);
  const leftover = `${directory}/.citadel-agent.0123456789abcdef01234567.tmp`;
  fs.writeFileSync(leftover, "half");
  expect((await verify(open(directory))).valid).toBe(true);
  write(`${directory}/data/a`, 0, "b");
  const { report, after } = await heal(directory, repository);
  expect(report.lost).toEqual([]);
  expect([fs.existsSync(leftover), after.valid]).toEqual([false, true]);
});

test("a sound donor is found behind any number that share the damage", async () => {
  const { source, repository } = world("many");
  fs.writeFileSync(`${source}/words`, text);
  const sound = buildSnapshot(repository, source, { atMs: 1000 });
  const shared = `${dir}/many/shared`;
  fs.writeFileSync(shared, text);
  const damaged = Array.from({ length: 20 }, (_, at) => {
    const { directory } = buildSnapshot(repository, source, { atMs: 2000 + at });
    fs.rmSync(`${directory}/data/words`);
    fs.linkSync(shared, `${directory}/data/words`);
    return directory;
  });
  const copies = Array.from({ length: 20 }, (_, at) => {
    const { directory } = buildSnapshot(repository, source, { atMs: 3000 + at });
    write(`${directory}/data/words`, 5, "each damaged by itself");
    return directory;
  });
  expect(copies).toHaveLength(20);
  fs.rmSync(`${source}/words`);
  write(shared, 5, "damaged for all");
  fs.rmSync(shared);
  const { report, after } = await heal(damaged[7] as string, repository);
  expect(report.healed.map(({ reason }) => reason)).toEqual([sound.id]);
  expect([report.lost, after.valid, report.namesLeft]).toEqual([[], true, 0]);
  expect(report.shared).toHaveLength(19);
});

test("nothing is written through a link in the place of a directory, which becomes one again", async () => {
  const { source, repository } = world("planted");
  fs.mkdirSync(`${source}/sub`);
  fs.writeFileSync(`${source}/sub/file`, text);
  const { directory } = buildSnapshot(repository, source);
  const victim = `${dir}/planted/victim`;
  fs.mkdirSync(victim, { mode: 0o700 });
  fs.rmSync(`${directory}/data/sub`, { recursive: true });
  fs.symlinkSync(victim, `${directory}/data/sub`);
  const { report, after } = await heal(directory, repository);
  expect(fs.readdirSync(victim)).toEqual([]);
  expect(fs.statSync(victim).mode & 0o7777).toBe(0o700);
  expect([report.lost, after.failures]).toEqual([[], []]);
});

test("names of a damaged file where nothing may be mended are counted", async () => {
  const { source, repository } = world("closed");
  fs.writeFileSync(`${source}/words`, text);
  const [first, second] = [1000, 2000].map((atMs) => buildSnapshot(repository, source, { atMs }));
  if (first === undefined || second === undefined) throw new Error("two were to be made");
  fs.rmSync(`${second.directory}/data/words`);
  fs.linkSync(`${first.directory}/data/words`, `${second.directory}/data/words`);
  fs.chmodSync(second.directory, 0o755); // anybody could have made that one
  write(`${first.directory}/data/words`, 5, "damage");
  const { report, after } = await heal(first.directory, repository);
  expect([report.shared, report.namesLeft, after.valid]).toEqual([[], 1, true]);
});

test("a range with the right XXH3 and the wrong bytes is told by the SHA-256 of the whole", async () => {
  const { source, repository } = world("collision");
  fs.writeFileSync(`${source}/words`, text);
  // as good as a collision: a manifest whose XXH3 is that of other bytes, which the source has
  const other = Buffer.from(text).fill("z", 0, 100);
  const forged = Bun.hash.xxHash3(other).toString(16).padStart(16, "0");
  const { directory } = buildSnapshot(repository, source, {
    forge: (entries) =>
      entries.map((entry) => (entry.type === "file" ? { ...entry, xxh3: [forged] } : entry)),
  });
  const sound = buildSnapshot(repository, source, { atMs: 1000 });
  fs.writeFileSync(`${source}/words`, other);
  const { report } = await heal(directory, repository);
  expect(report.healed.map(({ reason }) => reason)).toEqual([sound.id]);
  expect(fs.readFileSync(`${directory}/data/words`).equals(text)).toBe(true);
});

test("an empty directory in the place of a file gives way; one that holds something is named", async () => {
  const { source, repository } = world("in-the-way");
  fs.writeFileSync(`${source}/a`, text);
  fs.writeFileSync(`${source}/b`, text);
  const { directory } = buildSnapshot(repository, source);
  for (const name of ["a", "b"]) {
    fs.rmSync(`${directory}/data/${name}`);
    fs.mkdirSync(`${directory}/data/${name}`);
  }
  fs.writeFileSync(`${directory}/data/b/somebody's`, "work");
  const { report } = await heal(directory, repository);
  expect(report.healed.map(({ path }) => toText(path))).toEqual(["data/a"]);
  expect(report.lost.map(({ path, reason }) => [toText(path), reason])).toEqual([
    ["data/b", "EISDIR: a directory that is not empty lies in its place"],
    ["data/b/somebody's", "was never backed up: see what it is"],
  ]);
  expect(fs.readFileSync(`${directory}/data/b/somebody's`, "utf8")).toBe("work");
});

test.skipIf(process.getuid?.() !== 0)(
  "without root's rights files in read-only directories are healed too",
  async () => {
    const { source, repository } = world("read-only");
    fs.mkdirSync(`${source}/closed`);
    fs.writeFileSync(`${source}/closed/file`, text);
    fs.chmodSync(`${source}/closed`, 0o555);
    const { directory } = buildSnapshot(repository, source);
    write(`${directory}/data/closed/file`, 5, "damage");
    const root = `${dir}/read-only`;
    Bun.spawnSync(["chown", "-R", "65534:65534", root]);
    fs.chmodSync(dir, 0o755);
    const [program = "", ...rest] = cliCommand();
    const words = [
      ...rest,
      "--root",
      root,
      "--json",
      "backup",
      "repair",
      directory.slice(root.length),
    ];
    const env = { ...scrubbedEnvironment, CITADEL_BACKUP_ROOT: "/repo", HOME: root };
    const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const run = Bun.spawnSync([...asNobody, program, ...words], { env, cwd: "/" });
    expect(JSON.parse(run.stdout.toString() || "{}")).toMatchObject({
      healed: [{ path: "data/closed/file" }],
      lost: [],
    });
    expect(fs.statSync(`${directory}/data/closed`).mode & 0o7777).toBe(0o555);
  },
  60_000,
);

test("a list of sums is made again from the manifest and proved; one that is named to do harm is not written", async () => {
  const source = `${dir}/lists-source`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/a\nb`, "plain");
  fs.writeFileSync(`${source}/packed`, "x".repeat(100_000));
  const root = `${dir}/lists-host`;
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  fs.cpSync(source, `${root}/mnt/citadel-models/active`, { recursive: true });
  const made = await runCli(["--root", root, "backup", "create"], {
    env: { BACKUP_CHECKSUM_ALGORITHM: "sha512" },
  });
  expect(made.exitCode).toBe(0);
  const [snapshot] = listSnapshots(`${root}/mnt/citadel-backup`);
  if (snapshot === undefined) throw new Error("no snapshot");
  const names = ["SHA256SUMS", "SHA256SUMS.packed", "SHA512SUMS"];
  const read = () => names.map((name) => fs.readFileSync(`${snapshot.directory}/${name}`, "utf8"));
  const before = read();
  fs.rmSync(`${snapshot.directory}/SHA256SUMS`);
  fs.writeFileSync(`${snapshot.directory}/SHA256SUMS.packed`, "harmed");
  fs.rmSync(`${snapshot.directory}/SHA512SUMS`);
  fs.mkdirSync(`${snapshot.directory}/SHA512SUMS`);
  const repaired = await runCli(["--root", root, "backup", "repair", "latest"]);
  expect(repaired.stdout).toContain("healed SHA256SUMS (from the manifest)");
  expect(repaired.exitCode).toBe(0);
  expect(read()).toEqual(before);
  const { record } = snapshot;
  if (record === undefined) throw new Error("no record");
  const wrong = {
    ...record,
    sums_sha256: { SHA256SUMS: "0".repeat(64), "../evil": "0".repeat(64) },
  };
  const failures = Object.keys(wrong.sums_sha256).map((path) => ({
    path: path as never,
    reason: "missing",
    ranges: [],
  }));
  const found = { ...(await verify(snapshot)), failures };
  const report = await repairSnapshot({ ...snapshot, record: wrong }, found, { others: [] });
  expect(report.lost).toHaveLength(2);
  expect(read()).toEqual(before);
  expect(fs.readdirSync(`${root}/mnt/citadel-backup/models`)).not.toContain("evil");
}, 60_000);

test("a directory in the place of a file has no other names", async () => {
  const source = `${dir}/directory-source`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/file`, "content");
  const built = buildSnapshot(`${dir}/directory-repo`, source);
  fs.rmSync(`${built.directory}/data/file`);
  fs.mkdirSync(`${built.directory}/data/file`);
  const snapshot = open(built.directory);
  const report = await repairSnapshot(snapshot, await verify(snapshot), { others: [] });
  expect(report.healed).toHaveLength(1);
  expect(report.namesLeft).toBe(0);
});
