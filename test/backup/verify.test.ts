import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { InodeLedger } from "../../src/backup/verify/inode-ledger.ts";
import { readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { createRandom } from "../../src/core/index.ts";
import { chooseOldest, chooseRandom, sampleSize } from "../../src/backup/verify/sampling.ts";
import { type VerifyOptions, verifySnapshot } from "../../src/backup/verify/verify.ts";
import { fromText, toText } from "../../src/backup/format/index.ts";
import { systemClock } from "../../src/system/index.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(`${tmpdir()}/verify-`);
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const quick: VerifyOptions = {
  mode: "quick",
  cached: true,
  sampleRate: 1,
  seed: 1,
  cores: 2,
  workers: 0,
};
const full: VerifyOptions = { ...quick, mode: "full" };
const context = { clock: systemClock };

function open(directory: string): FoundSnapshot {
  const found = readSnapshot(directory as AbsolutePath, "models");
  if (found === undefined) throw new Error(`no snapshot at ${directory}`);
  return found;
}

const verify = (directory: string, options = quick) =>
  verifySnapshot(open(directory), options, context);
const shown = (report: Awaited<ReturnType<typeof verify>>) =>
  report.failures.map(({ path, reason }) => `${toText(path)} ${reason}`);

/** A small tree with everything a tree can have. */
function makeSource(name: string): string {
  const source = `${dir}/${name}`;
  fs.mkdirSync(`${source}/sub/empty`, { recursive: true });
  fs.writeFileSync(`${source}/a.txt`, "hello");
  fs.writeFileSync(`${source}/sub/b.bin`, Buffer.alloc(70_000, 7));
  fs.writeFileSync(`${source}/sub-c`, "sorted between sub and sub/");
  fs.writeFileSync(`${source}/empty`, "");
  fs.writeFileSync(
    Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0x0a, 0x5c])]),
    "odd name",
  );
  fs.symlinkSync("../a.txt", `${source}/sub/link`);
  fs.linkSync(`${source}/a.txt`, `${source}/sub/hard`);
  fs.chmodSync(`${source}/sub-c`, 0o4755);
  fs.writeFileSync(
    `${source}/text.json`,
    JSON.stringify({ many: Array.from({ length: 500 }, (_, i) => i) }),
  );
  Bun.spawnSync(["mkfifo", `${source}/pipe`]);
  return source;
}

test("a sound snapshot is valid, in both modes, cached or not, in threads or not", async () => {
  const { directory } = buildSnapshot(`${dir}/repo`, makeSource("sound"), { pack: /json$/ });
  for (const mode of ["quick", "full"] as const) {
    for (const cached of [true, false]) {
      for (const workers of [0, 2]) {
        const report = await verify(directory, { ...quick, mode, cached, workers });
        expect(shown(report)).toEqual([]);
        expect(report).toMatchObject({
          valid: true,
          filesTotal: 7,
          filesChecked: 7,
          isWhole: !cached,
        });
      }
    }
  }
});

test("1,000 random flipped bits are found, those in data with a range that holds them", async () => {
  const { directory } = buildSnapshot(`${dir}/repo-flips`, makeSource("flipped"), {
    pack: /json$/,
  });
  const files: { path: string; size: number }[] = [];
  for (const name of fs.readdirSync(directory, {
    recursive: true,
    encoding: "buffer",
  }) as Buffer[]) {
    const path = Buffer.concat([Buffer.from(`${directory}/`), name]);
    const stat = fs.lstatSync(path);
    if (stat.isFile() && stat.size > 0)
      files.push({ path: name.toString("latin1"), size: stat.size });
  }
  expect(files.length).toBeGreaterThan(9);
  const random = createRandom(20260102);
  const missed: string[] = [];
  for (let round = 0; round < 1000; round += 1) {
    const { path, size } = files[Math.floor(random() * files.length)] as {
      path: string;
      size: number;
    };
    const bit = Math.floor(random() * size * 8);
    const at = bit >> 3;
    const fd = fs.openSync(
      Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, "latin1")]),
      "r+",
    );
    const byte = Buffer.alloc(1);
    fs.readSync(fd, byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ (1 << (bit & 7));
    fs.writeSync(fd, byte, 0, 1, at);
    const report = await verify(directory, round % 2 === 0 ? quick : full);
    byte[0] = (byte[0] ?? 0) ^ (1 << (bit & 7));
    fs.writeSync(fd, byte, 0, 1, at);
    fs.closeSync(fd);
    const found = report.failures.find((failure) => failure.path === (path as string));
    const named = found?.ranges.some(([start, end]) => start <= at && at < end) ?? false;
    const isData = path.startsWith("data/") || path.startsWith("packed/");
    if (report.valid || found === undefined || (isData && !named))
      missed.push(`${path} bit ${bit}`);
  }
  expect(missed).toEqual([]);
  expect((await verify(directory)).valid).toBe(true);
}, 60_000);

