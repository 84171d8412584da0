// Random trees and random plans: apply then rollback gives the first tree, an error in the middle too, and a second
// run of the same plan finds nothing to do. The seed is fixed; set CITADEL_TEST_SEED for another.

import { expect, setDefaultTimeout, test } from "bun:test";
import * as fs from "node:fs";
import type { AbsolutePath } from "../../src/core/index.ts";
import type { Operation } from "../../src/transaction/index.ts";
import { change, createTestHost, treeOf, type TestHost } from "../support/engine.ts";
import * as op from "../support/operations.ts";

setDefaultTimeout(60_000); // several runs of the program each, on machines that may be busy

const seed = Number(process.env["CITADEL_TEST_SEED"] ?? 20260101);

/** mulberry32: small, and the same on every machine. */
function createRandom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Random = ReturnType<typeof createRandom>;

/** What the test knows to be at each path, so that it can plan steps that are possible. */
type Known = Map<AbsolutePath, "dir" | `link ${string}` | `file ${string}`>;

function furnish(host: TestHost, random: Random): Known {
  const known: Known = new Map([[host.path(""), "dir"]]);
  for (let at = 0; at < 12; at += 1) {
    const path = freePath(known, random);
    const kind = random(3);
    if (kind === 0) fs.mkdirSync(path);
    if (kind === 1) fs.symlinkSync(`/t${at}`, path);
    if (kind === 2) fs.writeFileSync(path, `c${at}`);
    known.set(path, kind === 0 ? "dir" : kind === 1 ? `link /t${at}` : `file c${at}`);
  }
  return known;
}

function pick(known: Known, random: Random, prefix: string): AbsolutePath | undefined {
  const paths = [...known].filter(([, what]) => what.startsWith(prefix)).map(([path]) => path);
  return paths[random(Math.max(1, paths.length))];
}

function freePath(known: Known, random: Random): AbsolutePath {
  const parent = pick(known, random, "dir");
  return `${parent}/n${random(1_000_000)}` as AbsolutePath;
}

function randomStep(known: Known, random: Random, host: TestHost): Operation | undefined {
  const fresh = freePath(known, random);
  const link = pick(known, random, "link ");
  const file = pick(known, random, "file ");
  const directory = pick(known, random, "dir");
  const text = String(random(1000));
  const targetOf = (path: AbsolutePath) => (known.get(path) ?? "").slice(5);
  switch (random(9)) {
    case 0:
      known.set(fresh, "dir");
      return op.makeDir(fresh, 0o700 + random(64));
    case 1:
      known.set(fresh, `link /n${text}`);
      return op.createLink(fresh, `/n${text}`);
    case 2: {
      if (link === undefined) return undefined;
      const from = targetOf(link);
      known.set(link, `link /r${text}`);
      return op.replaceLink(link, from, `/r${text}`);
    }
    case 3: {
      if (link === undefined) return undefined;
      const target = targetOf(link);
      known.delete(link);
      return op.removeLink(link, target);
    }
    case 4:
      known.set(fresh, `file ${text}`);
      return op.writeFile(fresh, text);
    case 5:
      if (file === undefined) return undefined;
      known.set(file, `file ${text}`);
      return op.writeFile(file, text, { before: { type: "file" } });
    case 6:
      if (file === undefined) return undefined;
      known.delete(file);
      return op.removeFile(file);
    case 7: {
      const isEmpty = ![...known.keys()].some((path) => path.startsWith(`${directory}/`));
      if (directory === undefined || directory === host.path("") || !isEmpty) return undefined;
      known.delete(directory);
      return op.removeDir(directory);
    }
    default:
      if (file === undefined) return undefined;
      known.set(fresh, known.get(file) ?? "dir");
      known.delete(file);
      return op.moveAside(file, fresh, { type: "file" });
  }
}

test.each(Array.from({ length: 25 }, (_, at) => seed + at))(
  "apply then rollback gives the first tree (seed %d)",
  async (start) => {
    using host = createTestHost();
    const random = createRandom(start);
    const known = furnish(host, random);
    const first = treeOf(host.path(""));
    const plans = Array.from({ length: 3 }, () =>
      Array.from({ length: 1 + random(12) }, () => randomStep(known, random, host)).filter(
        (step) => step !== undefined,
      ),
    );
    const fails = op.writeFile(host.path("fails"), "x", { verifyCommand: ["false"] });
    for (const operations of plans) {
      const before = treeOf(host.path(""));
      await expect(change(host.engine, [...operations, fails])).rejects.toThrow();
      expect(treeOf(host.path(""))).toEqual(before);
      if (operations.length > 0) await change(host.engine, operations);
    }
    const report = await host.engine.change({
      command: "rollback 0",
      lockTimeoutMs: 0,
      plan: () => host.engine.planRollback(0),
    });
    expect(report.plan.conflicts).toEqual([]);
    expect(treeOf(host.path(""))).toEqual(first);
    // Joining is only possible where nothing was moved; then the second plan is empty.
    const moves = plans.flat().some((step) => step.op === "move_aside");
    if (!moves) expect(host.engine.planRollback(0).operations).toEqual([]);
  },
);
