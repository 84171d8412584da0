import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import {
  dropCachedPages,
  findHoles,
  makeNode,
  readXattrs,
  setMtimeNs,
  setXattr,
} from "../../src/system/native-files.ts";

let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(`${tmpdir()}/native-`);
});
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

test("setMtimeNs is exact to the nanosecond, for links, odd names and times before 1970", () => {
  const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0x41])]);
  fs.writeFileSync(path, "x");
  for (const time of [1767322800123456789n, 0n, 1n, -1n, -5_000_000_001n]) {
    expect(setMtimeNs(path, time)).toBe(true);
    expect(fs.statSync(path, { bigint: true }).mtimeNs).toBe(time);
  }
  fs.symlinkSync("nowhere", `${dir}/link`);
  setMtimeNs(Buffer.from(`${dir}/link`), 5n);
  expect(fs.lstatSync(`${dir}/link`, { bigint: true }).mtimeNs).toBe(5n);
  expect(() => setMtimeNs(Buffer.from(`${dir}/absent`), 5n)).toThrow("ENOENT");
});

test("findHoles names the ranges without data", () => {
  const path = `${dir}/sparse`;
  const fd = fs.openSync(path, "w+");
  fs.ftruncateSync(fd, 3 << 20);
  fs.writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 1 << 20);
  expect(findHoles(fd, 3 << 20, 100)).toEqual([
    [0, 1 << 20],
    [(1 << 20) + 4096, 3 << 20],
  ]);
  expect(findHoles(fd, 3 << 20, 1)).toHaveLength(1);
  expect(dropCachedPages(fd, 0, 0)).toBe(true);
  fs.closeSync(fd);
});

test("xattrs come back as set, where the file system holds them", () => {
  const path = Buffer.from(`${dir}/attributes`);
  fs.writeFileSync(path, "x");
  if (!setXattr(path, "user.citadel", Buffer.from([0, 1, 255]))) {
    console.log("skipped: no user xattrs on the temporary file system");
    return;
  }
  setXattr(path, "user.empty", Buffer.alloc(0));
  expect(readXattrs(path)?.get("user.citadel")).toEqual(Buffer.from([0, 1, 255]));
  expect(readXattrs(path)?.get("user.empty")).toEqual(Buffer.alloc(0));
});

test("makeNode makes a FIFO", () => {
  makeNode(Buffer.from(`${dir}/fifo`), fs.constants.S_IFIFO | 0o600, 0, 0);
  expect(fs.lstatSync(`${dir}/fifo`).isFIFO()).toBe(true);
});