test("whatever is missing, extra or of another shape is named", async () => {
  const build = () =>
    buildSnapshot(`${dir}/repo-shapes`, makeSource(`s${Math.random()}`), { pack: /json$/ })
      .directory;
  const cases: [string, (at: string) => void, string[]][] = [
    ["a file", (at) => fs.unlinkSync(`${at}/data/sub/b.bin`), ["data/sub/b.bin missing"]],
    [
      "an empty directory",
      (at) => fs.rmdirSync(`${at}/data/sub/empty`),
      ["data/sub/empty missing"],
    ],
    ["a file more", (at) => fs.writeFileSync(`${at}/data/sub/zz`, ""), ["data/sub/zz extra"]],
    [
      "one in the place of a FIFO",
      (at) => fs.writeFileSync(`${at}/data/pipe`, ""),
      ["data/pipe extra"],
    ],
    [
      "one beside the packed",
      (at) => fs.writeFileSync(`${at}/packed/x.zst`, ""),
      ["packed/x.zst extra"],
    ],
    [
      "a packed one in data too",
      (at) => fs.writeFileSync(`${at}/data/text.json`, ""),
      ["data/text.json extra"],
    ],
    [
      "no packed",
      (at) => fs.unlinkSync(`${at}/packed/text.json.zst`),
      ["packed/text.json.zst missing"],
    ],
    ["another mode", (at) => fs.chmodSync(`${at}/data/sub-c`, 0o755), ["data/sub-c mode"]],
    ["open to others", (at) => fs.chmodSync(at, 0o755), [". mode"]],
    [
      "another target",
      (at) => {
        fs.unlinkSync(`${at}/data/sub/link`);
        fs.symlinkSync("/etc/passwd", `${at}/data/sub/link`);
      },
      ["data/sub/link target"],
    ],
    [
      "a link for a file",
      (at) => {
        fs.renameSync(`${at}/data/sub/b.bin`, `${dir}/away`);
        fs.symlinkSync(`${dir}/away`, `${at}/data/sub/b.bin`);
      },
      ["data/sub/b.bin type"],
    ],
    ["shorter", (at) => fs.truncateSync(`${at}/data/sub/b.bin`, 5), ["data/sub/b.bin size"]],
    ["no manifest", (at) => fs.unlinkSync(`${at}/manifest.jsonl`), ["manifest.jsonl missing"]],
    ["no list", (at) => fs.unlinkSync(`${at}/SHA256SUMS`), ["SHA256SUMS missing"]],
    ["no snapshot.json", (at) => fs.unlinkSync(`${at}/snapshot.json`), ["snapshot.json damaged"]],
    ["no data", (at) => fs.rmSync(`${at}/data`, { recursive: true }), ["data missing"]],
    ["a stray at the top", (at) => fs.writeFileSync(`${at}/notes`, ""), ["notes extra"]],
  ];
  for (const [what, damage, expected] of cases) {
    const at = build();
    damage(at);
    const report = await verify(at, { ...quick, sampleRate: 0 });
    expect({ what, valid: report.valid, found: shown(report) }).toEqual({
      what,
      valid: false,
      found: expected,
    });
  }
});

