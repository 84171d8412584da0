import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import type { CheckFile } from "../../src/backup/verify/content-check.ts";
import { fromText } from "../../src/backup/format/index.ts";
import { listSnapshots, readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { repairSnapshot, type RepairProgress } from "../../src/backup/repair/repair.ts";
import {
  CheckedBytes,
  createCheckedBytes,
  readCheckedBytes,
} from "../../src/backup/verify/progress.ts";
import {
  type VerifyOptions,
  type VerifyProgress,
  verifySnapshot,
} from "../../src/backup/verify/verify.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { straceAvailable } from "../support/crash.ts";
import { cliCommand, runCli } from "../support/run-cli.ts";
import { hasTerminal } from "../support/run-terminal.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

const dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/verify-progress-`));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const mib = 1024 * 1024;
const open = (directory: string) =>
  readSnapshot(directory as AbsolutePath, "models") as FoundSnapshot;
const quick: VerifyOptions = { mode: "quick", cached: true, sampleRate: 1, seed: 0, cores: 2 };

async function progressOf(snapshot: FoundSnapshot, options: VerifyOptions) {
  const seen: VerifyProgress[] = [];
  const onProgress = (progress: VerifyProgress) => seen.push(progress);
  const report = await verifySnapshot(snapshot, options, { clock: systemClock, onProgress });
  return { seen, report };
}

const packedFile = (size: number, originalSize: number): CheckFile => ({
  path: fromText("packed/x.zst"),
  size,
  xxh3: ["0".repeat(16)],
  firstChunk: 0,
  original: { method: "zstd", size: originalSize, sha256: "" },
});

test("a packed file counts its original content, spread over both of its passes", () => {
  const shared = createCheckedBytes();
  const bytes = new CheckedBytes(shared);
  const file = packedFile(100 * mib, 300 * mib);
  bytes.begin(file);
  bytes.add(100 * mib);
  expect(readCheckedBytes(shared)).toBe(75 * mib);
  for (let at = 0; at < 300; at += 1) bytes.add(mib);
  bytes.end();
  bytes.flush();
  expect(readCheckedBytes(shared)).toBe(300 * mib);
});

test("a file that is given up, or longer than it should be, counts its size and no more", () => {
  const shared = createCheckedBytes();
  const bytes = new CheckedBytes(shared);
  bytes.begin(packedFile(10 * mib, 30 * mib));
  bytes.add(3 * mib);
  bytes.end();
  bytes.begin(packedFile(10 * mib, 30 * mib));
  bytes.add(500 * mib);
  bytes.end();
  bytes.flush();
  expect(readCheckedBytes(shared)).toBe(60 * mib);
});

test("progress ends with all bytes of the snapshot, whatever its files are and whatever is wrong with them", async () => {
  const source = `${dir}/mixed`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/big`, Buffer.alloc(81 * mib, 5));
  fs.writeFileSync(`${source}/middle`, Buffer.alloc(3 * mib, 6));
  fs.writeFileSync(`${source}/text.json`, JSON.stringify(Array.from({ length: 99_999 }, String)));
  fs.writeFileSync(`${source}/empty`, "");
  fs.writeFileSync(`${source}/one`, Buffer.alloc(70_000, 7));
  fs.linkSync(`${source}/one`, `${source}/two`);
  const { directory } = buildSnapshot(`${dir}/mixed-repo`, source, { pack: /json$/ });
  const snapshot = open(directory);
  const sizes = ["big", "middle", "text.json", "one"].map((name) => `${source}/${name}`);
  const total = sizes.reduce((sum, path) => sum + fs.statSync(path).size, 0);
  expect(snapshot.record?.counts.bytes).toBe(total);
  const ends = async (options: Partial<VerifyOptions>) =>
    (await progressOf(snapshot, { ...quick, ...options })).seen.at(-1);
  const whole = { doneBytes: total, totalBytes: total };
  expect(await ends({ workers: 2 })).toMatchObject(whole);
  expect(await ends({ workers: 2, mode: "full", cached: false })).toMatchObject(whole);
  const sample = await ends({ workers: 0, sampleRate: 0.5, choice: (position) => position === 0 });
  expect(sample).toMatchObject({ doneBytes: 81 * mib, totalBytes: undefined, current: "big" });
  const [packed] = fs.readdirSync(`${directory}/packed`) as [string];
  fs.writeFileSync(`${directory}/packed/${packed}`, "x", { flag: "r+" });
  fs.writeFileSync(`${directory}/data/big`, "x", { flag: "r+" });
  const { seen, report } = await progressOf(snapshot, { ...quick, workers: 2, mode: "full" });
  expect(report.failures.length).toBe(2);
  expect(seen.at(-1)).toMatchObject(whole);
  expect(seen.map(({ doneBytes }) => doneBytes)).toEqual(
    seen.map(({ doneBytes }) => doneBytes).sort((a, b) => a - b),
  );
});

