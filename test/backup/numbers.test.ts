// The figures that backup commands print: they add up, and say no rate that means nothing.

import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { copyFileSync, linkSync, mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { listSnapshots } from "../../src/backup/repository.ts";
import { summarizeSources } from "../../src/backup/status.ts";
import { formatOutcome } from "../../src/commands/backup/create.ts";
import { formatVerify } from "../../src/commands/backup/verify-output.ts";
import { createStyle } from "../../src/output/index.ts";
import { planSnapshot } from "../../src/backup/create/plan-snapshot.ts";
import { createSystem } from "../../src/system/index.ts";
import { createOptions, openBackupWorld } from "../support/create-snapshot.ts";

const text = (report: unknown) =>
  formatOutcome({ report: report as never, verification: undefined });

test("files that were copied, linked and named again are all the files there are", async () => {
  using world = openBackupWorld();
  const { source } = world;
  writeFileSync(`${source}/text`, "the same line again and again\n".repeat(5000));
  writeFileSync(`${source}/twin-a`, Buffer.alloc(5000, 1));
  writeFileSync(`${source}/twin-b`, Buffer.alloc(5000, 1));
  linkSync(`${source}/text`, `${source}/text-again`);
  const report = await world.create({ compression: { method: "zstd", level: 3 } });
  expect(report).toMatchObject({ files: 4, copied_files: 2, linked_files: 1, packed_files: 4 });
  expect(report.copied_bytes).toBe(155_000);
  expect(report.written_bytes).toBeLessThan(2000);
  const shown = text(report);
  expect(shown).toContain("content    156 KiB in 4 files\n");
  expect(shown).toContain(`copied     151 KiB in 2 files, ${report.written_bytes} B as stored\n`);
  expect(shown).toContain("linked     1 file to equal content\n");
  expect(shown).toContain("names      1 hard link to files counted above\n");
  expect(shown).toMatch(/^took +[\d.]+ m?s$/m);
});

test("what status calls stored is what lies on the disk: packed, without holes, equal files once", async () => {
  using world = openBackupWorld();
  const { source } = world;
  writeFileSync(`${source}/text`, "the same line again and again\n".repeat(50_000));
  writeFileSync(`${source}/twin-a`, randomBytes(500_000));
  copyFileSync(`${source}/twin-a`, `${source}/twin-b`);
  truncateSync(`${source}/text`, 1_400_000);
  writeFileSync(`${source}/hole`, "start");
  truncateSync(`${source}/hole`, 1_000_000_000);
  const options = { compression: { method: "zstd", level: 3 } } as const;
  const made = [await world.create(options), await world.create(options)];
  const [status] = summarizeSources(listSnapshots(world.repository));
  const onDisk = Number(
    Bun.spawnSync(["du", "-s", "--block-size=1", ...made.map(({ directory }) => directory)])
      .stdout.toString()
      .split("\t")[0],
  );
  expect(status?.stored_bytes).toBeGreaterThan(500_000);
  expect(status?.stored_bytes).toBeLessThan(onDisk);
  expect(status?.dedupe_ratio).toBeGreaterThan(2 * 1000);

  // retention takes the first: what it stored stays, and is another's now
  writeFileSync(`${source}/later`, randomBytes(300_000));
  await world.create(options);
  rmSync(made[0]?.directory ?? "", { recursive: true });
  const [rest] = summarizeSources(listSnapshots(world.repository));
  expect(rest?.stored_bytes).toBeGreaterThan(800_000);
  expect(rest?.stored_bytes).toBeLessThan(1_400_000); // equal files count each where nobody knows better
  rmSync(made[1]?.directory ?? "", { recursive: true });
  const [last] = summarizeSources(listSnapshots(world.repository));
  expect(last?.stored_bytes).toBe(rest?.stored_bytes as number);
});

test("files that share blocks with the source are neither copied nor linked, and said", () => {
  const report = {
    snapshot: "id",
    directory: "/b",
    parent: null,
    files: 3,
    bytes: 3 * 2 ** 20,
    copied_files: 1,
    copied_bytes: 2 ** 20,
    written_bytes: 2 ** 20,
    cloned_files: 2,
    cloned_bytes: 2 * 2 ** 20,
    linked_files: 0,
    renewed_files: 0,
    resumed_files: 0,
    packed_files: 0,
    outside_links: 0,
    skipped_total: 0,
    duration_s: 1,
    bytes_per_s: 1,
  };
  const shown = text(report);
  expect(shown).toContain("copied     1.0 MiB in 1 file\n");
  expect(shown).toContain("cloned     2.0 MiB in 2 files, blocks shared with the source\n");
  expect(shown).not.toContain("names");
});

test("an empty source is said, by the plan and by the run; one with files is not", async () => {
  using world = openBackupWorld();
  mkdirSync(`${world.source}/only-a-directory`);
  const plan = () =>
    planSnapshot(
      createOptions(world.source, world.repository),
      createSystem(),
      new AbortController().signal,
    );
  const said = (warnings: readonly string[]) =>
    warnings.filter((line) => line.includes("holds no files"));
  expect(said((await plan()).warnings)).toHaveLength(1);
  expect(said((await world.create()).warnings)).toHaveLength(1);
  writeFileSync(`${world.source}/file`, "content");
  expect(said((await plan()).warnings)).toEqual([]);
  expect(said((await world.create()).warnings)).toEqual([]);
});

test("a rate is that of what was read, and only where enough was", () => {
  const report = {
    snapshot: "id",
    valid: true,
    mode: "quick",
    cached: false,
    sampleRate: 1,
    seed: undefined,
    filesTotal: 1,
    filesChecked: 1,
    filesFailed: 0,
    bytesChecked: 64 * 2 ** 20,
    bytesRead: 64 * 2 ** 20,
    durationMs: 1000,
    failures: [],
    isWhole: true,
    remarks: [],
  };
  const line = (more: Partial<typeof report>) =>
    formatVerify({ ...report, ...more } as never, createStyle(false)).split("\n")[1];
  expect(line({})).toBe("  1 of 1 file, 64.0 MiB in 1.0 s (64.0 MiB/s)");
  expect(line({ bytesRead: 8 })).toBe("  1 of 1 file, 64.0 MiB in 1.0 s, 8 B read");
  expect(line({ bytesRead: 32 * 2 ** 20 })).toBe(
    "  1 of 1 file, 64.0 MiB in 1.0 s, 32.0 MiB read (32.0 MiB/s)",
  );
});
