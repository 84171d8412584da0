// The command line is strict: what is not declared, given twice, surplus or malformed never runs.

import { describe, expect, test } from "bun:test";
import { placeArguments, toParsedArgs } from "../../src/cli/args.ts";
import { toGlobalFlags } from "../../src/cli/global-flags.ts";
import { scanCommandLine } from "../../src/cli/scan.ts";
import { CitadelError } from "../../src/core/index.ts";
import { fixtureMap } from "../support/fixture-cli.ts";

async function parse(...argv: string[]) {
  const scanned = await scanCommandLine(fixtureMap, argv);
  const globals = await toGlobalFlags(scanned.globals, (path) => `/cwd/${path}`);
  if (scanned.command === undefined) throw new Error("no command");
  const verbs = Object.keys(scanned.group.commands);
  const places = placeArguments(scanned.command.args, scanned.own, verbs);
  return {
    words: scanned.words,
    globals,
    args: { ...(await toParsedArgs(scanned.command.args, places)) } as Record<string, unknown>,
  };
}

async function refusal(...argv: string[]): Promise<CitadelError> {
  try {
    await parse(...argv);
  } catch (thrown) {
    if (thrown instanceof CitadelError) return thrown;
    throw thrown;
  }
  throw new Error(`accepted: ${argv.join(" ")}`);
}

const byDefault = {
  source: undefined,
  keep: undefined,
  force: undefined,
  deduplicate: true,
  type: "full",
  sampleRate: undefined,
  jobs: 2,
  path: [],
  out: undefined,
};

describe("accepted command lines", () => {
  test("nothing given: defaults, undefined and empty lists", async () => {
    expect((await parse("echo")).args).toEqual(byDefault);
  });

  test.each([
    [["--sample-rate", "0.5"], { sampleRate: 0.5 }],
    [["--sample-rate=.5"], { sampleRate: 0.5 }],
    [["--sample-rate", "0"], { sampleRate: 0 }],
    [["--no-deduplicate"], { deduplicate: false }],
    [["--deduplicate=false"], { deduplicate: false }],
    [["--force"], { force: true }],
    [["--no-force"], { force: false }],
    [["-f"], { force: true }],
    [["--type", "incremental"], { type: "incremental" }],
    [["--path", "a", "-p", "b", "--path=c", "-pd"], { path: ["a", "b", "c", "d"] }],
    [["--out", "-"], { out: "-" }],
    [["--out=--json"], { out: "--json" }],
    [["--out="], { out: "" }],
    [["--out=a=b"], { out: "a=b" }],
    [["SOURCE", "30"], { source: "SOURCE", keep: 30 }],
    [["--", "--force", "7"], { source: "--force", keep: 7 }],
    [["-"], { source: "-" }],
    [["constructor"], { source: "constructor" }],
  ])("echo %j", async (argv, expected) => {
    expect((await parse("echo", ...argv)).args).toEqual({ ...byDefault, ...expected });
  });

  test("global flags stand before, between and after the words", async () => {
    for (const argv of [
      ["--json", "-n", "noun", "verb"],
      ["noun", "--json", "verb", "--dry-run"],
      ["noun", "verb", "-n", "--json"],
    ]) {
      const { words, globals } = await parse(...argv);
      expect(words).toEqual(["noun", "verb"]);
      expect(globals).toMatchObject({ json: true, dryRun: true, yes: false });
    }
  });

  test("global flags have their values and defaults", async () => {
    const line =
      "echo -vvy --root r --config=c --env-file e --plan-hash h --lock-timeout 1.5 " +
      "--log-format json --no-color --quiet --verbose";
    const { globals } = await parse(...line.split(" "));
    expect(globals).toEqual({
      json: false,
      root: "/cwd/r",
      config: "/cwd/c",
      envFile: "/cwd/e",
      dryRun: false,
      planHash: "h",
      yes: true,
      lockTimeoutMs: 1500,
      quiet: true,
      verbosity: 3,
      logFormat: "json",
      colour: false,
    });
    expect((await parse("echo")).globals).toMatchObject({
      lockTimeoutMs: 10_000,
      colour: undefined,
    });
  });

  test("a list of arguments takes all of them, whatever flags stand between", async () => {
    expect((await parse("list", "a", "--label", "l", "b", "--", "-c")).args).toEqual({
      names: ["a", "b", "-c"],
      label: "l",
    });
  });

  test("a noun that runs by itself does so without a verb", async () => {
    expect((await parse("watch", "--quietly")).args).toMatchObject({ quietly: true });
    expect((await parse("watch", "stop")).words).toEqual(["watch", "stop"]);
  });
});