test("a file removed with its manifest line rewritten is still seen: nothing is valid without its evidence", async () => {
  const { directory } = buildSnapshot(`${dir}/repo-rewritten`, makeSource("rewritten"));
  fs.rmSync(`${directory}/data`, { recursive: true });
  fs.mkdirSync(`${directory}/data`);
  fs.writeFileSync(`${directory}/manifest.jsonl`, "");
  expect((await verify(directory)).valid).toBe(false);
});

test("damaged ranges of a big file in the cache are found, also while somebody has it open for writing", async () => {
  const chunk = 16 * 1024 * 1024;
  const source = `${dir}/big-open`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/w`, Buffer.alloc(4 * chunk + 4097, 5));
  const { directory } = buildSnapshot(`${dir}/repo-big-open`, source);
  const fd = fs.openSync(`${directory}/data/w`, "r+");
  for (const at of [2 * chunk - 1, 4 * chunk + 4096]) fs.writeSync(fd, "x", at);
  const ranges: [number, number][] = [
    [chunk, 2 * chunk],
    [4 * chunk, 4 * chunk + 4097],
  ];
  const find = async (options: VerifyOptions) => {
    const { failures, bytesRead } = await verify(directory, options);
    expect(bytesRead).toBe(4 * chunk + 4097);
    return failures.map((failure) => failure.ranges);
  };
  expect(await find(quick)).toEqual([ranges]); // read: a file that may change is not looked at in place
  fs.closeSync(fd);
  expect(await find(quick)).toEqual([ranges]);
  expect(await find({ ...quick, workers: 2 })).toEqual([ranges]);
  expect(await find(full)).toEqual([ranges]);
  fs.truncateSync(`${directory}/data/w`, 4 * chunk); // what was held is free again
});

test("a hard-linked file is read once, and its damage is named for every name in every snapshot", async () => {
  const source = `${dir}/shared`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/one`, Buffer.alloc(100_000, 1));
  fs.linkSync(`${source}/one`, `${source}/two`);
  const first = buildSnapshot(`${dir}/sharing`, source, { atMs: 1000 });
  const second = buildSnapshot(`${dir}/sharing`, source, { atMs: 2000, linkTo: first.directory });
  const ledger = new InodeLedger();
  const both = async () => [
    await verifySnapshot(open(first.directory), quick, { ...context, ledger }),
    await verifySnapshot(open(second.directory), quick, { ...context, ledger }),
  ];
  const sound = await both();
  expect(sound.map(({ bytesRead, bytesChecked }) => [bytesRead, bytesChecked])).toEqual([
    [100_000, 200_000],
    [0, 200_000],
  ]);
  const fd = fs.openSync(`${first.directory}/data/one`, "r+");
  fs.writeSync(fd, "x", 50_000);
  fs.closeSync(fd);
  const fresh = new InodeLedger();
  for (const { directory } of [first, second]) {
    const report = await verifySnapshot(open(directory), quick, { ...context, ledger: fresh });
    expect(shown(report)).toEqual(["data/one content", "data/two content"]);
    expect(report.failures[1]?.ranges).toEqual([[0, 100_000]]);
  }
});

