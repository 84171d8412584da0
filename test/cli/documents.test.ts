// Every reading command, run on an empty host below --root, prints one document that fits its schema.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { commandMap } from "../../src/cli.ts";
import { listCommands } from "../../src/cli/tree.ts";
import type { ArgDef } from "../../src/commands/define.ts";
import { loadSchema } from "../../src/schemas/index.ts";
import { runCli, type CliResult } from "../support/run-cli.ts";
import { validateAgainst } from "../support/validate-schema.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

const root = mkdtempSync(`${tmpdir()}/citadel-documents-`);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const needed = (def: ArgDef) =>
  def.required === true ||
  (def.type === "positional" && def.required !== false && def.default === undefined);

const reading: (readonly [string, readonly string[]])[] = [];
const changing: (readonly [string, readonly string[]])[] = [];
for (const { words, command: lazy } of listCommands(commandMap)) {
  const { command } = await lazy.load();
  const runsAlone = !Object.values(command.args).some(needed);
  if (command.daemon === true || !runsAlone) continue;
  (command.access === "read" ? reading : changing).push([words.join(" "), words]);
}

/** Their result is a file; they change nothing else. */
const writes = new Set(["incident"]);

interface ErrorDocument {
  readonly error: { readonly code: string };
}

/** Checks that stdout is one document that fits its schema. */
async function expectDocument(result: CliResult): Promise<void> {
  const document = result.json<{ schema: string; host: string; time: string }>();
  expect(document.schema).toMatch(/^citadel\.[a-z][a-z0-9-]*\/1$/);
  const name = document.schema.slice("citadel.".length, -"/1".length);
  const schema = await loadSchema(name);
  const found = schema === undefined ? "has no schema in src/schemas" : "has a schema";
  expect(`${name} ${found}`).toBe(`${name} has a schema`);
  expect(validateAgainst(schema ?? {}, document)).toEqual([]);
  if (name === "error") expect(result.json<ErrorDocument>().error.code).not.toBe("INTERNAL");
  if (name === "error") expect([1, 2, 6, 7, 75]).toContain(result.exitCode ?? -1);
}

const tree = () => readdirSync(root, { recursive: true }).sort();

describe("a reading command with --json", () => {
  test.each(reading)(
    "%s prints one document with a true schema and writes nothing",
    async (name, words) => {
      const before = tree();
      await expectDocument(
        await runCli([...words, "--json", "--root", root], { timeoutMs: 25_000 }),
      );
      if (!writes.has(name)) expect(tree()).toEqual(before);
    },
  );
});

describe("a reading command for a person", () => {
  test.each(reading)("%s runs on an empty host without a bug of ours", async (_name, words) => {
    const { exitCode, stdout, stderr } = await runCli([...words, "--root", root], {
      timeoutMs: 25_000,
    });
    expect(stderr).not.toContain("internal error");
    expect(stdout + stderr).not.toBe("");
    expect(stdout).not.toMatch(/\b(?:undefined|NaN|\[object Object\])/);
    expect([0, 1, 2, 3, 6, 7]).toContain(exitCode ?? -1);
  });
});

describe("a changing command with --dry-run --json", () => {
  test.each(changing)(
    "%s prints one document with a true schema and writes nothing",
    async (_name, words) => {
      const before = tree();
      const flags = ["--dry-run", "--json", "--root", root];
      await expectDocument(await runCli([...words, ...flags], { timeoutMs: 25_000 }));
      expect(tree()).toEqual(before);
    },
  );
});

describe("a changing command without a terminal", () => {
  test.each(changing)("%s never waits for an answer", async (_name, words) => {
    const other = mkdtempSync(`${tmpdir()}/citadel-unasked-`);
    try {
      await expectDocument(
        await runCli([...words, "--json", "--root", other], { timeoutMs: 25_000 }),
      );
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });
});
