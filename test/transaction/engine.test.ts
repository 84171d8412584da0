import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { CitadelError } from "../../src/core/index.ts";
import type { Operation } from "../../src/transaction/index.ts";
import { change, createTestHost, planOf, treeOf, type TestHost } from "../support/engine.ts";
import * as op from "../support/operations.ts";

async function failure(promise: Promise<unknown>): Promise<CitadelError> {
  const outcome = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(outcome).toBeInstanceOf(CitadelError);
  return outcome as CitadelError;
}

/** A host with one of everything that operations start from. */
function furnish(host: TestHost): void {
  fs.mkdirSync(host.path("empty"), { mode: 0o755 });
  fs.mkdirSync(host.path("full/inner"), { recursive: true, mode: 0o755 });
  fs.writeFileSync(host.path("full/inner/file"), "deep", { mode: 0o644 });
  fs.symlinkSync("/old", host.path("link"));
  fs.writeFileSync(host.path("file"), "former", { mode: 0o640 });
  fs.writeFileSync(host.path("attribute"), "none [mq-deadline] kyber\n", { mode: 0o644 });
}

type Case = readonly [name: string, operations: (host: TestHost) => Operation[]];

const cases: readonly Case[] = [
  ["make_dir", (h) => [op.makeDir(h.path("new"), 0o2775), op.makeDir(h.path("new/deep"))]],
  ["remove_dir", (h) => [op.removeDir(h.path("empty"))]],
  ["set_mode", (h) => [op.setMode(h.path("empty"), 0o755, 0o775)]],
  ["create_link", (h) => [op.createLink(h.path("fresh"), "/new")]],
  ["replace_link", (h) => [op.replaceLink(h.path("link"), "/old", "/new")]],
  ["remove_link", (h) => [op.removeLink(h.path("link"), "/old")]],
  [
    "move_aside",
    (h) => [
      op.moveAside(h.path("full"), h.path("full.aside"), { type: "directory" }),
      op.createLink(h.path("full"), "/new"),
    ],
  ],
  ["write_file", (h) => [op.writeFile(h.path("made"), "new")]],
  [
    "write_file over a file, with a backup name",
    (h) => [
      op.writeFile(h.path("file"), "new", { before: { type: "file" }, backupName: "file.bak" }),
    ],
  ],
  ["remove_file", (h) => [op.removeFile(h.path("file"))]],
  [
    "run_command",
    (h) => [
      {
        op: "run_command",
        path: h.path("external"),
        why: "wanted",
        before: { type: "external", value: "" },
        after: { type: "external", value: "yes" },
        command: {
          read: ["sh", "-c", `cat ${h.path("external")} 2>/dev/null; true`],
          apply: ["sh", "-c", `echo yes > ${h.path("external")}`],
          undo: ["rm", h.path("external")],
          timeoutMs: 10_000,
        },
      },
    ],
  ],
];

describe("every operation", () => {
  test.each(cases)("%s: applies, and a failing step after it takes it back", async (_, make) => {
    using host = createTestHost();
    furnish(host);
    const first = treeOf(host.path(""));
    const operations = make(host);
    const fails = op.writeFile(host.path("last"), "x", { verifyCommand: ["false", "{}"] });
    const error = await failure(change(host.engine, [...operations, fails]));
    expect(error.code).toBe("CONTENT_REFUSED");
    expect(error.details["open"]).toBe(false);
    expect(treeOf(host.path(""))).toEqual(first);
    expect(host.engine.state.pending).toBeNull();
    expect(host.engine.state.generation).toBe(0);

    const report = await change(host.engine, operations);
    expect(report.outcome).toBe("applied");
    expect(treeOf(host.path(""))).not.toEqual(first);
  });

  test.each(cases)("%s: rollback 0 gives the first tree", async (_, make) => {
    using host = createTestHost();
    furnish(host);
    const first = treeOf(host.path(""));
    await change(host.engine, make(host));
    const plan = () => host.engine.planRollback(0);
    const report = await host.engine.change({ command: "rollback 0", lockTimeoutMs: 0, plan });
    expect(report.plan.conflicts).toEqual([]);
    const left = treeOf(host.path("")).filter((line) => !line.includes(" file.bak "));
    expect(left).toEqual(first);
    expect(host.engine.planRollback(2).operations).toEqual([]);
  });

  test("set_value writes a kernel attribute and puts it back", async () => {
    using host = createTestHost();
    furnish(host);
    // A regular file takes the text as it is; the kernel would show the choice in brackets.
    fs.writeFileSync(host.path("attribute"), "mq-deadline\n");
    const value = (before: string, after: string): Operation => ({
      op: "set_value",
      path: host.path("attribute"),
      why: "wanted",
      before: { type: "value", value: before },
      after: { type: "value", value: after },
    });
    const fails = op.writeFile(host.path("last"), "x", { verifyCommand: ["false"] });
    await failure(change(host.engine, [value("mq-deadline", "none"), fails]));
    expect(fs.readFileSync(host.path("attribute"), "utf8").trim()).toBe("mq-deadline");
    await change(host.engine, [value("mq-deadline", "none")]);
    expect(fs.readFileSync(host.path("attribute"), "utf8").trim()).toBe("none");
  });
});

