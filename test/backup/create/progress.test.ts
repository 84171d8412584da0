// What `backup create` says while it works: also in the middle of a file, of which one may take an hour.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createSnapshot } from "../../../src/backup/create/create-snapshot.ts";
import type { CreateProgress } from "../../../src/backup/create/options.ts";
import {
  createPassedBytes,
  PassedBytes,
  readPassedBytes,
} from "../../../src/backup/copy/passed-bytes.ts";
import { createSystem } from "../../../src/system/index.ts";
import { createOptions, openBackupWorld } from "../../support/create-snapshot.ts";

test("progress moves while a single file is copied, never back, and ends at the whole", async () => {
  using world = openBackupWorld();
  const sizeBytes = 24 * 1024 * 1024;
  writeFileSync(`${world.source}/model.safetensors`, Buffer.alloc(sizeBytes, 7));
  const seen: CreateProgress[] = [];
  // 12 MiB a second for each of the two workers: the one file takes two seconds, and is looked at every fifth of one
  const options = {
    ...createOptions(world.source, world.repository),
    limitBytesPerSecond: 24 * 1024 * 1024,
  };
  await createSnapshot(options, {
    system: createSystem(),
    signal: new AbortController().signal,
    onProgress: (progress) => void seen.push(progress),
  });
  const copied = seen
    .filter(({ activity }) => activity === "copying")
    .map(({ doneBytes = 0 }) => doneBytes);
  expect(copied.some((bytes) => bytes > 0 && bytes < sizeBytes)).toBe(true);
  expect(copied).toEqual(copied.toSorted((a, b) => a - b));
  expect(copied.at(-1)).toBe(sizeBytes);
}, 60_000);

test("what a file counted is taken back when it ends, that of the others stays", () => {
  const shared = createPassedBytes();
  const [one, other] = [new PassedBytes(shared), new PassedBytes(shared)];
  one.add(5e9);
  other.add(7);
  one.add(1);
  expect(readPassedBytes(shared)).toBe(5_000_000_008);
  one.settle();
  one.settle();
  expect(readPassedBytes(shared)).toBe(7);
});