test("a repair says how many bytes of what it heals are there", async () => {
  const source = `${dir}/healed`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/w`, Buffer.alloc(40 * mib, 5));
  const { directory } = buildSnapshot(`${dir}/healed-repo`, source);
  fs.writeFileSync(`${directory}/data/w`, "x", { flag: "r+" });
  const snapshot = open(directory);
  const found = await verifySnapshot(snapshot, quick, { clock: systemClock });
  const seen: RepairProgress[] = [];
  const others = listSnapshots(`${dir}/healed-repo`).filter(({ id }) => id !== snapshot.id);
  const onProgress = (progress: RepairProgress) => seen.push(progress);
  await repairSnapshot(snapshot, found, { others, onProgress });
  expect(seen.map(({ doneBytes }) => doneBytes / mib)).toEqual([16, 32, 40]);
  expect(seen[0]).toMatchObject({ totalBytes: 40 * mib, current: fromText("w") });
});

test("a repair that is cancelled in the middle of a file leaves that as it was", async () => {
  const source = `${dir}/cancelled`;
  fs.mkdirSync(source);
  fs.writeFileSync(`${source}/w`, Buffer.alloc(40 * mib, 5));
  const { directory } = buildSnapshot(`${dir}/cancelled-repo`, source);
  fs.writeFileSync(`${directory}/data/w`, "x", { flag: "r+" });
  const snapshot = open(directory);
  const found = await verifySnapshot(snapshot, quick, { clock: systemClock });
  const stop = new AbortController();
  const cancelled = repairSnapshot(snapshot, found, {
    others: [],
    signal: stop.signal,
    onProgress: () => stop.abort(new Error("enough")),
  });
  expect(cancelled).rejects.toThrow("enough");
  await cancelled.catch(() => {});
  expect(fs.readdirSync(directory).filter((name) => name.startsWith("."))).toEqual([]);
  expect(fs.readFileSync(`${directory}/data/w`).subarray(0, 2).toString("latin1")).toBe("x\x05");
});

test.skipIf(!straceAvailable || !hasTerminal)(
  "the terminal shows the bytes of one big file while it is read",
  async () => {
    const root = `${dir}/host`;
    const source = `${root}/mnt/citadel-models/active`;
    fs.mkdirSync(source, { recursive: true });
    fs.writeFileSync(`${source}/w`, Buffer.alloc(64 * mib, 3));
    buildSnapshot(`${root}/mnt/citadel-backup`, source);
    const slow = ["-e", "trace=pread64", "-e", "inject=pread64:delay_exit=25000"];
    const command = ["strace", "-f", "-qq", "-o", "/dev/null", ...slow, ...cliCommand()];
    const quoted = [...command, "--root", root, "backup", "verify", "--mode", "full"]
      .map((word) => `'${word}'`)
      .join(" ");
    const run = await runCli(["-qefc", `stty cols 120 rows 24; ${quoted}`, "/dev/null"], {
      command: ["script"],
      timeoutMs: 60_000,
    });
    expect(run.exitCode).toBe(0);
    const shown = [...run.stdout.matchAll(/verifying (\S+) MiB of 64.0 MiB/g)].map(([, mibs]) =>
      Number(mibs),
    );
    // more than one amount between nothing and all
    expect(new Set(shown.filter((mibs) => mibs > 0 && mibs < 64)).size).toBeGreaterThan(1);
  },
  60_000,
);