test("what is damaged is never credited as verified, also past the 10,000 failures that are listed", async () => {
  const source = `${dir}/many-failures`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/good`, "as it was");
  fs.writeFileSync(`${source}/wrong`, "as it was not");
  const missing = Array.from({ length: 10_000 }, (_, at) => `a${String(at).padStart(5, "0")}`);
  const { directory } = buildSnapshot(`${dir}/many-repository`, source, {
    forge: ([top, good, wrong]) => {
      if (top === undefined || good === undefined || wrong === undefined)
        throw new Error("no tree");
      return [top, ...missing.map((path) => ({ ...good, path: fromText(path) })), good, wrong];
    },
  });
  fs.writeFileSync(`${directory}/data/wrong`, "as it was NOT");
  for (const options of [quick, full]) {
    const verified: string[] = [];
    const report = await verifySnapshot(open(directory), options, {
      ...context,
      onVerified: ({ entry }) => verified.push(toText(entry.path) ?? ""),
    });
    expect([report.failures.length, report.filesFailed]).toEqual([10_000, 10_001]);
    expect(verified).toEqual(["good"]);
  }
});

test("damage in a big file is named to the chunk of 16 MiB, in both modes", async () => {
  const source = `${dir}/big`;
  fs.mkdirSync(source);
  const size = 100 * 1024 * 1024 + 12345;
  const chunk = 16 * 1024 * 1024;
  const fd = fs.openSync(`${source}/model`, "w");
  fs.ftruncateSync(fd, size);
  for (let at = 0; at < size; at += 1 << 20) fs.writeSync(fd, `at ${at}`, at);
  fs.closeSync(fd);
  const { directory } = buildSnapshot(`${dir}/bigs`, source);
  const damaged = fs.openSync(`${directory}/data/model`, "r+");
  fs.writeSync(damaged, "x", 2 * chunk - 1);
  fs.writeSync(damaged, "x", 2 * chunk);
  fs.writeSync(damaged, "x", size - 1);
  fs.closeSync(damaged);
  for (const options of [
    quick,
    full,
    { ...quick, workers: 2, cached: false },
    { ...full, workers: 2, cached: false },
  ]) {
    const report = await verify(directory, options);
    expect(report.failures).toHaveLength(1);
    expect(report.failures[0]?.ranges).toEqual([
      [chunk, 3 * chunk],
      [6 * chunk, size],
    ]);
  }
  fs.rmSync(directory, { recursive: true });
});

test("a manifest whose path leaves the snapshot is refused, and nothing outside is read", async () => {
  const { directory } = buildSnapshot(`${dir}/repo-hostile`, makeSource("hostile"), {
    forge: (entries) =>
      entries.map((entry) =>
        entry.path === fromText("a.txt") ? { ...entry, path: fromText("../../../a.txt") } : entry,
      ),
  });
  const report = await verify(directory);
  expect(shown(report)).toContain("manifest.jsonl damaged");
});

test("a sample is at least one file, the same for the same seed; rate 0 is structure only", async () => {
  const { directory } = buildSnapshot(`${dir}/repo-samples`, makeSource("samples"));
  const one = await verify(directory, { ...quick, sampleRate: 0.01, seed: 5 });
  expect(one).toMatchObject({
    filesChecked: 1,
    filesTotal: 7,
    seed: 5,
    isWhole: false,
    valid: true,
  });
  expect(await verify(directory, { ...quick, sampleRate: 0.01, seed: 5 })).toMatchObject({
    bytesChecked: one.bytesChecked,
  });
  expect(await verify(directory, { ...quick, sampleRate: 0 })).toMatchObject({
    filesChecked: 0,
    isWhole: false,
  });
  for (const total of [1, 7, 100, 1000]) {
    for (const rate of [0.001, 0.1, 0.5, 0.999]) {
      const choose = chooseRandom(total, rate, 42);
      const chosen = Array.from({ length: total }, (_, at) => choose(at)).filter(Boolean).length;
      expect(chosen).toBe(sampleSize(total, rate));
    }
  }
});

test("ten rotations of a tenth cover every file once, whatever their number", () => {
  for (const total of [1, 9, 10, 11, 97, 1000]) {
    const verifiedAt = new Float64Array(total);
    for (let run = 1; run <= 10; run += 1) {
      const choose = chooseOldest(verifiedAt, 0.1);
      const chosen = Array.from({ length: total }, (_, at) => at).filter(choose);
      expect(chosen).toHaveLength(sampleSize(total, 0.1));
      for (const at of chosen) verifiedAt[at] = run;
    }
    expect(verifiedAt.includes(0)).toBe(false);
  }
});
