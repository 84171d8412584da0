// A program with commands made for tests of the command framework, around the same process code as the real one.

import { group, lazy, type CommandMap } from "../../src/cli/tree.ts";
import { runProcess } from "../../src/cli/process.ts";
import { defineAgentCommand, type AgentCommand } from "../../src/commands/define.ts";
import { CitadelError, ExitCode } from "../../src/core/index.ts";
import { nameFields } from "../../src/output/index.ts";

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

const base = { settings: "none", examples: [] } as const;

const echo = defineAgentCommand({
  ...base,
  description: "shows its arguments",
  access: "read",
  args: {
    source: { type: "positional", required: false },
    keep: { type: "positional", value: "number", min: 1, max: 100, required: false },
    force: { type: "boolean", alias: "f" },
    deduplicate: { type: "boolean", default: true, negativeDescription: "copy all" },
    type: { type: "enum", options: ["full", "incremental"], default: "full" },
    sampleRate: { type: "number", min: 0, max: 1, fraction: true },
    jobs: { type: "number", min: 1, max: 16, default: 2 },
    path: { type: "string", alias: ["p"], multiple: true },
    out: { type: "string", valueHint: "FILE" },
  },
  async run({ args, globals, out, words }) {
    out.result("echo", { args, globals, words }, () => JSON.stringify({ args, globals, words }));
    return ExitCode.success;
  },
});

const list = defineAgentCommand({
  ...base,
  description: "takes a list",
  access: "read",
  args: {
    names: { type: "positional", multiple: true },
    label: { type: "string", required: true },
  },
  async run({ args, out }) {
    out.result("list", { names: args.names, label: args.label }, () => args.names.join("\n"));
    return ExitCode.success;
  },
});

const raw = defineAgentCommand({
  ...base,
  description: "shows the bytes of its arguments",
  access: "read",
  args: { name: { type: "positional" }, to: { type: "string" } },
  async run({ args, out, rawBytes }) {
    const to = rawBytes("to").map((bytes) => bytes.toString("base64"));
    const [name] = rawBytes("name");
    out.result("raw", { ...nameFields(name ?? args.name), to }, () => args.name);
    return ExitCode.success;
  },
});

const waiting = (daemon: boolean) =>
  defineAgentCommand({
    ...base,
    description: "waits for a signal",
    access: "read",
    daemon,
    args: { stubborn: { type: "boolean" }, quietly: { type: "boolean" } },
    async run({ args, out, signal }) {
      const timer = setInterval(() => {}, 1000); // holds the process as real work would
      out.warn("ready");
      await aborted(signal);
      out.warn("finishing the step at hand");
      if (args.stubborn === true) await new Promise(() => {});
      clearInterval(timer);
      if (args.quietly !== true) signal.throwIfAborted();
      return ExitCode.success;
    },
  });

const print = (access: AgentCommand["access"]) =>
  defineAgentCommand({
    ...base,
    description: "prints many lines",
    access,
    args: {
      count: { type: "number", default: 1 },
      watch: { type: "boolean" },
      after: { type: "string" },
    },
    async run({ args, out, signal }) {
      for (let at = 0; at < args.count; at += 1) {
        signal.throwIfAborted();
        if (args.watch === true) out.result("print", { at }, () => `turn ${at}`);
        else out.line(`line ${at} ${"x".repeat(100)}`);
        await Promise.resolve();
      }
      if (args.after !== undefined) await Bun.write(args.after, "finished");
      return ExitCode.success;
    },
  });

const fail = defineAgentCommand({
  ...base,
  description: "fails",
  access: "read",
  args: {
    how: { type: "positional", options: ["ours", "errno", "bug", "reject", "after-result"] },
  },
  async run({ args, out }) {
    if (args.how === "bug") throw new TypeError("x is not a function");
    if (args.how === "reject") {
      void Promise.reject(new Error("nobody waits for this"));
      await Bun.sleep(5000);
    }
    if (args.how === "after-result") out.result("half", { half: true }, () => "half a result");
    const errno = args.how === "errno";
    throw new CitadelError({
      kind: errno ? "no-space" : "unavailable",
      code: errno ? "NO_SPACE" : "SERVER_SLOW",
      message: errno ? "rename failed on /a\nb: No space left on device (ENOSPC)" : "no answer",
      path: errno ? "/a\nb" : undefined,
      errno: errno ? "ENOSPC" : undefined,
      hint: "try later",
      retry: errno ? "never" : "later",
    });
  },
});

const ask = defineAgentCommand({
  ...base,
  description: "asks",
  access: "change",
  dryRun: "refused",
  args: {},
  async run({ out }) {
    const yes = await out.confirm("remove 3 links?");
    out.result("ask", { yes }, () => (yes ? "removed" : "nothing was touched"));
    return yes ? ExitCode.success : ExitCode.decision;
  },
});

const change = defineAgentCommand({
  description: "changes something",
  examples: [],
  access: "change",
  args: {
    url: { type: "positional", required: false },
    apiToken: { type: "string" },
    pin: { type: "string", secret: true },
    fail: { type: "boolean" },
  },
  async run({ args, out }) {
    if (args.fail === true)
      throw new CitadelError({ kind: "not-found", code: "NOT_FOUND", message: "no such thing" });
    out.result("change", { done: true }, () => "changed");
    return ExitCode.success;
  },
});

const logs = defineAgentCommand({
  ...base,
  description: "logs at each level",
  access: "read",
  args: {},
  async run({ app, out }) {
    for (const level of ["error", "warn", "info", "debug", "trace"] as const)
      app.system.logger.log(level, `said at ${level}`, { path: "/a b\u001b[2J", n: 1n });
    out.result("logs", {}, () => "done");
    return ExitCode.success;
  },
});

const settings = defineAgentCommand({
  description: "shows a setting that its flag overrides",
  examples: [],
  access: "read",
  args: { interval: { type: "number", min: 1, setting: "monitoring.check_interval" } },
  async run({ app, out }) {
    const { check_interval } = app.settings.monitoring;
    out.result("settings", { check_interval }, () => String(check_interval));
    return ExitCode.success;
  },
});

const load = (command: AgentCommand) => lazy("for tests", async () => ({ command }));

export const fixtureMap: CommandMap = {
  echo: load(echo),
  list: load(list),
  raw: load(raw),
  noun: group("a noun", { verb: load(echo), deep: group("deeper", { verb: load(list) }) }),
  watch: group("runs by itself", { stop: load(echo) }, load(waiting(true))),
  wait: load(waiting(false)),
  print: load(print("read")),
  write: load(print("change")),
  fail: load(fail),
  ask: load(ask),
  change: load(change),
  logs: load(logs),
  settings: load(settings),
};

if (import.meta.main) process.exit(await runProcess(fixtureMap, [], process.argv.slice(2)));