describe("refused command lines", () => {
  test.each([
    [["ecoh"], "COMMAND_UNKNOWN", "did you mean `citadel-agent echo`?"],
    [["zzzzzz"], "COMMAND_UNKNOWN", "lists them: echo, list"],
    [["noun", "vreb"], "COMMAND_UNKNOWN", "did you mean `citadel-agent noun verb`?"],
    [["noun", "deep", "verbb"], "COMMAND_UNKNOWN", "did you mean `citadel-agent noun deep verb`?"],
    [["help"], "COMMAND_UNKNOWN", "did you mean `citadel-agent --help`?"],
    [["toString"], "COMMAND_UNKNOWN", "lists them"],
    [["echo", "--dry-rnu"], "FLAG_UNKNOWN", "did you mean --dry-run?"],
    [["--dry-rnu", "echo"], "FLAG_UNKNOWN", "did you mean --dry-run?"],
    [["echo", "--froce"], "FLAG_UNKNOWN", "did you mean --force?"],
    [["echo", "--sampleRate", "1"], "FLAG_UNKNOWN", "did you mean --sample-rate?"],
    [["echo", "--no-dry-rnu"], "FLAG_UNKNOWN", ""],
    [["echo", "--no-out"], "FLAG_UNKNOWN", ""],
    [["echo", "-x"], "FLAG_UNKNOWN", ""],
    [["echo", "-nx"], "FLAG_UNKNOWN", ""],
    [["echo", "--constructor"], "FLAG_UNKNOWN", ""],
    [["--force", "echo"], "FLAG_UNKNOWN", ""],
    [["echo", "--force", "--force"], "FLAG_REPEATED", "give --force once"],
    [["echo", "-f", "--no-force"], "FLAG_REPEATED", ""],
    [["--json", "echo", "--json"], "FLAG_REPEATED", ""],
    [["echo", "--type", "full", "--type=full"], "FLAG_REPEATED", ""],
    [["echo", "--force=yes"], "VALUE_INVALID", "write --force or --no-force"],
    [["echo", "--no-force=true"], "VALUE_INVALID", ""],
    [["echo", "--out"], "VALUE_MISSING", "write --out FILE"],
    [["echo", "--out", "--force"], "VALUE_MISSING", "--out=--force"],
    [["echo", "--type", "ful"], "VALUE_INVALID", "did you mean full?"],
    [["echo", "--type", ""], "VALUE_INVALID", "full, incremental"],
    [["echo", "--sample-rate", "1.01"], "VALUE_INVALID", "from 0 to 1"],
    [["echo", "--sample-rate", "-1"], "VALUE_INVALID", "from 0 to 1"],
    [["echo", "--sample-rate", "0,5"], "VALUE_INVALID", ""],
    [["echo", "--sample-rate", "NaN"], "VALUE_INVALID", ""],
    [["echo", "--jobs", "1.5"], "VALUE_INVALID", "a whole number from 1 to 16"],
    [["echo", "--jobs", "0x2"], "VALUE_INVALID", ""],
    [["echo", "--jobs", "1e1"], "VALUE_INVALID", ""],
    [["echo", "--jobs", ""], "VALUE_INVALID", ""],
    [["echo", "--jobs", "17"], "VALUE_INVALID", ""],
    [["echo", "--lock-timeout", "-1"], "VALUE_INVALID", ""],
    [["echo", "--lock-timeout", "ten"], "VALUE_INVALID", ""],
    [["echo", "--log-format", "xml"], "VALUE_INVALID", "pretty, json"],
    [["echo", "--root", ""], "VALUE_INVALID", "fill it in"],
    [["echo", "--config="], "VALUE_INVALID", "fill it in"],
    [["echo", "--plan-hash="], "VALUE_INVALID", ""],
    [["echo", "S", "0"], "VALUE_INVALID", "from 1 to 100"],
    [["echo", "S", "x"], "VALUE_INVALID", ""],
    [["echo", "S", "7", "more"], "ARGUMENT_SURPLUS", ""],
    [["wait", "stubborn"], "ARGUMENT_SURPLUS", "did you mean --stubborn?"],
    [["watch", "sotp"], "ARGUMENT_SURPLUS", "did you mean `stop`?"],
    [["watch", "--quietly", "stop"], "ARGUMENT_SURPLUS", "did you mean `stop`?"],
    [["list", "--label", "l"], "ARGUMENT_MISSING", "NAMES"],
    [["list", "a"], "FLAG_REQUIRED", "add --label VALUE"],
    [["fail", "our"], "VALUE_INVALID", "did you mean ours?"],
    [["--", "echo"], "COMMAND_UNKNOWN", ""],
  ])("%j is %s", async (argv, code, hint) => {
    const error = await refusal(...argv);
    expect(error.code).toBe(code);
    expect(error.kind).toBe("usage");
    expect(error.hint).toContain(hint);
  });
});
