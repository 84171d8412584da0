// The binary alone, in a directory and an environment made by somebody else: nothing of theirs runs. What an
// environment can do all the same is in docs/architecture-binary.md, and pinned here, so that the page stays true.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { builtBinary } from "../support/built-binary.ts";
import { runCli, type CliResult } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

let directory = "";
let program = "";
let evidence = "";

beforeAll(() => {
  directory = fs.mkdtempSync(`${tmpdir()}/citadel-hostile-`);
  program = `${directory}/citadel-agent`;
  evidence = `${directory}/evidence`;
  fs.copyFileSync(builtBinary(), program);
  const evil = `require("node:fs").writeFileSync(${JSON.stringify(evidence)}, "it ran");\n`;
  for (const name of ["evil.js", "evil.cjs", "index.ts", "citadel-agent.ts"]) {
    fs.writeFileSync(`${directory}/${name}`, evil);
  }
  const preload = `preload = ["./evil.js"]\n[run]\npreload = ["./evil.js"]\n[test]\npreload = ["./evil.js"]\n`;
  for (const name of ["bunfig.toml", ".bunfig.toml"])
    fs.writeFileSync(`${directory}/${name}`, preload);
  const variables = `CLICOLOR_FORCE=1\nBUN_OPTIONS=--preload=./evil.js\nNODE_OPTIONS=--require=./evil.js\n`;
  for (const name of [".env", ".env.local", ".env.production", ".env.development", ".env.test"]) {
    fs.writeFileSync(`${directory}/${name}`, variables);
  }
  fs.writeFileSync(`${directory}/package.json`, `{"name": "evil", "imports": {"#x": "./evil.js"}}`);
  fs.writeFileSync(
    `${directory}/tsconfig.json`,
    `{"compilerOptions": {"paths": {"*": ["./evil.js"]}}}`,
  );
});

afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Runs the copy there; whatever it does, the evidence must not appear. */
async function run(
  env: Record<string, string>,
  ...args: string[]
): Promise<CliResult & { ran: boolean }> {
  fs.rmSync(evidence, { force: true });
  const result = await runCli(args, {
    command: [program],
    cwd: directory,
    env: { HOME: directory, XDG_CONFIG_HOME: directory, ...env },
  });
  return { ...result, ran: fs.existsSync(evidence) };
}

describe("a hostile working directory and home", () => {
  test("runs nothing: bunfig.toml, package.json, tsconfig.json", async () => {
    const result = await run({}, "explain", "NO_SPACE");
    expect(result.stdout).toStartWith("NO_SPACE: ");
    expect(result.stderr).toBe("");
    expect([result.exitCode, result.ran]).toEqual([0, false]);
  });

  test("sets no variable: the .env files of the runtime are not read", async () => {
    const result = await run({}, "explain", "NO_SUCH_CODE"); // CLICOLOR_FORCE would colour the error
    expect(result.stderr).toStartWith("error: unknown code");
    expect(result.ran).toBe(false);
  });
});

describe("a hostile environment", () => {
  const preloads: [string, Record<string, string>][] = [
    ["--preload", { BUN_OPTIONS: "--preload=./evil.js" }],
    ["-r", { BUN_OPTIONS: "-r ./evil.js" }],
    ["--require", { BUN_OPTIONS: "--require=./evil.cjs" }],
    ["--import", { BUN_OPTIONS: "--import=./evil.js" }],
    ["--config", { BUN_OPTIONS: "--config=./bunfig.toml" }],
    [
      "a weaker level",
      { BUN_OPTIONS: "--disallow-code-generation-from-strings --preload=./evil.js" },
    ],
    ["BUN_INSPECT_PRELOAD", { BUN_INSPECT_PRELOAD: "./evil.js" }],
    ["BUN_INSPECT", { BUN_INSPECT: "ws://127.0.0.1:0/x" }],
  ];

  test.each(preloads)("code from %s is refused: the binary does not start", async (_name, env) => {
    const result = await run(env, "--version");
    expect(result.ran).toBe(false);
    expect(result.exitCode).toBe(1);
    expect(result.stdout).not.toContain("citadel-agent");
  });

  test.each([
    ["NODE_OPTIONS --require", { NODE_OPTIONS: "--require ./evil.cjs" }],
    ["BUN_OPTIONS -e", { BUN_OPTIONS: "-e require('./evil.js')" }],
    ["BUN_OPTIONS with words", { BUN_OPTIONS: "links create --force" }],
    ["BUN_OPTIONS --env-file", { BUN_OPTIONS: "--env-file=./.env" }],
    ["NODE_PATH", { NODE_PATH: "." }],
  ])("%s changes nothing", async (_name, env) => {
    const result = await run(env, "explain", "NO_SUCH_CODE");
    expect(result.ran).toBe(false);
    expect(result.stderr).toStartWith("error: unknown code");
    expect(result.exitCode).toBe(2);
  });

  test("BUN_BE_BUN=1 does turn the binary into bun: the environment has to be closed instead", async () => {
    const result = await run({ BUN_BE_BUN: "1" }, "-e", "console.log('bun')");
    expect(result.stdout).toContain("bun");
    expect(result.ran).toBe(true); // and obeys bunfig.toml: the traps of this test do work
  });
});
