// What leaves the process: documents, errors, logs, questions, colours.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { fixtureCommand, runCli, runFixture } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

interface ErrorDocument {
  readonly schema: string;
  readonly host: string;
  readonly time: string;
  readonly exit_code: number;
  readonly error: Readonly<Record<string, unknown>>;
}

describe.concurrent("with --json", () => {
  test("the result is one document with schema, host and time", async () => {
    const result = await runFixture(["echo", "--json", "--jobs", "3"]);
    expect(result.stdout.trimEnd().split("\n")).toHaveLength(1);
    const document = result.json();
    expect(document).toMatchObject({
      schema: "citadel.echo/1",
      args: { jobs: 3 },
      words: ["echo"],
    });
    expect(document["host"]).toBeString();
    expect(document["time"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(result.stderr).toBe("");
  });

  test("a failure is one document, whatever was printed before", async () => {
    const result = await runFixture(["fail", "after-result", "--json"]);
    const document = result.json<ErrorDocument>();
    expect(document.schema).toBe("citadel.error/1");
    expect(document.error).toEqual({
      code: "SERVER_SLOW",
      message: "no answer",
      path: null,
      hint: "try later",
      retryable: true,
    });
    expect(document.exit_code).toBe(75);
    expect(result.exitCode).toBe(75);
    expect(result.stdout.trimEnd().split("\n")).toHaveLength(1);
  });

  test("a system error names path and errno; lines and logs stay off stdout", async () => {
    const result = await runFixture(["fail", "errno", "--json", "-vv"]);
    expect(result.json<ErrorDocument>().error).toMatchObject({
      code: "NO_SPACE",
      path: "/a\nb",
      errno: "ENOSPC",
      retryable: false,
    });
    expect(result.exitCode).toBe(7);
  });

  test("a bug is a document too", async () => {
    for (const how of ["bug", "reject"]) {
      const result = await runFixture(["fail", how, "--json"]);
      expect(result.json<ErrorDocument>().error["code"]).toBe("INTERNAL");
      expect(result.exitCode).toBe(1);
    }
  });

  test("text lines are dropped, and a command that printed no document gets one", async () => {
    const result = await runFixture(["print", "--count", "3", "--json"]);
    expect(result.json()).toMatchObject({ schema: "citadel.print/1", exit_code: 0 });
  });

  test("--watch prints one document per line as they come", async () => {
    const { stdout } = await runFixture(["print", "--count", "3", "--watch", "--json"]);
    const turns = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).at as number);
    expect(turns).toEqual([0, 1, 2]);
  });

  test("logs go to stderr", async () => {
    const result = await runFixture(["logs", "--json", "-vvv"]);
    expect(result.json()).toMatchObject({ schema: "citadel.logs/1" });
    expect(result.stderr).toContain("said at trace");
  });

  test("a name that is not UTF-8 has its bytes beside it", async () => {
    const script = `"$@" --json raw $'caf\\xe9' --to=$'\\xff'`;
    const result = await runCli(["-c", script, "bash", ...fixtureCommand], {
      command: ["bash"],
    });
    expect(result.json()).toMatchObject({ path: "caf\ufffd", path_b64: "Y2Fm6Q==", to: ["/w=="] });
  });

  test("a name that is UTF-8 stands alone", async () => {
    const result = await runFixture(["raw", "café", "--json"]);
    expect(result.json()).toMatchObject({ path: "café", to: [] });
    expect(result.json()).not.toContainKey("path_b64");
  });
});

