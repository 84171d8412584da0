// What holds for every command in the map, without knowing any of them.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { commandMap } from "../../src/cli.ts";
import { globalArgs } from "../../src/cli/globals.ts";
import { spellings } from "../../src/cli/scan.ts";
import { listCommands } from "../../src/cli/tree.ts";
import { runCli } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

interface ErrorDocument {
  readonly schema: string;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}

const commands = listCommands(commandMap).map(
  ({ words, command }) => [words.join(" "), words, command] as const,
);

describe.concurrent("every command", () => {
  test.each(commands)("%s --help fits one screen and shows an example", async (name, words) => {
    const { exitCode, stdout, stderr } = await runCli([...words, "--help"]);
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    const lines = stdout.split("\n");
    expect(lines.length).toBeLessThanOrEqual(50);
    const wide = lines.filter((line) => Bun.stringWidth(line) > 80);
    expect(wide.filter((line) => !line.startsWith("  citadel-agent "))).toEqual([]); // examples are not broken
    expect(wide.filter((line) => Bun.stringWidth(line) > 110)).toEqual([]);
    expect(stdout).toContain(`citadel-agent ${name}`);
    expect(stdout).toContain("Examples");
  });

  test.each(commands)("%s refuses an unknown flag: exit 2, stdout empty", async (_name, words) => {
    const { exitCode, stdout, stderr } = await runCli([...words, "--no-such-flag-anywhere"]);
    expect(stdout).toBe("");
    expect(stderr).toContain('unknown flag "--no-such-flag-anywhere"');
    expect(exitCode).toBe(2);
  });

  test.each(commands)(
    "%s --json reports the unknown flag as one document",
    async (_name, words) => {
      const result = await runCli(["--json", ...words, "--no-such-flag-anywhere"]);
      const document = result.json<ErrorDocument>();
      expect(document.schema).toBe("citadel.error/1");
      expect(document.error.code).toBe("FLAG_UNKNOWN");
      expect(result.stdout.trimEnd().split("\n")).toHaveLength(1);
      expect(result.stderr).toBe("");
      expect(result.exitCode).toBe(2);
    },
  );

  test.each(commands)("%s does not declare a global flag again", async (_name, _words, lazy) => {
    const { command } = await lazy.load();
    const globals = spellings(globalArgs);
    expect(spellings(command.args).filter((flag) => globals.includes(flag))).toEqual([]);
  });

  test.each(commands)(
    "%s has a description, examples and at most one list",
    async (_name, _words, lazy) => {
      const { command } = await lazy.load();
      expect(command.description).toMatch(/^[^A-Z].*[^.]$/s);
      for (const example of command.examples) expect(example).toContain("citadel-agent ");
      const positionals = Object.values(command.args).filter((arg) => arg.type === "positional");
      const lists = positionals.filter((arg) => arg.multiple === true);
      expect(lists.length === 0 || positionals.at(-1)?.multiple === true).toBe(true);
    },
  );
});

describe("the first screen", () => {
  test("fits one screen, names every command, and is what no arguments, --help and -h print", async () => {
    const { stdout, exitCode } = await runCli([]);
    expect(exitCode).toBe(0);
    expect(stdout.trimEnd().split("\n").length).toBeLessThanOrEqual(50);
    expect(stdout.split("\n").filter((line) => Bun.stringWidth(line) > 80)).toEqual([]);
    for (const word of Object.keys(commandMap)) expect(stdout).toContain(`  ${word} `);
    expect((await runCli(["--help"])).stdout).toBe(stdout);
    expect((await runCli(["-h"])).stdout).toBe(stdout);
  });
});
