// Rows by key: what a Map of lists would give, for as many rows as there may be files.

import { expect, test } from "bun:test";
import { ChainedRows, NumberColumn } from "../../src/core/chained-rows.ts";
import { createRandom } from "../../src/core/seeded-random.ts";

test("every row of a key is found, the newest first, as in a map of lists", () => {
  const random = createRandom(7);
  const rows = new ChainedRows();
  const expected = new Map<number, number[]>();
  for (let count = 0; count < 60_000; count += 1) {
    // few keys for some, keys that end alike for others, all 32 bits for the rest
    const kind = random();
    const wide = Math.floor(random() * 2 ** 32);
    const key = kind < 0.2 ? wide % 1000 : kind < 0.4 ? (wide & 0xfffff000) >>> 0 : wide;
    const row = rows.add(key);
    expect(row).toBe(count + 1);
    expected.set(key, [row, ...(expected.get(key) ?? []).slice(0, 300)]);
  }
  expect(rows.count).toBe(60_000);
  for (const [key, wanted] of expected) {
    const found: number[] = [];
    let row = rows.newest(key);
    while (row !== 0 && found.length < wanted.length) {
      found.push(row);
      row = rows.older(row);
    }
    expect(found).toEqual(wanted);
    if (wanted.length < 300) expect(row).toBe(0);
  }
  for (let tries = 0; tries < 1000; tries += 1) {
    const key = Math.floor(random() * 2 ** 32);
    if (!expected.has(key)) expect(rows.newest(key)).toBe(0);
  }
}, 60_000);

test("a column gives 0 where nothing was set", () => {
  const column = new NumberColumn();
  column.set(200_000, 2 ** 32 - 1);
  expect([column.get(0), column.get(200_000), column.get(200_001), column.get(1e9)]).toEqual([
    0,
    2 ** 32 - 1,
    0,
    0,
  ]);
});
