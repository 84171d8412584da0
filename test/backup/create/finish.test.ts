// The end of a snapshot: the lines of directories are found wherever a block of the manifest ends.

import { expect, test } from "bun:test";
import { directoryLines } from "../../../src/backup/create/finish.ts";

test("lines of directories are found across the ends of blocks of any size", () => {
  const lines = Array.from({ length: 40 }, (_, at) =>
    at % 3 === 0
      ? `{"path":"d${"é".repeat(at)}","type":"directory","mode":"0755"}`
      : `{"path":"f${"x".repeat(at * 2)}","type":"file","size":${at}}`,
  );
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
  const wanted = lines.filter((line) => line.includes('"type":"directory"'));
  for (const size of [1, 2, 7, 30, 100, 1000, bytes.length]) {
    const blocks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    expect([...directoryLines(blocks)]).toEqual(wanted);
  }
  expect([...directoryLines([])]).toEqual([]);
});
