// Widths in a terminal: what fits, and where a long line is broken.

import { describe, expect, test } from "bun:test";
import { createStyle, fits, wrap } from "../../src/output/index.ts";

describe("wrap", () => {
  test("leaves lines alone that fit, or where nobody looks", () => {
    expect(wrap("a b c", 2, { columns: 5 })).toBe("a b c");
    expect(wrap("a b c d e f", 2, { columns: undefined })).toBe("a b c d e f");
  });

  test("breaks at blanks and behind commas, and indents what follows", () => {
    const text = "  will be  defaults,noatime,nodiratime,data=writeback now";
    expect(wrap(text, 4, { columns: 24 }).split("\n")).toEqual([
      "  will be  defaults,",
      "    noatime,nodiratime,",
      "    data=writeback now",
    ]);
  });

  test("a word that has no place to break stays whole", () => {
    const word = "x".repeat(30);
    expect(wrap(`a ${word} b`, 2, { columns: 10 })).toBe(`a\n  ${word}\n  b`);
  });
});

test("fits counts terminal columns of each line, without escape sequences", () => {
  expect(fits("\x1b[31mabc\x1b[0m\nab", { columns: 3 })).toBe(true);
  expect(fits("ab\nabcd", { columns: 3 })).toBe(false);
  expect(fits("日本", { columns: 3 })).toBe(false);
});

test("a cell of a table is one line, whatever name it holds", () => {
  const { table } = createStyle(false);
  expect(
    table([
      ["a\nb\tc", "d"],
      ["e", "f"],
    ]),
  ).toBe("a\\nb\\tc  d\ne        f");
});
