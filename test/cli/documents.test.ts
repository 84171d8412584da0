// Every reading command, run on an empty host below --root, prints one document that fits its schema.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { commandMap } from "../../src/cli.ts";
import { listCommands } from "../../src/cli/tree.ts";
import type { ArgDef } from "../../src/commands/define.ts";
import { loadSchema } from "../../src/schemas/index.ts";
import { runCli } from "../support/run-cli.ts";
import { validateAgainst } from "../support/validate-schema.ts";

const root = mkdtempSync(`${tmpdir()}/citadel-documents-`);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const needed = (def: ArgDef) =>
  def.required === true ||
  (def.type === "positional" && def.required !== false && def.default === undefined);

const reading: (readonly [string, readonly string[]])[] = [];
for (const { words, command: lazy } of listCommands(commandMap)) {
  const { command } = await lazy.load();
  const runsAlone = !Object.values(command.args).some(needed);
  if (command.access === "read" && command.daemon !== true && runsAlone)
    reading.push([words.join(" "), words]);
}

/** Their result is a file; they change nothing else. */
const writes = new Set(["incident"]);

describe("a reading command with --json", () => {
  test.each(reading)(
    "%s prints one document with a true schema and writes nothing",
    async (_name, words) => {
      const before = readdirSync(root, { recursive: true });
      const result = await runCli([...words, "--json", "--root", root], { timeoutMs: 25_000 });
      const document = result.json<{ schema: string; host: string; time: string }>();
      expect(document.schema).toMatch(/^citadel\.[a-z][a-z0-9-]*\/1$/);
      const name = document.schema.slice("citadel.".length, -"/1".length);
      const schema = await loadSchema(name);
      expect([
        name,
        schema === undefined ? "has no schema in src/schemas" : "has a schema",
      ]).toEqual([name, "has a schema"]);
      expect(validateAgainst(schema ?? {}, document)).toEqual([]);
      if (name === "error") expect([1, 2, 6, 7, 75]).toContain(result.exitCode ?? -1);
      if (!writes.has(words.join(" ")))
        expect(readdirSync(root, { recursive: true })).toEqual(before);
    },
  );
});
