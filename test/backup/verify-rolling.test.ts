import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { openCatalog } from "../../src/backup/catalog/catalog.ts";
import { listSnapshots } from "../../src/backup/repository.ts";
import {
  judgeBudget,
  verifyRolling,
  type RollingOptions,
} from "../../src/backup/verify/rolling.ts";
import type { Clock } from "../../src/system/index.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

const dayMs = 86_400_000;
let dir: string;
beforeAll(() => {
  dir = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/rolling-`));
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Days pass when the test says; waiting takes no time but is counted. */
class DayClock implements Clock {
  wallMs = Date.UTC(2026, 0, 10);
  sleptMs = 0;
  nowMs = () => this.wallMs;
  monotonicMs = () => this.sleptMs;
  async sleep(durationMs: number): Promise<void> {
    this.sleptMs += durationMs;
  }
}

const options: RollingOptions = {
  everyDays: 7,
  bytesPerSecond: 1e12,
  maxDurationMs: dayMs,
  maxPressureRatio: 1,
  cores: 2,
  workers: 0,
};

function makeRepository(name: string): AbsolutePath {
  const source = `${dir}/${name}-source`;
  fs.mkdirSync(source);
  for (let at = 0; at < 70; at += 1) fs.writeFileSync(`${source}/f${at}`, Buffer.alloc(1000, at));
  const root = `${dir}/${name}` as AbsolutePath;
  const first = buildSnapshot(root, source, { atMs: Date.UTC(2026, 0, 9) });
  fs.writeFileSync(`${source}/f0`, Buffer.alloc(1000, 200));
  buildSnapshot(root, source, { atMs: Date.UTC(2026, 0, 9, 1), linkTo: first.directory });
  return root;
}

test("seven daily slices read every stored byte once, shared ones not twice, and say how far they are", async () => {
  const root = makeRepository("seven");
  const clock = new DayClock();
  using catalog = openCatalog({
    stateDir: `${dir}/state` as AbsolutePath,
    backupRoot: root,
    clock,
    user: "t",
    pid: 1,
  });
  const ratios: number[] = [];
  let read = 0;
  for (let day = 0; day < 7; day += 1) {
    const report = await verifyRolling(options, { clock, catalog, snapshots: listSnapshots(root) });
    expect(report.reports.every(({ valid }) => valid)).toBe(true);
    read += report.bytesRead;
    ratios.push(report.after.ratio);
    clock.wallMs += dayMs;
  }
  expect(ratios[0]).toBeLessThan(0.95);
  expect(ratios.at(-1)).toBe(1);
  expect(read).toBeGreaterThanOrEqual(71_000);
  expect(read).toBeLessThan(85_000);
  const later = await verifyRolling(options, { clock, catalog, snapshots: listSnapshots(root) });
  expect(later.before.lag_s).toBeLessThanOrEqual(86_400);
  expect(later.bytesRead).toBeGreaterThan(0);
});

test("damage that a slice meets is reported and never credited", async () => {
  const root = makeRepository("damaged");
  const clock = new DayClock();
  using catalog = openCatalog({
    stateDir: `${dir}/state2` as AbsolutePath,
    backupRoot: root,
    clock,
    user: "t",
    pid: 1,
  });
  const [first] = listSnapshots(root);
  fs.writeFileSync(`${first?.directory}/data/f5`, Buffer.alloc(1000, 77));
  let found = 0;
  for (let day = 0; day < 8; day += 1) {
    const { reports, after } = await verifyRolling(options, {
      clock,
      catalog,
      snapshots: listSnapshots(root),
    });
    found += reports
      .flatMap(({ failures }) => failures)
      .filter(({ reason }) => reason === "content").length;
    expect(after.bytes_fresh).toBeLessThan(after.bytes_total);
    clock.wallMs += dayMs;
  }
  expect(found).toBeGreaterThan(0);
});

test("the pace keeps to the bytes per second and to the end of its time", async () => {
  const root = makeRepository("paced");
  const clock = new DayClock();
  using catalog = openCatalog({
    stateDir: `${dir}/state3` as AbsolutePath,
    backupRoot: root,
    clock,
    user: "t",
    pid: 1,
  });
  const slow = { ...options, everyDays: 1, bytesPerSecond: 1000, maxDurationMs: 3_600_000 };
  await verifyRolling(slow, { clock, catalog, snapshots: listSnapshots(root) });
  expect(clock.sleptMs).toBeGreaterThan(5000);
  const none = await verifyRolling(
    { ...slow, maxDurationMs: 0 },
    { clock, catalog, snapshots: listSnapshots(root) },
  );
  expect(none.bytesRead).toBe(0);
});

test("a budget that cannot reach every byte is said", () => {
  const terabytes = 7.3e12;
  expect(judgeBudget(terabytes, { ...options, bytesPerSecond: 14e6 })).toBeUndefined();
  expect(judgeBudget(terabytes, { ...options, bytesPerSecond: 11e6 })).toContain(
    "every 7 days needs",
  );
});
