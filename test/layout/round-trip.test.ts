// Plan, apply and roll back on real trees, in one process: apply then rollback gives the first tree, and a second
// plan after apply is empty, whatever was damaged.

import { describe, expect, test } from "bun:test";
import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, unlinkSync } from "node:fs";
import { changeLayout } from "../../src/app/layout-change.ts";
import { openLayoutEngine } from "../../src/app/layout-engine.ts";
import { loadSettings } from "../../src/settings/index.ts";
import { createSystem } from "../../src/system/index.ts";
import { createLayoutRoot, type LayoutRoot } from "../support/layout-root.ts";

const lockTimeoutMs = 10_000;

function openApp(host: LayoutRoot) {
  const system = createSystem({ root: host.path });
  const quiet = { ...system, environment: { ...system.environment, variables: {} } };
  return { system: quiet, settings: loadSettings({ system: quiet }).settings };
}

async function apply(host: LayoutRoot, force = false) {
  const app = openApp(host);
  using engine = openLayoutEngine(app);
  const scope = { directories: true, links: true, files: true };
  const wish = { command: "setup", scope, manner: "strict", force } as const;
  return (await changeLayout(app, engine, wish, { lockTimeoutMs })).report;
}

async function rollBack(host: LayoutRoot, generation: number) {
  using engine = openLayoutEngine(openApp(host));
  return await engine.change({
    command: `rollback ${generation}`,
    plan: () => engine.planRollback(generation),
    lockTimeoutMs,
  });
}

function random(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
}

/** Breaks a dozen things: links removed, broken or looped; empty directories removed; modes changed. */
function damage(host: LayoutRoot, next: (below: number) => number): void {
  const paths = Object.keys(host.snapshot()).filter((path) => /citadel/.test(path));
  for (let round = 0; round < 12; round += 1) {
    const path = host.at(paths[next(paths.length)] as string);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (stat.isSymbolicLink()) {
      unlinkSync(path);
      const target = ["/gone", path, host.at("/etc")][next(4)];
      if (target !== undefined) symlinkSync(target, path);
    } else if (stat.isDirectory()) {
      if (next(2) === 0) chmodSync(path, [0o700, 0o777][next(2)] ?? 0o700);
      else rmSync(path, { recursive: true });
    }
  }
}

describe("apply and rollback", () => {
  test("setup, rolled back to generation 0, leaves the first tree", async () => {
    using host = createLayoutRoot();
    mkdirSync(host.at("/opt"));
    const first = host.snapshot();
    expect((await apply(host)).generation).toBe(1);
    expect(Object.keys(host.snapshot()).length).toBeGreaterThan(50);
    expect((await rollBack(host, 0)).outcome).toBe("applied");
    expect(host.snapshot()).toEqual(first);
  });

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`a damaged tree is mended, then rolled back to what it was (seed ${seed})`, async () => {
      using host = createLayoutRoot();
      await apply(host);
      const good = host.snapshot();
      damage(host, random(seed));
      const damaged = host.snapshot();
      const report = await apply(host, true);
      expect(report.outcome).toBe("applied");
      expect(host.snapshot()).toEqual(good);
      expect((await apply(host)).outcome).toBe("nothing");
      const back = await rollBack(host, 1);
      expect(back.outcome).toBe("applied");
      expect(host.snapshot()).toEqual(damaged);
    });
  }
});