describe("change", () => {
  test("does nothing and makes no generation for an empty plan", async () => {
    using host = createTestHost();
    expect((await change(host.engine, [])).outcome).toBe("nothing");
    expect(host.engine.history()).toEqual([]);
  });

  test("touches nothing when the plan has conflicts", async () => {
    using host = createTestHost();
    const conflict = { path: host.path("x"), code: "LINK_NOT_A_LINK", message: "m", hint: "h" };
    const report = await change(host.engine, [op.makeDir(host.path("new"))], {
      conflicts: [conflict],
    });
    expect(report.outcome).toBe("conflicts");
    expect(treeOf(host.path(""))).toEqual([]);
  });

  test("refuses a plan that is not the confirmed one with PLAN_CHANGED", async () => {
    using host = createTestHost();
    const plan = () => planOf([op.makeDir(host.path("new"))]);
    const request = { command: "test", lockTimeoutMs: 0, plan, expectedHash: "0".repeat(64) };
    expect((await failure(host.engine.change(request))).code).toBe("PLAN_CHANGED");
    expect(treeOf(host.path(""))).toEqual([]);
  });

  test("stops with HOST_CHANGED when a path is not as the plan expects", async () => {
    using host = createTestHost();
    furnish(host);
    const first = treeOf(host.path(""));
    const error = await failure(
      change(host.engine, [
        op.createLink(host.path("fresh"), "/new"),
        op.replaceLink(host.path("link"), "/other", "/new"),
      ]),
    );
    expect([error.code, error.kind]).toEqual(["HOST_CHANGED", "conflict"]);
    expect(treeOf(host.path(""))).toEqual(first);
  });

  test("keeps annotations by key; null takes one away", async () => {
    using host = createTestHost();
    await change(host.engine, [], { annotations: { a: 1, b: { c: 2 } } });
    await change(host.engine, [], { annotations: { a: null, d: 3 } });
    expect(host.engine.state.latestAnnotations()).toEqual({ b: { c: 2 }, d: 3 });
    expect((await change(host.engine, [], { annotations: { d: 3 } })).outcome).toBe("nothing");
  });

  test("calls the guard before the first step; its error leaves everything as it was", async () => {
    using host = createTestHost();
    const guard = () => {
      throw new CitadelError({ kind: "not-mounted", code: "NOT_MOUNTED", message: "gone" });
    };
    const plan = () => planOf([op.makeDir(host.path("new"))]);
    const error = await failure(
      host.engine.change({ command: "test", lockTimeoutMs: 0, plan, guard }),
    );
    expect(error.code).toBe("NOT_MOUNTED");
    expect(treeOf(host.path(""))).toEqual([]);
  });

  test("knows what it made", async () => {
    using host = createTestHost();
    await change(host.engine, [op.makeDir(host.path("d")), op.createLink(host.path("l"), "/one")]);
    await change(host.engine, [op.replaceLink(host.path("l"), "/one", "/two")]);
    const { state } = host.engine;
    expect([...state.ownedTargets(host.path("l"))].sort()).toEqual(["/one", "/two"]);
    expect(state.wasMadeByUs(host.path("d"))).toBe(true);
    expect(state.wasMadeByUs(host.path("other"))).toBe(false);
    expect(state.ownedPaths("link")).toEqual([host.path("l")]);
    expect(host.engine.history().map(({ id }) => id)).toEqual([2, 1]);
  });

  test("refuses a parent that is a symbolic link and names it", async () => {
    using host = createTestHost();
    fs.mkdirSync(host.path("real"));
    fs.symlinkSync("real", host.path("alias"));
    const error = await failure(change(host.engine, [op.makeDir(host.path("alias/x"))]));
    expect([error.code, error.path]).toEqual(["SYMLINK_IN_PATH", host.path("alias")]);
    expect(fs.readdirSync(host.path("real"))).toEqual([]);
  });
});
