// Every code that the sources can put into an error is explained.

import { describe, expect, test } from "bun:test";
import { loadExplanations } from "../../src/explain/index.ts";
import { runCli } from "../support/run-cli.ts";

const root = new URL("../..", import.meta.url).pathname;
const explained = await loadExplanations();

/** Codes in `text`: after `code:` or `code =`, also of a condition, and as the first word of an error's maker. */
function codesIn(text: string): string[] {
  const assigned = [...text.matchAll(/\bcode\??\s*[:=]\s*([^;{}]*?)(?:,\n|;|\}|,\s*\w+:)/g)].map(
    ([, value]) => value,
  );
  const made = [
    ...text.matchAll(/\b\w*(?:[eE]rror|[cC]onflict|[dD]amaged)\w*\(\s*("[A-Z][A-Z0-9_]+")/g),
  ].map(([, value]) => value);
  const words = [...assigned, ...made].flatMap((value) => [
    ...(value ?? "").matchAll(/"([A-Z][A-Z0-9_]{2,})"/g),
  ]);
  return words
    .map(([, code]) => code ?? "")
    .filter((code) => !/^(?:E[A-Z0-9]+|SIG[A-Z]+|SQLITE_[A-Z]+)$/.test(code)); // names of errno, signals and SQLite
}

async function codesOfSources(): Promise<Map<string, string>> {
  const codes = new Map<string, string>();
  for (const file of [...new Bun.Glob("src/**/*.ts").scanSync(root)].sort()) {
    for (const code of codesIn(await Bun.file(root + file).text())) codes.set(code, file);
  }
  return codes;
}

describe("explanations", () => {
  test("the search finds codes however they are written", () => {
    expect(codesIn('throw new CitadelError({ kind: "io", code: "A_B", message })')).toEqual([
      "A_B",
    ]);
    expect(codesIn('code: errno ? "NO_SPACE" : "TOO_SLOW",\n')).toEqual(["NO_SPACE", "TOO_SLOW"]);
    expect(codesIn('throw usageError("FLAG_BAD", "text")')).toEqual(["FLAG_BAD"]);
    expect(codesIn('if (code === "OTHER") {}')).toEqual([]);
    expect(codesIn('{ code: "ENOENT" }')).toEqual([]);
  });

  test("every code in the sources has an entry", async () => {
    const codes = await codesOfSources();
    expect(codes.size).toBeGreaterThan(40);
    const missing = [...codes]
      .filter(([code]) => !explained.has(code))
      .map(([code, file]) => `${code} (${file})`);
    expect(missing).toEqual([]);
  });

  test.each([...explained.keys()])(
    "%s says what it means, what causes it and what to do",
    (code) => {
      const { meaning, causes, remedy } = explained.get(code) ?? {
        meaning: "",
        causes: [],
        remedy: [],
      };
      expect(code).toMatch(/^[A-Z][A-Za-z0-9_]*$/);
      expect(meaning).toMatch(/^[A-Za-z`/].*\.$/s);
      expect(causes.length).toBeGreaterThan(0);
      expect(remedy.length).toBeGreaterThan(0);
    },
  );
});

describe("explain CODE", () => {
  test("prints meaning, causes and remedy, whatever the case", async () => {
    const { stdout, exitCode } = await runCli(["explain", "no_space"]);
    expect(stdout).toStartWith("NO_SPACE: ");
    expect(stdout).toContain("What to do\n  1. ");
    expect(exitCode).toBe(0);
  });

  test("names the nearest for a wrong one: exit 2", async () => {
    const { stderr, stdout, exitCode } = await runCli(["explain", "NO_SPCE"]);
    expect(stderr).toContain("did you mean `citadel-agent explain NO_SPACE`?");
    expect([stdout, exitCode]).toEqual(["", 2]);
  });

  test("alone lists every code", async () => {
    const { stdout } = await runCli(["explain"]);
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split(" ")[0] ?? ""),
    ).toEqual([...explained.keys()]);
  });
});
