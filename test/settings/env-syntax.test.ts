import { describe, expect, test } from "bun:test";
import { parseEnvFile } from "../../src/settings/env-syntax.ts";

const parse = (text: string, environment: Record<string, string> = {}) =>
  Object.fromEntries(parseEnvFile(text, environment).entries.map((e) => [e.name, e.value]));

describe("parseEnvFile", () => {
  // Every row was given to python-dotenv 1.2.4 as well, which answers the same.
  test.each([
    ["A=1", { A: "1" }],
    ["export A=1", { A: "1" }],
    ["  A  =  1  ", { A: "1" }],
    ["A=some words here", { A: "some words here" }],
    ["A='a\\nb'", { A: "a\\nb" }],
    ['A="a\\nb"', { A: "a\nb" }],
    ["A='it\\'s'", { A: "it's" }],
    ['A="say \\"hi\\""', { A: 'say "hi"' }],
    ['A="back\\\\" # c', { A: "back\\" }],
    ["A=a#b", { A: "a#b" }],
    ["A=a #b", { A: "a" }],
    ["A= # nothing", { A: "" }],
    ["A=#b", { A: "#b" }],
    ["A='a # b' # c", { A: "a # b" }],
    ["A=", { A: "" }],
    ["A=0 2 * * *", { A: "0 2 * * *" }],
    ['A={"a": 1}', { A: '{"a": 1}' }],
    ["A=1\nB=${A}2", { A: "1", B: "12" }],
    ["A=1\nB='${A}'", { A: "1", B: "1" }],
    ['A=1\nB="${A}"', { A: "1", B: "1" }],
    ["B=$A", { B: "$A" }],
    ["B=${NONE}x", { B: "x" }],
    ["B=${NONE:-x y}", { B: "x y" }],
    ["A=\nB=${A:-x}", { A: "", B: "" }],
    ["B=${GIVEN}", { B: "from outside" }],
    ["GIVEN=here\nB=${GIVEN}", { GIVEN: "here", B: "here" }],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["\uFEFFA=1", { A: "1" }],
    ["A=1\nA=2", { A: "2" }],
    ["A\nB=2", { B: "2" }],
    ["'A B'=1", { "A B": "1" }],
    ['A="two\nlines"\nB=2', { A: "two\nlines", B: "2" }],
    ["# A=1\n\n   # B=2\nC=3", { C: "3" }],
    ["A=$(id)`id`", { A: "$(id)`id`" }],
  ])("reads %j", (text, expected) => {
    expect(parse(text, { GIVEN: "from outside" })).toEqual(expected);
  });

  test("skips a broken line and keeps the lines around it", () => {
    const { entries, brokenLines } = parseEnvFile('A=1\nB="open\nC=3\n=4\nD=5', {});
    expect(entries.map(({ name }) => name)).toEqual(["A", "C", "D"]);
    expect(brokenLines).toEqual([2, 4]);
  });

  test("tells the line on which an entry begins", () => {
    const { entries } = parseEnvFile('# one\nA="x\ny"\n\nB=1\r\nC=2', {});
    expect(entries.map(({ name, line }) => [name, line])).toEqual([
      ["A", 2],
      ["B", 5],
      ["C", 6],
    ]);
  });
});
