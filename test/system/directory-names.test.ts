// The names of a directory in the order of bytes, whole and range by range.

import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { DirectoryNames } from "../../src/system/directory-names.ts";

const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/directory-names-`));
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

function namesOf(path: string, withSelf: boolean, held?: number): string[] {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    const found: string[] = [];
    const names = new DirectoryNames(fd, withSelf, held);
    while (names.next()) found.push(names.name);
    return found;
  } finally {
    fs.closeSync(fd);
  }
}

const byBytes = (left: string, right: string) =>
  Buffer.from(left, "latin1").compare(Buffer.from(right, "latin1"));

test("names of any bytes, directories twice, in the order of bytes; the same in ranges of any size", () => {
  const expected: string[] = ["."];
  for (let at = 0; at < 3000; at += 1) {
    const random = crypto.getRandomValues(new Uint8Array(1 + (at % 9)));
    const bytes = Buffer.from(random).map((byte) => (byte === 0 || byte === 0x2f ? 0x2e : byte));
    const name = Buffer.concat([bytes, Buffer.from(String(at))]);
    const path = Buffer.concat([Buffer.from(`${root}/`), name]);
    expected.push(name.toString("latin1"));
    if (at % 7 === 0) {
      fs.mkdirSync(path);
      expected.push(`${name.toString("latin1")}/`);
    } else fs.writeFileSync(path, "");
  }
  expected.sort(byBytes);
  expect(namesOf(root, true)).toEqual(expected);
  for (const held of [1, 2, 10, 500, 2999, 3429, 3430]) {
    expect(namesOf(root, true, held)).toEqual(expected);
  }
  expect(namesOf(root, false, 100)).toEqual(expected.filter((name) => name !== "."));
}, 60_000);

test("a range is held, not the directory: what is added and removed meanwhile is met at most once", () => {
  const path = `${root}/changing`;
  fs.mkdirSync(path);
  for (let at = 0; at < 1000; at += 1)
    fs.writeFileSync(`${path}/n${String(at).padStart(4, "0")}`, "");
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const names = new DirectoryNames(fd, false, 100);
  const found: string[] = [];
  while (names.next()) {
    found.push(names.name);
    if (found.length !== 200) continue;
    fs.rmSync(`${path}/n0900`);
    fs.writeFileSync(`${path}/n0900a`, "");
    fs.writeFileSync(`${path}/n0000a`, ""); // behind: not met
  }
  fs.closeSync(fd);
  expect(new Set(found).size).toBe(found.length);
  expect(found).toContain("n0900a");
  expect(found).not.toContain("n0900");
  expect(found).not.toContain("n0000a");
  expect(found).toEqual([...found].sort(byBytes));
});

test("an empty directory has no names", () => {
  fs.mkdirSync(`${root}/empty`);
  expect(namesOf(`${root}/empty`, false)).toEqual([]);
  expect(namesOf(`${root}/empty`, true)).toEqual(["."]);
});

test("a large directory that is removed on the way ends the walk of it, not the walk", () => {
  const top = `${root}/going`;
  fs.mkdirSync(`${top}/m`, { recursive: true });
  fs.writeFileSync(`${top}/z`, "");
  // as many as are not held at once, without making as many files: the range is read again all the same
  const fd = fs.openSync(`${top}/m`, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  for (let at = 0; at < 50; at += 1) fs.writeFileSync(`${top}/m/${at}`, "");
  const names = new DirectoryNames(fd, false, 10);
  expect(names.next()).toBe(true);
  fs.rmSync(`${top}/m`, { recursive: true });
  const rest = () => {
    for (let more = true; more;) more = names.next();
  };
  expect(rest).toThrow(expect.objectContaining({ code: "ENOENT" }));
  fs.closeSync(fd);
});
