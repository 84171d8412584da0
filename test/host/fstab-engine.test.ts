// Every fstab of the corpus through the whole way: plan, apply, apply again (nothing), roll back (byte for byte).

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { discoverHost, planTune } from "../../src/host/index.ts";
import { createHostPaths, readEnvironment, systemClock } from "../../src/system/index.ts";
import { openEngine, type Engine, type Plan } from "../../src/transaction/index.ts";
import { corpus } from "./fstab-corpus.ts";

let base: string;
beforeAll(() => {
  base = mkdtempSync(`${tmpdir()}/citadel-fstab-engine-`);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

async function planFor(root: string): Promise<Plan> {
  const hostPaths = createHostPaths(root);
  const { real } = hostPaths;
  const roots = { models: real("/mnt/citadel-models"), backup: real("/mnt/citadel-backup") };
  const facts = await discoverHost({ hostPaths, environment: readEnvironment() }, { roots });
  return planTune(facts, {
    profile: "safe",
    remountNow: false,
    paths: { real, missingAbove: () => [] },
  }).plan;
}

function engineFor(root: string): Engine {
  const hostPaths = createHostPaths(root);
  return openEngine({
    root: hostPaths.root,
    stateDir: hostPaths.real("/var/lib/citadel-agent"),
    runtimeDir: hostPaths.runtimeDir,
    privileged: true,
    user: "test",
    pid: process.pid,
    clock: systemClock,
  });
}

describe("plan, apply, apply again, roll back", () => {
  test.each(corpus.map((file, at) => [file.name, file, at] as const))(
    "%s",
    async (_name, file, at) => {
      const root = `${base}/${at}`;
      mkdirSync(`${root}/etc`, { recursive: true });
      const before = Buffer.from(file.text);
      writeFileSync(`${root}/etc/fstab`, before, { mode: 0o640 });
      const read = () => readFileSync(`${root}/etc/fstab`);
      using engine = engineFor(root);
      const apply = () =>
        engine.change({ command: "tune apply", plan: () => planFor(root), lockTimeoutMs: 1000 });

      const first = await apply();
      if (file.refused !== undefined) {
        expect(first.plan.conflicts.map(({ code }) => code)).toEqual([file.refused]);
        expect(Buffer.compare(read(), before)).toBe(0);
        return;
      }
      const changes = file.models !== undefined && file.settled !== true;
      const written = first.plan.operations.some(({ op }) => op === "write_file");
      // The NFS file changes for its backup entry alone; without an entry of ours nothing is written at all.
      expect(written).toBe(changes);
      if (file.settled === true) expect(first.generation).toBeNull();
      if (written) {
        expect(Buffer.compare(read(), before)).not.toBe(0);
        expect(statSync(`${root}/etc/fstab`).mode & 0o777).toBe(0o640);
        const copies = readdirSync(`${root}/etc`).filter((name) =>
          name.startsWith("fstab.citadel-"),
        );
        expect(copies).toHaveLength(1);
        expect(Buffer.compare(readFileSync(`${root}/etc/${copies[0]}`), before)).toBe(0);
      }
      const after = read();
      const second = await apply();
      expect(second.outcome).toBe("nothing");
      expect(Buffer.compare(read(), after)).toBe(0);

      const applied = engine.history().map(({ id }) => id);
      await engine.change({
        command: "tune rollback",
        plan: () => engine.planUndoOf("tune rollback", applied),
        lockTimeoutMs: 1000,
      });
      expect(Buffer.compare(read(), before)).toBe(0);
    },
  );
});