describe.concurrent("for a person", () => {
  test("an error has three lines: what and where, why, what next", async () => {
    const { stdout, stderr, exitCode } = await runFixture(["fail", "errno"]);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      "error: rename failed on /a\\nb\n" +
        "  why:  No space left on device (ENOSPC), NO_SPACE\n" +
        "  next: try later\n",
    );
    expect(exitCode).toBe(7);
  });

  test("a stack is shown with --verbose alone", async () => {
    expect((await runFixture(["fail", "ours"])).stderr).not.toContain("fixture-cli.ts");
    expect((await runFixture(["fail", "ours", "--verbose"])).stderr).toContain("fixture-cli.ts");
  });

  test("an unhandled rejection is reported as a bug, with its stack, exit 1", async () => {
    const { stderr, exitCode } = await runFixture(["fail", "reject"]);
    expect(stderr).toContain("nobody waits for this (INTERNAL)");
    expect(stderr).toContain("this is a bug in citadel-agent");
    expect(exitCode).toBe(1);
  });

  test("--verbose and --quiet choose what is logged", async () => {
    const levels = async (...flags: string[]) => {
      const { stderr } = await runFixture(["logs", ...flags]);
      return [...stderr.matchAll(/said at (\w+)/g)].map(([, level]) => level);
    };
    expect(await levels()).toEqual(["error", "warn"]);
    expect(await levels("-q")).toEqual(["error", "warn"]);
    expect(await levels("-v")).toEqual(["error", "warn", "info"]);
    expect(await levels("-v", "-v", "-v")).toEqual(["error", "warn", "info", "debug", "trace"]);
  });

  test("--log-format json prints one object per line", async () => {
    const { stderr } = await runFixture(["logs", "--log-format", "json"]);
    const lines = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ level: "error", message: "said at error", n: "1" });
  });

  test("control characters of others are escaped in the log", async () => {
    const { stderr } = await runFixture(["logs"]);
    expect(stderr).not.toContain("\u001b");
    expect(stderr).toContain("[2J");
  });

  test("where stderr is the journal, the log has priorities and no time of its own", async () => {
    // JOURNAL_STREAM holds the device and inode of stderr (systemd.exec(5)); a file stands in for the socket.
    const script = `exec 2> "$0"; JOURNAL_STREAM=$(stat -c %d:%i "$0") "$@" -q logs; JOURNAL_STREAM=1:2 "$@" -q logs`;
    const file = `${mkdtempSync(`${tmpdir()}/citadel-journal-`)}/stderr`;
    await runCli(["-c", script, file, ...fixtureCommand], { command: ["bash"] });
    const [journal, , other] = readFileSync(file, "utf8").split("\n");
    expect(journal).toStartWith("<3>said at error");
    expect(other).toMatch(/^\d\d:\d\d:\d\d error said at error/);
    rmSync(dirname(file), { recursive: true });
  });

  test("help is printed with exit 0 and reads nothing else", async () => {
    const { stdout, exitCode } = await runFixture([
      "noun",
      "verb",
      "--help",
      "--config",
      "/absent",
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("--sample-rate N");
    expect(stdout).toContain("--no-deduplicate");
    expect((await runFixture(["noun", "--help"])).stdout).toContain("deep");
    expect((await runFixture(["noun"])).exitCode).toBe(2);
  });

  test("an absent --root is refused before anything runs", async () => {
    const { exitCode, stderr } = await runFixture(["echo", "--root", "/no/such/root"]);
    expect(stderr).toContain("/no/such/root");
    expect(exitCode).toBe(1);
  });

  test("colours come with CLICOLOR_FORCE and go with NO_COLOR and --no-color", async () => {
    const isColoured = async (env: Record<string, string>, ...flags: string[]) =>
      (await runFixture(["fail", "ours", ...flags], { env })).stderr.includes("\u001b[31m");
    expect(await isColoured({})).toBe(false);
    expect(await isColoured({ CLICOLOR_FORCE: "1" })).toBe(true);
    expect(await isColoured({ CLICOLOR_FORCE: "0" })).toBe(false);
    expect(await isColoured({ CLICOLOR_FORCE: "1", NO_COLOR: "1" })).toBe(false);
    expect(await isColoured({ CLICOLOR_FORCE: "1" }, "--no-color")).toBe(false);
  });
});

describe.concurrent("a question", () => {
  test("is not asked without a terminal: exit 6, CONFIRMATION_NEEDED", async () => {
    const result = await runFixture(["ask", "--json"], { input: "y\n" });
    expect(result.json<ErrorDocument>().error["code"]).toBe("CONFIRMATION_NEEDED");
    expect(result.exitCode).toBe(6);
  });

  test("is answered by --yes", async () => {
    expect((await runFixture(["ask", "-y"])).stdout).toBe("removed\n");
  });

  const hasScript = existsSync("/usr/bin/script");
  if (!hasScript) console.log("skipped: questions on a terminal need script(1) of util-linux");

  test.skipIf(!hasScript)("is asked on a terminal, and only y and yes mean yes", async () => {
    const command = `${fixtureCommand.join(" ")} ask`;
    for (const [answer, code] of [
      ["y", 0],
      ["YES", 0],
      ["", 6],
      ["no", 6],
      ["yesterday", 6],
    ] as const) {
      const { stdout, exitCode } = await runCli(["-qefc", command, "/dev/null"], {
        command: ["script"],
        input: `${answer}\n`,
      });
      expect(stdout).toContain("remove 3 links? [y/N]");
      expect([answer, exitCode]).toEqual([answer, code]);
    }
  });
});

test("--dry-run never runs a changing command that has no plan to show: exit 2", async () => {
  for (const flag of ["--dry-run", "--plan-hash=abc"]) {
    const result = await runFixture(["ask", "--yes", flag, "--json"]);
    expect(result.json<ErrorDocument>().error["code"]).toBe("DRY_RUN_REFUSED");
    expect(result.exitCode).toBe(2);
  }
});

describe.concurrent("settings", () => {
  const env = { STORAGE_MONITOR_CHECK_INTERVAL: "90" };

  test("come from the environment, and a flag declared with `setting` wins over it", async () => {
    const interval = async (...flags: string[]) =>
      (await runFixture(["settings", ...flags, "--root", "/"], { env })).stdout.trim();
    expect(await interval()).toBe("90");
    expect(await interval("--interval", "7")).toBe("7");
  });

  test("that are wrong end the command with 2 before it runs, and name the flag that was wrong", async () => {
    const result = await runFixture(["settings", "--interval", "999999999", "--json"]);
    const { error } = result.json<ErrorDocument>();
    expect(error["code"]).toBe("SETTINGS_INVALID");
    expect(error["message"]).toContain("--interval");
    expect(result.exitCode).toBe(2);
  });

  test("named by --config or --env-file must be readable", async () => {
    for (const flag of ["--config", "--env-file"]) {
      const { exitCode, stderr } = await runFixture(["settings", flag, "/no/such/file"]);
      expect(stderr).toContain("/no/such/file");
      expect(exitCode).toBe(2);
    }
  });
});
