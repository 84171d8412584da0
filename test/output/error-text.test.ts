import { describe, expect, test } from "bun:test";
import { CitadelError } from "../../src/core/index.ts";
import { createStyle, formatErrorText, wantsColour } from "../../src/output/index.ts";
import { fromErrno } from "../../src/system/index.ts";

const plain = createStyle(false);
const lines = (thrown: unknown, verbose = false) =>
  formatErrorText(thrown, plain, verbose).split("\n");

describe("an error", () => {
  test("of a system call: what on which path, the system's text and code, what next", () => {
    const cause = Object.assign(new Error("raw"), { code: "EACCES" });
    expect(lines(fromErrno(cause, "open", "/x: y"))).toEqual([
      "error: open failed on /x: y",
      "  why:  Permission denied (EACCES), PERMISSION",
      "  next: run the command as root (sudo) or as the owner of this path",
    ]);
  });

  test("of a step that was undone keeps the system's words apart from what became of the rest", () => {
    const step = fromErrno(Object.assign(new Error("raw"), { code: "EROFS" }), "mkdir", "/x/y");
    const failed = new CitadelError({
      kind: "read-only",
      code: "READ_ONLY",
      message: `${step.message}; 3 steps were undone`,
      hint: "mount it",
      cause: step,
    });
    expect(lines(failed)).toEqual([
      "error: mkdir failed on /x/y; 3 steps were undone",
      "  why:  Read-only file system (EROFS), READ_ONLY",
      "  next: mount it",
    ]);
  });

  test("of ours names the path that its message leaves out, its cause and its code", () => {
    const error = new CitadelError({
      kind: "integrity",
      code: "DIGEST_WRONG",
      message: "content changed",
      path: "/b",
      cause: new Error("read 3 of 4 bytes"),
    });
    expect(lines(error)).toEqual([
      "error: content changed: /b",
      "  why:  read 3 of 4 bytes; DIGEST_WRONG: `citadel-agent explain DIGEST_WRONG` says more",
      "  next: citadel-agent explain DIGEST_WRONG",
    ]);
  });

  test("of the settings keeps its lines, and escapes what is in them", () => {
    const error = new CitadelError({
      kind: "settings",
      code: "S",
      message: "2 wrong:\n  A=\u001b[2J\n  B",
    });
    expect(lines(error).slice(0, 3)).toEqual(["error: 2 wrong:", "  A=\\e[2J", "  B"]);
  });

  test("that is a bug says so; the stack and the causes come with verbose", () => {
    const bug = new TypeError("x is null", { cause: new Error("deeper") });
    expect(lines(bug)).toHaveLength(3);
    expect(lines(bug)[1]).toBe("  why:  x is null (INTERNAL)");
    const all = lines(bug, true).join("\n");
    expect(all).toContain("error-text.test.ts");
    expect(all).toContain("caused by: ");
  });
});

describe("wantsColour", () => {
  test.each([
    [undefined, {}, true, true],
    [undefined, {}, false, false],
    [undefined, { TERM: "dumb" }, true, false],
    [undefined, { NO_COLOR: "" }, true, true],
    [undefined, { NO_COLOR: "0" }, true, false],
    [undefined, { CLICOLOR: "0" }, true, false],
    [undefined, { CLICOLOR_FORCE: "1" }, false, true],
    [undefined, { CLICOLOR_FORCE: "0" }, false, false],
    [undefined, { CLICOLOR_FORCE: "1", NO_COLOR: "1" }, true, false],
    [false, { CLICOLOR_FORCE: "1" }, true, false],
    [true, { NO_COLOR: "1" }, false, true],
  ])("flag %p, %j, terminal %p: %p", (flag, variables, isTerminal, wanted) => {
    expect(wantsColour(flag, variables, isTerminal)).toBe(wanted);
  });
});
