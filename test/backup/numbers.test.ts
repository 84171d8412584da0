// The figures that backup commands print: they add up, and say no rate that means nothing.

import { expect, test } from "bun:test";
import { linkSync, mkdirSync, writeFileSync } from "node:fs";
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
