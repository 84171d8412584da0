// What may be given back of a process's memory, and that giving it back changes nothing.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parseCleanRanges, trimMemory } from "../../src/system/memory.ts";

const program = "/usr/local/bin/citadel agent";
const smaps = `00200000-00a00000 r--p 00000000 fe:00 5 ${" ".repeat(20)}${program}
Rss:                7000 kB
Anonymous:             0 kB
00a00000-03000000 r-xp 00800000 fe:00 5 ${" ".repeat(20)}${program}
Rss:               35000 kB
Anonymous:             0 kB
03000000-03200000 r--p 02e00000 fe:00 5 ${" ".repeat(20)}${program}
Rss:                 100 kB
Anonymous:            12 kB
03200000-03300000 rw-p 03000000 fe:00 5 ${" ".repeat(20)}${program}
Rss:                 900 kB
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 9 ${" ".repeat(20)}/usr/lib/libc.so.6
Anonymous:             0 kB
7f0000200000-7f0000300000 rw-p 00000000 00:00 0 
Anonymous:           512 kB
`;

test("only read-only mappings of the program in which nothing was written are given back", () => {
  expect(parseCleanRanges(smaps, program)).toEqual([
    { start: 0x200000, bytes: 0x800000 },
    { start: 0xa00000, bytes: 0x2600000 },
  ]);
  expect(parseCleanRanges("garbage\n", program)).toEqual([]);
});

const residentKib = () =>
  Number(/^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

test("the resident pages of the program's file shrink, and it goes on running", () => {
  const before = residentKib();
  expect(trimMemory()).toBeGreaterThan(1024 * 1024);
  expect(residentKib()).toBeLessThan(before);
  expect(JSON.parse(JSON.stringify({ still: [1, 2, 3].map((n) => n * 2) }))).toEqual({
    still: [2, 4, 6],
  });
});
