// What a test restore tries: the weights, where there is room for them, and some of the rest.

import { expect, test } from "bun:test";
import { drawTestSample } from "../../src/backup/restore/test-sample.ts";
import type { BytePath, ManifestEntry } from "../../src/backup/format/index.ts";

const gib = 1024 ** 3;

function file(path: string, size: number): ManifestEntry {
  return {
    path: path as BytePath,
    type: "file",
    size,
    mode: 0o644,
    uid: 0,
    gid: 0,
    user: undefined,
    group: undefined,
    mtimeNs: 0n,
    ino: 1n,
    ctimeNs: 0n,
    sha256: "0".repeat(64),
    xxh3: [],
  };
}

const model = [
  ...Array.from({ length: 40 }, (_, at) => file(`config-${at}.json`, 2000 + at)),
  file("weights-1", 5 * gib),
  file("weights-2", 5 * gib),
];

test("a shard of the weights is tried nearly always, with seven of the others", () => {
  const shards = new Map<string, number>();
  const others = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) {
    const { files, tooLarge } = drawTestSample(model, seed, 64 * gib);
    expect(files).toHaveLength(8);
    expect(new Set(files.map(({ path }) => path)).size).toBe(8);
    expect(tooLarge).toBe(0);
    const [heavy] = files;
    shards.set(String(heavy?.path), (shards.get(String(heavy?.path)) ?? 0) + 1);
    for (const { path } of files.slice(1)) others.add(path);
  }
  expect([...shards.keys()].sort()).toEqual(["weights-1", "weights-2"]);
  expect(Math.min(...shards.values())).toBeGreaterThan(60); // either of the two, by chance
  expect(others.size).toBe(40);
});

test("what there is no room for is left out and counted; nothing drawn exceeds the budget", () => {
  for (let seed = 0; seed < 50; seed += 1) {
    const { files, tooLarge } = drawTestSample(model, seed, 8 * gib);
    expect(tooLarge).toBe(2);
    expect(files.every(({ path }) => path.startsWith("config"))).toBe(true);
    const sum = files.reduce((bytes, { size }) => bytes + size, 0);
    expect(sum).toBeLessThan(8 * gib);
  }
  expect(drawTestSample(model, 1, 0)).toEqual({ files: [], tooLarge: 42 });
  expect(drawTestSample([], 1, gib)).toEqual({ files: [], tooLarge: 0 });
  const empty = drawTestSample([file("empty", 0)], 1, 0);
  expect(empty.files).toHaveLength(1);
});
