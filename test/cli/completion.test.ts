// The completion scripts, in the shells themselves where they are installed.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { formatCompletion, shells, type Shell } from "../../src/cli/completion-scripts.ts";
import { readCompletionPlaces } from "../../src/cli/completion-words.ts";
import { commandMap } from "../../src/cli.ts";
import { fixtureMap } from "../support/fixture-cli.ts";
import { runCli } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

const fixturePlaces = await readCompletionPlaces(fixtureMap);
const has = Object.fromEntries(shells.map((shell) => [shell, Bun.which(shell) !== null]));
for (const shell of shells)
  if (has[shell] !== true) console.log(`skipped: ${shell} is not installed`);

/** What bash offers at the end of `line`. */
async function bashOffers(line: string): Promise<string[]> {
  const words = line.split(" ");
  const script = `${formatCompletion("bash", fixturePlaces)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
_citadel_agent; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = await runCli(["-c", script], { command: ["bash"] });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

describe.skipIf(has["bash"] !== true)("bash", () => {
  test.each([
    ["citadel-agent ec", ["echo"]],
    ["citadel-agent noun ", ["verb", "deep"]],
    ["citadel-agent --json noun de", ["deep"]],
    ["citadel-agent noun deep ", ["verb"]],
    ["citadel-agent echo --type ", ["full", "incremental"]],
    ["citadel-agent echo --type inc", ["incremental"]],
    ["citadel-agent echo --type = inc", ["incremental"]],
    ["citadel-agent echo --sam", ["--sample-rate"]],
    ["citadel-agent echo --no-d", ["--no-deduplicate"]],
    ["citadel-agent echo --log-format ", ["pretty", "json"]],
    ["citadel-agent fail e", ["errno"]],
    ["citadel-agent echo --out ", []],
    ["citadel-agent watch st", ["stop"]],
  ])("completes `%s`", async (line, words) => {
    expect(await bashOffers(line)).toEqual(words);
  });
});

describe("every shell", () => {
  const check: Record<Shell, readonly string[]> = {
    bash: ["bash", "-n"],
    zsh: ["zsh", "-n"],
    fish: ["fish", "--no-execute"],
  };

  test.each(shells)("%s gets a script that it can read", async (shell) => {
    const { stdout, exitCode } = await runCli(["completion", shell]);
    expect(exitCode).toBe(0);
    for (const word of Object.keys(commandMap)) expect(stdout).toContain(word);
    expect(stdout).toContain("dry-run");
    if (has[shell] !== true) return;
    const [program = "", flag = ""] = check[shell];
    const file = `/tmp/citadel-completion-${process.pid}.${shell}`;
    await Bun.write(file, stdout);
    const run = await runCli([flag, file], { command: [program] });
    await Bun.file(file).delete();
    expect([run.exitCode, run.stderr]).toEqual([0, ""]);
  });

  test("an unknown shell is refused", async () => {
    const { exitCode, stderr } = await runCli(["completion", "bsh"]);
    expect(stderr).toContain("did you mean bash?");
    expect(exitCode).toBe(2);
  });

  test.skipIf(has["zsh"] !== true)("zsh offers verbs, flags and choices", async () => {
    // The functions of zsh's completion system are stood in for: outside a line editor they do not run.
    const offers = async (...words: string[]) => {
      const script = `compdef() { :; }; _files() { print FILES; }; compadd() { shift; print -l -- "$@"; }
_describe() { print -l -- \${(P)@[-1]}; }
${formatCompletion("zsh", fixturePlaces)}
words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${words.length}; _citadel_agent`;
      const { stdout, stderr } = await runCli(["-f", "-c", script], { command: ["zsh"] });
      expect(stderr).toBe("");
      return stdout
        .trimEnd()
        .split("\n")
        .map((row) => row.split(":")[0]);
    };
    expect(await offers("citadel-agent", "noun", "")).toEqual(["verb", "deep"]);
    expect(await offers("citadel-agent", "noun", "deep", "v")).toEqual(["verb"]);
    expect(await offers("citadel-agent", "echo", "--type", "")).toEqual(["full", "incremental"]);
    expect(await offers("citadel-agent", "echo", "--out", "")).toEqual(["FILES"]);
    expect(await offers("citadel-agent", "echo", "--")).toContain("--sample-rate");
  });

  test.skipIf(has["fish"] !== true)("fish offers verbs, flags and choices", async () => {
    const offers = async (line: string) => {
      const script = `${formatCompletion("fish", fixturePlaces)}\ncomplete --do-complete '${line}'`;
      const { stdout } = await runCli(["-c", script], { command: ["fish"] });
      return stdout
        .trimEnd()
        .split("\n")
        .map((row) => row.split("\t")[0]);
    };
    expect(await offers("citadel-agent noun ")).toEqual(expect.arrayContaining(["verb", "deep"]));
    expect(await offers("citadel-agent echo --type ")).toEqual(["full", "incremental"]);
    expect(await offers("citadel-agent echo --sam")).toEqual(["--sample-rate"]);
  });
});
