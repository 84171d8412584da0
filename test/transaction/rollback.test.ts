import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { CitadelError } from "../../src/core/index.ts";
import { change, createTestHost, treeOf, type TestHost } from "../support/engine.ts";
import type { Operation } from "../../src/transaction/index.ts";
import * as op from "../support/operations.ts";

const rollback = (host: TestHost, generation: number) =>
  host.engine.change({
    command: `rollback ${generation}`,
    lockTimeoutMs: 0,
    plan: () => host.engine.planRollback(generation),
  });

function code(call: () => unknown): string {
  try {
    call();
  } catch (thrown) {
    return (thrown as CitadelError).code;
  }
  return "nothing was thrown";
}

describe("planRollback", () => {
  test("goes back to any generation, and forward again by going back from the rollback", async () => {
    using host = createTestHost();
    const trees = [treeOf(host.path(""))];
    const notes = [{}];
    const next = async (...operations: Parameters<typeof change>[1]) => {
      await change(host.engine, operations, { annotations: { at: trees.length } });
      trees.push(treeOf(host.path("")));
      notes.push({ at: trees.length - 1 });
    };
    await next(op.makeDir(host.path("d")), op.createLink(host.path("d/l"), "/one"));
    await next(op.replaceLink(host.path("d/l"), "/one", "/two"), op.writeFile(host.path("f"), "1"));
    await next(
      op.removeLink(host.path("d/l"), "/two"),
      op.writeFile(host.path("f"), "2", { before: { type: "file" } }),
    );
    for (const generation of [2, 1, 0, 3, 0, 2]) {
      expect((await rollback(host, generation)).plan.conflicts).toEqual([]);
      expect(treeOf(host.path(""))).toEqual(trees[generation] ?? []);
      expect(host.engine.state.latestAnnotations()).toEqual(notes[generation] ?? {});
      expect(host.engine.planRollback(generation).operations).toEqual([]);
    }
  });

  test("joins the changes of one link into one step", async () => {
    using host = createTestHost();
    await change(host.engine, [op.createLink(host.path("l"), "/1")]);
    await change(host.engine, [op.replaceLink(host.path("l"), "/1", "/2")]);
    await change(host.engine, [op.removeLink(host.path("l"), "/2")]);
    await change(host.engine, [op.createLink(host.path("l"), "/3")]);
    const { operations } = host.engine.planRollback(1);
    expect(operations.map(({ op: kind }) => kind)).toEqual(["replace_link"]);
    expect(operations[0]?.after).toMatchObject({ target: "/1" });
  });

  test("gives back a stranger's link that the newest generation replaced", async () => {
    using host = createTestHost();
    const link = host.path("l");
    await change(host.engine, [op.createLink(link, "/ours")]);
    fs.unlinkSync(link);
    fs.symlinkSync("/stranger", link);
    await change(host.engine, [op.replaceLink(link, "/stranger", "/ours")]);
    await rollback(host, 1);
    expect(fs.readlinkSync(link)).toBe("/stranger");
  });

  test("a directory that holds something is a conflict, and nothing is touched", async () => {
    using host = createTestHost();
    await change(host.engine, [op.makeDir(host.path("d")), op.createLink(host.path("l"), "/x")]);
    fs.writeFileSync(host.path("d/model.bin"), "precious");
    const before = treeOf(host.path(""));
    const report = await rollback(host, 0);
    expect(report.outcome).toBe("conflicts");
    expect(report.plan.conflicts[0]).toMatchObject({
      path: host.path("d"),
      code: "ROLLBACK_NOT_OURS",
    });
    expect(report.plan.conflicts[0]?.message).toContain("model.bin");
    expect(treeOf(host.path(""))).toEqual(before);
  });

  test("a link or file that someone else changed is a conflict", async () => {
    using host = createTestHost();
    await change(host.engine, [
      op.createLink(host.path("l"), "/ours"),
      op.writeFile(host.path("f"), "ours"),
    ]);
    fs.unlinkSync(host.path("l"));
    fs.symlinkSync("/theirs", host.path("l"));
    fs.writeFileSync(host.path("f"), "theirs");
    const { conflicts, operations } = host.engine.planRollback(0);
    expect(conflicts.map(({ path }) => path).sort()).toEqual([host.path("f"), host.path("l")]);
    expect(operations).toEqual([]);
  });

  test("what is gone already needs no step", async () => {
    using host = createTestHost();
    await change(host.engine, [op.createLink(host.path("l"), "/ours")]);
    fs.unlinkSync(host.path("l"));
    expect(host.engine.planRollback(0)).toMatchObject({
      operations: [],
      conflicts: [],
      unchanged: 1,
    });
  });

  test("refuses generations that do not exist or are no longer kept", async () => {
    using host = createTestHost({ keepGenerations: 2 });
    for (let at = 0; at < 4; at += 1) {
      await change(host.engine, [op.createLink(host.path(`l${at}`), "/x")]);
    }
    expect(host.engine.history().map(({ id }) => id)).toEqual([4, 3]);
    expect(code(() => host.engine.planRollback(5))).toBe("GENERATION_UNKNOWN");
    expect(code(() => host.engine.planRollback(0))).toBe("ROLLBACK_TOO_OLD");
    expect(host.engine.planRollback(2).operations.length).toBe(2);
    // What is ours outlives the history of how it came.
    expect(host.engine.state.ownedTargets(host.path("l0"))).toEqual(["/x"]);
  });

  test("refuses to go past a damaged journal, which is set aside", async () => {
    using host = createTestHost();
    await change(host.engine, [op.createLink(host.path("l"), "/x")]);
    host.engine[Symbol.dispose]();
    const journal = `${host.options.stateDir}/journal.db`;
    fs.writeFileSync(journal, Buffer.alloc(20_000, 0x5a));
    fs.writeFileSync(`${journal}-wal`, "");
    expect(host.engine.state.problem?.code).toBe("DATABASE_DAMAGED");
    const report = await change(host.engine, [op.createLink(host.path("m"), "/y")]);
    expect(report.setAside).toContain("journal.db.damaged-");
    expect(code(() => host.engine.planRollback(0))).toBe("ROLLBACK_PAST_DAMAGE");
    expect(fs.readlinkSync(host.path("l"))).toBe("/x");
  });
});

test("commands that only tell a daemon to read its files again are not taken for each other's reverse", async () => {
  using host = createTestHost();
  const heard = host.path("heard");
  const tell = (apply: readonly string[], undo: readonly string[]): Operation => ({
    op: "run_command",
    path: host.path("ear"),
    why: "it reads the file again",
    before: { type: "external", value: "loaded" },
    after: { type: "external", value: "loaded" },
    command: { apply, undo, timeoutMs: 5000 },
  });
  const reload = ["cp", host.path("f"), heard];
  fs.writeFileSync(host.path("f"), "before");
  await change(host.engine, [
    tell(["true"], reload),
    op.writeFile(host.path("f"), "after", { before: { type: "file" } }),
    tell(reload, ["true"]),
  ]);
  expect(fs.readFileSync(heard, "utf8")).toBe("after");
  await rollback(host, 0);
  expect(fs.readFileSync(host.path("f"), "utf8")).toBe("before");
  expect(fs.readFileSync(heard, "utf8")).toBe("before");
});
