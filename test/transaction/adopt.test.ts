import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { absolutePath, CitadelError, type AbsolutePath } from "../../src/core/index.ts";
import { change, createTestHost, treeOf, type TestHost } from "../support/engine.ts";
import * as op from "../support/operations.ts";
import type { Operation } from "../../src/transaction/index.ts";

function adopt(path: AbsolutePath, to: AbsolutePath, more: Partial<Operation> = {}): Operation {
  return {
    op: "adopt",
    path,
    to,
    why: "a directory stands where a link belongs",
    before: { type: "directory" },
    after: { type: "link", target: to },
    ...more,
  };
}

/** A tree with every sort of entry at `original`, and a target that shares some of it. */
function furnish(host: TestHost, target: string): void {
  const at = (name: string) => host.path(`original/${name}`);
  fs.mkdirSync(at("sub/deeper"), { recursive: true });
  fs.writeFileSync(at("one"), "one", { mode: 0o640 });
  fs.writeFileSync(at("sub/two"), "two");
  fs.writeFileSync(at("sub/deeper/three"), Buffer.alloc(300_000, 7));
  fs.symlinkSync("../one", at("sub/link"));
  fs.writeFileSync(Buffer.concat([Buffer.from(`${at("sub")}/`), Buffer.from([0x66, 0xff])]), "raw");
  fs.mkdirSync(at("empty"), { mode: 0o700 });
  fs.writeFileSync(at("shared"), "equal");
  fs.mkdirSync(`${target}/sub`, { recursive: true });
  fs.writeFileSync(`${target}/shared`, "equal");
  fs.writeFileSync(`${target}/sub/own`, "the target's own");
}

const names = (directory: string) =>
  treeOf(directory).map((line) => line.replace(/^(.) (\d+ )?\d+:\d+ /, "$1 "));

async function failure(promise: Promise<unknown>): Promise<CitadelError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(CitadelError);
  return thrown as CitadelError;
}

describe.each(["same file system", "another file system"])("adopt on the %s", (where) => {
  function hostWithTarget() {
    if (where === "same file system") {
      const host = createTestHost();
      fs.mkdirSync(host.path("target"));
      return { host, target: host.path("target"), [Symbol.dispose]: () => host[Symbol.dispose]() };
    }
    const host = createTestHost({ root: absolutePath("/") });
    const target = absolutePath(fs.mkdtempSync("/dev/shm/citadel-adopt-"));
    return {
      host,
      target,
      [Symbol.dispose]: () => {
        host[Symbol.dispose]();
        fs.rmSync(target, { recursive: true, force: true });
      },
    };
  }

  test("moves the content into the target, puts the link in place, deletes the original", async () => {
    using world = hostWithTarget();
    const { host, target } = world;
    furnish(host, target);
    const report = await change(host.engine, [adopt(host.path("original"), target)]);
    expect(report.outcome).toBe("applied");
    expect(report.kept).toEqual([]);
    expect(fs.readlinkSync(host.path("original"))).toBe(target);
    expect(fs.readFileSync(host.path("original/sub/two"), "utf8")).toBe("two");
    expect(fs.statSync(`${target}/one`).mode & 0o777).toBe(0o640);
    expect(fs.statSync(`${target}/empty`).mode & 0o777).toBe(0o700);
    expect(fs.readlinkSync(`${target}/sub/link`)).toBe("../one");
    expect(fs.readFileSync(`${target}/sub/own`, "utf8")).toBe("the target's own");
    expect(fs.readdirSync(`${target}/sub`, { encoding: "buffer" }).length).toBe(5);
    const left = fs.readdirSync(host.path("")).filter((name) => name.startsWith(".citadel"));
    expect(left).toEqual([]);
    expect(host.engine.state.ownedTargets(host.path("original"))).toEqual([target]);
  });

  test("an error after it puts everything back as it was", async () => {
    using world = hostWithTarget();
    const { host, target } = world;
    furnish(host, target);
    const before = [treeOf(host.path("original")), treeOf(target)];
    const fails = op.writeFile(host.path("last"), "x", { verifyCommand: ["false"] });
    const error = await failure(change(host.engine, [adopt(host.path("original"), target), fails]));
    expect([error.code, error.details["open"]]).toEqual(["CONTENT_REFUSED", false]);
    expect([treeOf(host.path("original")), treeOf(target)]).toEqual(before);
    const left = fs.readdirSync(host.path("")).filter((name) => name.startsWith(".citadel"));
    expect(left).toEqual([]);
  });

  test("refuses the same name with different content and touches nothing", async () => {
    using world = hostWithTarget();
    const { host, target } = world;
    furnish(host, target);
    fs.writeFileSync(`${target}/one`, "ONE");
    const before = [names(host.path("original")), names(target)];
    const error = await failure(change(host.engine, [adopt(host.path("original"), target)]));
    expect([error.code, error.path]).toEqual(["ADOPT_CONFLICT", host.path("original/one")]);
    expect([names(host.path("original")), names(target)]).toEqual(before);
  });

  test("adopts a single file under its own name", async () => {
    using world = hostWithTarget();
    const { host, target } = world;
    fs.writeFileSync(host.path("file"), "content");
    const operation = adopt(host.path("file"), target, { before: { type: "file" } });
    await change(host.engine, [operation]);
    expect(fs.readlinkSync(host.path("file"))).toBe(target);
    expect(fs.readFileSync(`${target}/file`, "utf8")).toBe("content");
  });
});

test("adopt refuses a tree with a FIFO", async () => {
  using host = createTestHost();
  fs.mkdirSync(host.path("original"));
  fs.mkdirSync(host.path("target"));
  Bun.spawnSync(["mkfifo", host.path("original/pipe")]);
  const error = await failure(
    change(host.engine, [adopt(host.path("original"), host.path("target"))]),
  );
  expect(error.code).toBe("ADOPT_CONFLICT");
});

test("adopt keeps what changed after it was moved, under a visible name", async () => {
  using host = createTestHost();
  fs.mkdirSync(host.path("original"));
  fs.mkdirSync(host.path("target"));
  fs.writeFileSync(host.path("original/a"), "a");
  const report = await host.engine.change({
    command: "test",
    lockTimeoutMs: 0,
    plan: () => ({
      command: "test",
      operations: [adopt(host.path("original"), host.path("target"))],
      conflicts: [],
      unchanged: 0,
      onTheHost: [],
      warnings: [],
    }),
    // Between the exchange and the commit: the original is at its temporary name now.
    onStep: () => {
      const aside = fs.readdirSync(host.path("")).find((name) => name.startsWith(".citadel"));
      fs.writeFileSync(host.path(`${aside}/late`), "late");
    },
  });
  expect(report.outcome).toBe("applied");
  expect(report.kept.length).toBe(1);
  const visible = fs.readdirSync(host.path("")).find((name) => name.includes("not-adopted"));
  expect(fs.readFileSync(host.path(`${visible}/late`), "utf8")).toBe("late");
});
