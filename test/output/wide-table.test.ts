import { describe, expect, test } from "bun:test";
import { createStyle, formatWideTable } from "../../src/output/index.ts";

const rows = [
  ["a-very-long-name-of-a-snapshot", "ok", "12"],
  ["short", "damaged", "3"],
];
const table = {
  header: ["SNAPSHOT", "STATE", "FILES"],
  align: ["left", "left", "right"],
  main: 0,
} as const;

describe("a table with a long column", () => {
  test("is a table where it fits, or where nobody looks", () => {
    const whole = createStyle(false, undefined).table(rows, table);
    expect(formatWideTable(rows, table, createStyle(false, undefined))).toBe(whole);
    expect(formatWideTable(rows, table, createStyle(false, 80))).toBe(whole);
  });

  test("gives that column lines of its own where it does not; the rest stays aligned", () => {
    expect(formatWideTable(rows, table, createStyle(false, 40)).split("\n")).toEqual([
      "SNAPSHOT",
      "  STATE    FILES",
      "a-very-long-name-of-a-snapshot",
      "  ok          12",
      "short",
      "  damaged      3",
    ]);
  });

  test("may have no header, and the long column behind others: then it follows them", () => {
    const some = [["keep", "a-very-long-name", "newest"]];
    expect(formatWideTable(some, { main: 1 }, createStyle(false, 20))).toBe(
      "keep  newest\n  a-very-long-name",
    );
  });
});
