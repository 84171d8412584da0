import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { absentModels, remainingBytes } from "../../src/backup/outlook.ts";
import { listSnapshots } from "../../src/backup/repository.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

let dir: string;
beforeAll(() => {
  dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/outlook-`));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

function makeSource(name: string, models: Record<string, number>): string {
  for (const [model, size] of Object.entries(models)) {
    fs.mkdirSync(`${dir}/${name}/${model}`, { recursive: true });
    fs.writeFileSync(`${dir}/${name}/${model}/weights`, Buffer.alloc(size, 7));
  }
  return `${dir}/${name}`;
}

test("a model that no snapshot holds is named, one behind a link too, one in any newest snapshot is not", () => {
  const source = makeSource("models", { alpha: 10, béta: 10 });
  fs.mkdirSync(`${dir}/elsewhere`);
  fs.writeFileSync(`${dir}/elsewhere/weights`, "x");
  fs.symlinkSync(`${dir}/elsewhere`, `${source}/linked`);
  const other = makeSource("one/gamma", { "": 10 });
  const root = `${dir}/repository`;
  buildSnapshot(root, source, { atMs: Date.UTC(2026, 0, 1) });
  buildSnapshot(root, other, { atMs: Date.UTC(2026, 0, 2), source: "/mnt/x/gamma" });
  const names = ["alpha", "béta", "linked", "gamma", "delta"];
  expect(absentModels(names, listSnapshots(root))).toEqual(["linked", "delta"]);
  expect(absentModels(["alpha"], listSnapshots(root))).toEqual([]);
});

test("only the newest snapshot of a source counts", () => {
  const source = makeSource("shrinking", { old: 10, kept: 10 });
  const root = `${dir}/newest`;
  buildSnapshot(root, source, { atMs: Date.UTC(2026, 0, 1) });
  fs.rmSync(`${source}/old`, { recursive: true });
  buildSnapshot(root, source, { atMs: Date.UTC(2026, 0, 2) });
  expect(absentModels(["old", "kept"], listSnapshots(root))).toEqual(["old"]);
});

test("a running backup still stores its content less what is written, or the growth against the one before", () => {
  const source = makeSource("running", { alpha: 100_000 });
  const root = `${dir}/running-repository`;
  const first = buildSnapshot(root, source, { atMs: Date.UTC(2026, 0, 1) });
  const job = { source, type: "incremental" };
  const content = (bytes: number) => () => bytes;
  const all = listSnapshots(root);
  expect(remainingBytes([], all, content(1e6))).toBe(0);
  expect(remainingBytes([job], all, content(300_000))).toBe(200_000);
  expect(remainingBytes([job], all, content(100_000))).toBe(1000);
  expect(remainingBytes([job], all, () => undefined)).toBe(1000);
  expect(remainingBytes([{ source, type: "full" }], all, content(300_000))).toBe(300_000);
  expect(remainingBytes([{ source: "/mnt/other", type: null }], all, content(5000))).toBe(5000);

  const partial = first.directory.replace("20260101", "20260102") + ".partial";
  fs.mkdirSync(`${partial}/data`, { recursive: true });
  fs.writeFileSync(`${partial}/data/own`, Buffer.alloc(65_536, 1));
  fs.linkSync(`${source}/alpha/weights`, `${partial}/data/shared`);
  const left = remainingBytes([job], listSnapshots(root), content(300_000));
  expect(left).toBe(200_000 - fs.statSync(`${partial}/data/own`).blocks * 512);
  expect(left).toBeLessThan(200_000);
});
