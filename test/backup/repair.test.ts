import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { repairSnapshot } from "../../src/backup/repair.ts";
import { listSnapshots, readSnapshot, type FoundSnapshot } from "../../src/backup/repository.ts";
import { verifySnapshot } from "../../src/backup/verify.ts";
import { toText } from "../../src/backup/format/index.ts";
import { systemClock } from "../../src/system/index.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";
import { runCli } from "../support/run-cli.ts";

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
    ["data/big", `${second.id}, the source`],
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
