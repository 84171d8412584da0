import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dropCachedPages, makeNode } from "../../src/system/native-files.ts";

let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(`${tmpdir()}/native-`);
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

test("dropCachedPages takes an open file", () => {
  const fd = fs.openSync(`${dir}/cached`, "w+");
  fs.writeSync(fd, "x");
  expect(dropCachedPages(fd, 0, 0)).toBe(true);
  fs.closeSync(fd);
});

test("makeNode makes a FIFO", () => {
  makeNode(Buffer.from(`${dir}/fifo`), fs.constants.S_IFIFO | 0o600, 0, 0);
  expect(fs.lstatSync(`${dir}/fifo`).isFIFO()).toBe(true);
});
