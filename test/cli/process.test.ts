// Signals, closed pipes, full disks: how the process ends when the world around it does.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fixtureCommand, runCli, scrubbedEnvironment } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

/** Starts a fixture command and waits until it says that it is ready. */
async function start(args: readonly string[]) {
  const child = Bun.spawn([...fixtureCommand, ...args], {
    env: { ...scrubbedEnvironment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = child.stderr.getReader();
  const decoder = new TextDecoder();
  let heard = "";
  const hear = async (text: string) => {
    while (!heard.includes(text)) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`ended before it said ${text}: ${heard}`);
      heard += decoder.decode(value);
    }
  };
  await hear("ready");
  return { child, hear };
}

describe.concurrent("a signal", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s lets the step at hand finish and ends with %d", async (name, code) => {
    const { child, hear } = await start(["wait"]);
    child.kill(name);
    await hear("finishing the step at hand");
    expect(await child.exited).toBe(code);
  });

  test("a command that ends in good order after a signal still says that it was interrupted", async () => {
    const { child } = await start(["wait", "--quietly"]);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(143);
  });

  test("with --json the interruption is a document", async () => {
    const { child } = await start(["wait", "--json"]);
    child.kill("SIGINT");
    const document = JSON.parse(await child.stdout.text()) as { error: { code: string } };
    expect(document.error.code).toBe("INTERRUPTED");
    expect(await child.exited).toBe(130);
  });

  test("the second one ends the process at once", async () => {
    const { child, hear } = await start(["wait", "--stubborn"]);
    child.kill("SIGINT");
    await hear("finishing the step at hand");
    expect(child.exitCode).toBeNull();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(143);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s stops a daemon cleanly: exit 0", async (name) => {
    for (const how of [["watch"], ["watch", "--quietly"]]) {
      const { child } = await start(how);
      child.kill(name);
      expect(await child.exited).toBe(0);
    }
  });
});

describe.concurrent("standard output", () => {
  const pipeline = (program: string) =>
    runCli(["-c", `set -o pipefail; "$@" ${program}`, "bash", ...fixtureCommand], {
      command: ["bash"],
    });

  test("that nobody reads any more ends a reading command quietly", async () => {
    const { exitCode, stdout, stderr } = await pipeline("print --count 1000000 | head -n 2");
    expect(stdout.split("\n")).toHaveLength(3);
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
  });

  test("that nobody reads any more does not stop a change", async () => {
    const directory = mkdtempSync(`${tmpdir()}/citadel-epipe-`);
    try {
      const file = `${directory}/done`;
      const { stderr, exitCode } = await pipeline(`write --count 5000 --after ${file} | head -n 1`);
      expect(stderr).toBe("");
      expect(exitCode).toBe(0);
      expect(readFileSync(file, "utf8")).toBe("finished");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("that is closed is no crash", async () => {
    const { exitCode, stderr } = await pipeline("print >&-");
    expect([exitCode, stderr]).toEqual([0, ""]);
  });

  const hasFull = existsSync("/dev/full");
  if (!hasFull) console.log("skipped: a full disk behind stdout needs /dev/full");

  test.skipIf(!hasFull)("on a full disk is a failure, never a success", async () => {
    for (const flags of ["", " --json"]) {
      const { exitCode, stderr } = await pipeline(`print${flags} > /dev/full`);
      expect(stderr).toContain("write failed on standard output");
      expect(exitCode).toBe(7);
    }
  });

  test("larger than a pipe arrives whole", async () => {
    const { stdout } = await pipeline("print --count 3000 | (sleep 0.2; cat)");
    expect(stdout.split("\n")).toHaveLength(3001);
    expect(stdout.endsWith(`line 2999 ${"x".repeat(100)}\n`)).toBe(true);
  });
});
