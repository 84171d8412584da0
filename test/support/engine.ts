// An engine on a temporary host of its own: DIR is the root, state and locks lie below it as with --root.

import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { readlinkSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { absolutePath, joinPath, type AbsolutePath } from "../../src/core/index.ts";
import { systemClock } from "../../src/system/index.ts";
import {
  openEngine,
  type Engine,
  type EngineOptions,
  type Operation,
  type Plan,
} from "../../src/transaction/index.ts";

export interface TestHost extends Disposable {
  readonly root: AbsolutePath;
  readonly engine: Engine;
  readonly options: EngineOptions;
  path(relative: string): AbsolutePath;
}

/** A temporary host with an empty `data` directory for the test's trees. */
export function createTestHost(changes: Partial<EngineOptions> = {}): TestHost {
  const root = absolutePath(realpathSync(mkdtempSync(`${tmpdir()}/citadel-tx-`)));
  chmodSync(root, 0o755);
  mkdirSync(`${root}/data`);
  const options = engineOptionsFor(root, changes);
  const engine = openEngine(options);
  return {
    root,
    engine,
    options,
    path: (relative) => joinPath(root, "data", relative),
    [Symbol.dispose]: () => {
      engine[Symbol.dispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export function engineOptionsFor(
  root: AbsolutePath,
  changes: Partial<EngineOptions> = {},
): EngineOptions {
  return {
    root,
    stateDir: joinPath(root, "var/lib/citadel-agent"),
    runtimeDir: joinPath(root, "run/citadel-agent"),
    privileged: true,
    user: "tester",
    pid: process.pid,
    clock: systemClock,
    reserveBytes: 64 * 1024,
    ...changes,
  };
}

/** A plan of these operations and nothing else. */
export function planOf(operations: readonly Operation[], more: Partial<Plan> = {}): Plan {
  return {
    command: "test",
    operations,
    conflicts: [],
    unchanged: 0,
    onTheHost: [],
    warnings: [],
    ...more,
  };
}

/** Applies these operations as one transaction. */
export function change(engine: Engine, operations: readonly Operation[], more: Partial<Plan> = {}) {
  return engine.change({
    command: "test",
    lockTimeoutMs: 5000,
    plan: () => planOf(operations, more),
  });
}

/** Everything below `directory` as sorted lines: type, mode, owner, target or content. */
export function treeOf(directory: string): string[] {
  const lines: string[] = [];
  const walk = (path: Buffer, shown: string) => {
    const names = readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare);
    for (const bytes of names) {
      const full = Buffer.concat([path, Buffer.from("/"), bytes]);
      const name = bytes.toString("latin1");
      const stat = lstatSync(full);
      const owner = `${stat.uid}:${stat.gid}`;
      const mode = (stat.mode & 0o7777).toString(8);
      if (stat.isSymbolicLink()) lines.push(`l ${owner} ${shown}${name} -> ${readlinkSync(full)}`);
      else if (stat.isDirectory()) {
        lines.push(`d ${mode} ${owner} ${shown}${name}/`);
        walk(full, `${shown}${name}/`);
      } else if (stat.isFile()) {
        lines.push(`f ${mode} ${owner} ${shown}${name} ${readFileSync(full, "base64")}`);
      } else lines.push(`? ${shown}${name}`);
    }
  };
  walk(Buffer.from(directory), "");
  return lines;
}
