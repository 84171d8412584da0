// agent.log: each changing command and its outcome, without secrets; failing to log never decides anything.

import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { appendAgentLog } from "../../src/system/agent-log.ts";
import { fixtureCommand, runCli, runFixture } from "../support/run-cli.ts";

setDefaultTimeout(60_000); // no timing decides a test, and machines are slow at times

const base = fs.mkdtempSync(`${tmpdir()}/citadel-agent-log-`);
afterAll(() => fs.rmSync(base, { recursive: true }));

let root = "";
let logs = "";
beforeEach(() => {
  root = fs.mkdtempSync(`${base}/root-`);
  logs = `${root}/opt/citadel/logs`;
  fs.mkdirSync(logs, { recursive: true });
});

const lines = () =>
  fs
    .readFileSync(`${logs}/agent.log`, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("a changing command", () => {
  test("is written with who, what and how it ended", async () => {
    await runFixture(["change", "--root", root]);
    await runFixture(["change", "--fail", "--root", root]);
    const [done, failed] = lines();
    expect(done).toMatchObject({
      command: "change",
      args: {},
      exit_code: 0,
      uid: process.getuid?.(),
    });
    expect(done?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(done?.["duration_s"]).toBeNumber();
    expect(done).not.toContainKey("error");
    expect(failed).toMatchObject({
      args: { fail: "true" },
      exit_code: 1,
      error: { code: "NOT_FOUND", message: "no such thing" },
    });
    expect(fs.statSync(`${logs}/agent.log`).mode & 0o777).toBe(0o640);
  });

  test("leaves no secret: by declaration, by name, in a URL", async () => {
    const argv = ["https://user:hunter2@host/x", "--api-token", "hf_abc", "--pin=1234"];
    await runFixture(["change", ...argv, "--root", root]);
    expect(lines()[0]?.["args"]).toEqual({
      url: "https://***@host/x",
      apiToken: "***",
      pin: "***",
    });
    expect(fs.readFileSync(`${logs}/agent.log`, "utf8")).not.toMatch(/hunter2|hf_abc|1234/);
  });

  test("goes to the journal on stderr under a unit", async () => {
    const stderr = `${root}/stderr`;
    const script = `exec 2> "$0"; JOURNAL_STREAM=$(stat -c %d:%i "$0") "$@"`;
    await runCli(["-c", script, stderr, ...fixtureCommand, "change", "--root", root], {
      command: ["bash"],
    });
    const line = fs.readFileSync(stderr, "utf8");
    expect(line).toStartWith("<5>{");
    expect(JSON.parse(line.slice(3))).toMatchObject({ command: "change", exit_code: 0 });
  });

  test("is cut to a limit, secrets masked first", async () => {
    const url = `https://user:${"s".repeat(2000)}@host/`;
    await runFixture(["change", url, "--root", root]);
    expect(lines()[0]?.["args"]).toEqual({ url: "https://***@host/" });
  });

  test("is not written with --dry-run, nor when its settings are wrong", async () => {
    await runFixture(["change", "--dry-run", "--root", root]);
    const env = { STORAGE_MONITOR_CHECK_INTERVAL: "soon" };
    expect((await runFixture(["change", "--root", root], { env })).exitCode).toBe(2);
    expect(fs.readdirSync(logs)).toEqual([]);
  });

  test("succeeds where the log cannot be written", async () => {
    fs.rmdirSync(logs);
    expect((await runFixture(["change", "--root", root])).exitCode).toBe(0);
    expect(fs.existsSync(logs)).toBe(false);
    fs.writeFileSync(logs, "a file where the directory should be");
    expect((await runFixture(["change", "--root", root])).exitCode).toBe(0);
  });
});

describe("appendAgentLog", () => {
  test("refuses links, hard links, FIFOs and a directory that is a link", () => {
    const victim = `${root}/victim`;
    fs.writeFileSync(victim, "precious");
    fs.symlinkSync(victim, `${logs}/agent.log`);
    expect(appendAgentLog(logs, "line")).toBe(false);
    fs.unlinkSync(`${logs}/agent.log`);
    fs.linkSync(victim, `${logs}/agent.log`);
    expect(appendAgentLog(logs, "line")).toBe(false);
    fs.unlinkSync(`${logs}/agent.log`);
    expect(Bun.spawnSync(["mkfifo", `${logs}/agent.log`]).exitCode).toBe(0);
    expect(appendAgentLog(logs, "line")).toBe(false);
    fs.unlinkSync(`${logs}/agent.log`);
    fs.symlinkSync(logs, `${root}/logs-link`);
    expect(appendAgentLog(`${root}/logs-link`, "line")).toBe(false);
    expect(fs.readFileSync(victim, "utf8")).toBe("precious");
    expect(appendAgentLog(logs, "line")).toBe(true);
  });

  test("keeps five files of the given size, the newest lines in agent.log", () => {
    for (let at = 0; at < 100; at += 1)
      appendAgentLog(logs, `line ${String(at).padStart(3, "0")}`, 100);
    expect(fs.readdirSync(logs).sort()).toEqual([
      "agent.log",
      "agent.log.1",
      "agent.log.2",
      "agent.log.3",
      "agent.log.4",
    ]);
    const text = (name: string) => fs.readFileSync(`${logs}/${name}`, "utf8");
    expect(text("agent.log")).toEndWith("line 099\n");
    const kept =
      [4, 3, 2, 1].map((number) => text(`agent.log.${number}`)).join("") + text("agent.log");
    const numbers = kept
      .trimEnd()
      .split("\n")
      .map((line) => Number(line.slice(5)));
    expect(numbers).toEqual(numbers.map((_number, at) => 100 - numbers.length + at)); // in order, none missing
    for (const name of fs.readdirSync(logs)) expect(text(name).length).toBeLessThanOrEqual(100);
  });

  test("never writes through a link that stands where a rotated file goes", () => {
    const victim = `${root}/victim`;
    fs.writeFileSync(victim, "precious");
    fs.symlinkSync(victim, `${logs}/agent.log.1`);
    for (let at = 0; at < 30; at += 1) appendAgentLog(logs, `line ${at}`, 60);
    expect(fs.readFileSync(victim, "utf8")).toBe("precious");
  });
});
