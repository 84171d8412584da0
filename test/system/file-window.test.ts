import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { FileWindow } from "../../src/system/file-window.ts";

const dir = fs.mkdtempSync(`${tmpdir()}/file-window-`);
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const size = 1024 * 1024;
const window = FileWindow.open(size);
/** The file system of the tests may be one that is not for this (overlayfs). */
const canHold = (() => {
  fs.writeFileSync(`${dir}/probe`, "x");
  const fd = fs.openSync(`${dir}/probe`, "r");
  const held = window?.hold(fd, `${dir}/probe`) === true;
  if (held) window?.release(fd);
  fs.closeSync(fd);
  return held;
})();
if (!canHold) console.log("skipped: leases and mappings cannot be had in the temporary directory");

function make(name: string, bytes: number): { path: string; fd: number; content: Buffer } {
  const path = `${dir}/${name}`;
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 1) content[at] = (at * 2_654_435_761) >>> 24;
  fs.writeFileSync(path, content);
  return { path, fd: fs.openSync(path, "r"), content };
}

const open = (path: string, flags: number) => fs.closeSync(fs.openSync(path, flags));
const { O_WRONLY, O_RDONLY, O_NONBLOCK, O_TRUNC } = fs.constants;

test.skipIf(!canHold)("parts of a file are shown as they are, to its last byte", () => {
  const { path, fd, content } = make("shown", size + 5000);
  expect(window?.hold(fd, path)).toBe(true);
  expect(window?.show(fd, 0, size)).toEqual(new Uint8Array(content.subarray(0, size)));
  expect(window?.show(fd, size, 5000)).toEqual(new Uint8Array(content.subarray(size)));
  window?.release(fd);
  fs.closeSync(fd);
});

test.skipIf(!canHold)(
  "while it is held nobody shortens or writes it, and asking for it ends nobody",
  () => {
    const { path, fd } = make("held", 10_000);
    expect(window?.hold(fd, path)).toBe(true);
    open(path, O_RDONLY); // others may read
    expect(() => open(path, O_WRONLY | O_NONBLOCK)).toThrow("EAGAIN");
    expect(() => open(path, O_WRONLY | O_TRUNC | O_NONBLOCK)).toThrow("EAGAIN");
    const other = Bun.spawnSync(["timeout", "0.2", "sh", "-c", `: > ${path}`]);
    expect(other.exitCode).toBe(124);
    expect(fs.fstatSync(fd).size).toBe(10_000);
    window?.release(fd);
    open(path, O_WRONLY | O_TRUNC);
    expect(fs.fstatSync(fd).size).toBe(0);
    fs.closeSync(fd);
  },
);

test.skipIf(!canHold)("a file that somebody has open for writing is not held", () => {
  const { path, fd } = make("written", 10_000);
  const writer = fs.openSync(path, "r+");
  expect(window?.hold(fd, path)).toBe(false);
  fs.closeSync(writer);
  expect(window?.hold(fd, path)).toBe(true);
  window?.release(fd);
  fs.closeSync(fd);
});

test.skipIf(!canHold)(
  "a writer that asked has the file at the next look, and nothing of it is shown",
  () => {
    const { path, fd } = make("wanted", 10_000);
    expect(window?.hold(fd, path)).toBe(true);
    expect(window?.show(fd, 0, 10_000)?.length).toBe(10_000);
    expect(() => open(path, O_WRONLY | O_NONBLOCK)).toThrow("EAGAIN");
    expect(window?.show(fd, 0, 10_000)).toBeUndefined();
    open(path, O_WRONLY | O_TRUNC);
    expect(window?.show(fd, 0, 10_000)).toBeUndefined();
    window?.release(fd);
    fs.closeSync(fd);
  },
);

test.skipIf(!canHold)("bytes that the file does not have are not shown", () => {
  const { path, fd } = make("short", 10_000);
  expect(window?.hold(fd, path)).toBe(true);
  expect(window?.show(fd, 0, 20_000)).toBeUndefined();
  expect(window?.show(fd, 0, 10_000)?.length).toBe(10_000);
  window?.release(fd);
  fs.closeSync(fd);
});

test("a file of another kind of file system is not held", () => {
  const fd = fs.openSync("/proc/self/status", "r");
  expect(window?.hold(fd, "/proc/self/status") ?? false).toBe(false);
  fs.closeSync(fd);
});
