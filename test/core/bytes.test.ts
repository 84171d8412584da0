import { describe, expect, test } from "bun:test";
import { formatBytes, parseBytes } from "../../src/core/index.ts";

describe("parseBytes", () => {
  test.each([
    ["0", 0],
    ["512", 512],
    ["10MB", 10 * 1024 ** 2],
    ["1.5 GiB", 1.5 * 1024 ** 3],
    ["1tb", 1024 ** 4],
    ["10M", 10 * 1024 ** 2],
  ])("reads %s", (text, size) => expect(parseBytes(text)).toBe(size));

  test.each(["", "MB", "1XB", "-1", "1 2", "1e3"])("refuses %j", (text) =>
    expect(() => parseBytes(text)).toThrow("not a size"),
  );
});

describe("formatBytes", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [1024 ** 2 - 1, "1.0 MiB"],
    [3.6 * 1024 ** 4, "3.6 TiB"],
  ])("writes %d as %s", (size, text) => expect(formatBytes(size)).toBe(text));
});
