import { describe, expect, test } from "bun:test";
import { nameFields, printable, sanitizeText } from "../../src/output/index.ts";

describe("printable", () => {
  test.each([
    ["plain name.bin", "plain name.bin"],
    ["ünïcode 模型 🙂", "ünïcode 模型 🙂"],
    ["a\nb", "a\\nb"],
    ["a\tb\rc", "a\\tb\\rc"],
    ["\u001b]0;title\u0007", "\\e]0;title\\x07"],
    ["\u009b31m", "\\x9b31m"],
    ["\u007f", "\\x7f"],
    ["\u202egnp.exe", "\\u202egnp.exe"],
    ["a\u2028b", "a\\u2028b"],
  ])("shows %j as %s", (name, shown) => expect(printable(name)).toBe(shown));
});

describe("sanitizeText", () => {
  test("keeps our newlines, tabs and colours, escapes what could steer a terminal", () => {
    expect(sanitizeText("a\n\tb \u001b[31mred\u001b[0m \u001b[1;32mx")).toBe(
      "a\n\tb \u001b[31mred\u001b[0m \u001b[1;32mx",
    );
    expect(sanitizeText("\u001b[2J\u001b[31mred\r")).toBe("\\e[2J\u001b[31mred\\r");
  });

  test("escapes colours where we use none: they are of others", () => {
    expect(sanitizeText("a\n\u001b[31mred", false)).toBe("a\n\\e[31mred");
  });
});

describe("nameFields", () => {
  test("adds the bytes beside a name that is not UTF-8, under the name's key", () => {
    const bytes = Buffer.from([0x66, 0xff]);
    expect(nameFields(bytes)).toEqual({ path: "f\ufffd", path_b64: "Zv8=" });
    expect(nameFields(bytes, "from")).toEqual({ from: "f\ufffd", from_b64: "Zv8=" });
  });

  test("leaves UTF-8 alone, U+FFFD and a byte order mark included", () => {
    expect(nameFields(Buffer.from("a\ufffd"))).toEqual({ path: "a\ufffd" });
    expect(nameFields(Buffer.from("\ufeffa"))).toEqual({ path: "\ufeffa" });
    expect(nameFields("text")).toEqual({ path: "text" });
  });
});
