// Other processes at work on the same paths: a reader in a tight loop, a second writer, an owner who swaps a parent
// directory for a link.

import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { absolutePath, CitadelError } from "../../src/core/index.ts";
import { change, createTestHost, planOf, type TestHost } from "../support/engine.ts";
import * as op from "../support/operations.ts";

/** Starts a program; `finish` ends it by its stop file and gives what it printed. */
function startProgram(host: TestHost, source: string) {
  const stop = `${host.root}/stop`;
  const program = `
    import * as fs from "node:fs";
    const stopped = () => fs.existsSync(${JSON.stringify(stop)});
    const data = ${JSON.stringify(host.path(""))};
    console.log("ready");
    ${source}`;
  const file = `${host.root}/program-${Math.random().toString(36).slice(2)}.ts`;
  fs.writeFileSync(file, program);
  const child = Bun.spawn([process.execPath, file], { stdout: "pipe", stderr: "inherit" });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  return {
    ready: async () => decoder.decode((await reader.read()).value).trim(),
    finish: async () => {
      fs.writeFileSync(stop, "");
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += decoder.decode(value);
      }
      await child.exited;
      return JSON.parse(text.trim().split("\n").at(-1) ?? "{}") as Record<string, number>;
    },
  };
}

test("a reader never finds a link missing while it is replaced 10,000 times", async () => {
  using host = createTestHost();
  fs.writeFileSync(host.path("one"), "1");
  fs.writeFileSync(host.path("two"), "2");
  fs.symlinkSync("one", host.path("link"));
  const reader = startProgram(
    host,
    `let opens = 0, failed = 0;
     while (!stopped()) for (let i = 0; i < 200; i++) {
       try { fs.closeSync(fs.openSync(data + "/link", "r")); opens++; } catch { failed++; }
     }
     console.log(JSON.stringify({ opens, failed }));`,
  );
  expect(await reader.ready()).toBe("ready");
  const names = ["one", "two"];
  const operations = Array.from({ length: 10_000 }, (_, at) =>
    op.replaceLink(host.path("link"), names[at % 2] ?? "", names[(at + 1) % 2] ?? ""),
  );
  const report = await change(host.engine, operations);
  expect(report.outcome).toBe("applied");
  const { opens, failed } = await reader.finish();
  expect(failed).toBe(0);
  expect(opens).toBeGreaterThan(100);
}, 120_000);

test("two writers at once: under the lock the links are always those of one of them", async () => {
  using host = createTestHost();
  const names = Array.from({ length: 12 }, (_, at) => `link${at}`);
  for (const name of names) fs.symlinkSync("/first", host.path(name));
  const source = `
    const { openEngine } = await import(${JSON.stringify(`${import.meta.dir}/../../src/transaction/index.ts`)});
    const { engineOptionsFor, planOf } = await import(${JSON.stringify(`${import.meta.dir}/../support/engine.ts`)});
    const { replaceLink } = await import(${JSON.stringify(`${import.meta.dir}/../support/operations.ts`)});
    const mine = "/of-" + process.pid;
    let applied = 0, locked = 0, mixed = 0, failed = 0;
    for (let round = 0; round < 60; round++) {
      try {
        using engine = openEngine(engineOptionsFor(${JSON.stringify(host.root)}));
        const plan = () => {
          const found = ${JSON.stringify(names)}.map((name) => [data + "/" + name, fs.readlinkSync(data + "/" + name)]);
          if (new Set(found.map(([, target]) => target)).size > 1) mixed++;
          return planOf(found.filter(([, t]) => t !== mine).map(([path, target]) => replaceLink(path, target, mine)));
        };
        await engine.change({ command: "writer", lockTimeoutMs: 2000, plan });
        applied++;
      } catch (thrown) { if (thrown.code === "LOCKED") locked++; else { failed++; console.error(thrown); } }
    }
    console.log(JSON.stringify({ applied, locked, mixed, failed }));`;
  const writers = [startProgram(host, source), startProgram(host, source)];
  await Promise.all(writers.map((writer) => writer.ready()));
  for (const result of await Promise.all(writers.map((writer) => writer.finish()))) {
    expect([result["mixed"], result["failed"]]).toEqual([0, 0]);
    expect((result["applied"] ?? 0) + (result["locked"] ?? 0)).toBe(60);
    expect(result["applied"]).toBeGreaterThan(0);
  }
  expect(new Set(names.map((name) => fs.readlinkSync(host.path(name)))).size).toBe(1);
}, 120_000);

test("a parent swapped for a link in a loop never leads a change elsewhere", async () => {
  using host = createTestHost();
  const victim = host.path("victim");
  fs.mkdirSync(victim, { mode: 0o755 });
  fs.mkdirSync(host.path("parent/sub"), { recursive: true });
  const swapper = startProgram(
    host,
    `let swaps = 0;
     while (!stopped()) {
       fs.renameSync(data + "/parent", data + "/parent.real");
       fs.symlinkSync(data + "/victim", data + "/parent");
       fs.unlinkSync(data + "/parent");
       fs.renameSync(data + "/parent.real", data + "/parent");
       swaps++;
     }
     console.log(JSON.stringify({ swaps }));`,
  );
  expect(await swapper.ready()).toBe("ready");
  const outcomes = new Map<string, number>();
  // as long as it takes until both was met: a change that came through, and one that was stopped
  const isEnough = () => (outcomes.get("applied") ?? 0) > 0 && outcomes.size > 1;
  for (let round = 0; round < 150 || (round < 5000 && !isEnough()); round += 1) {
    const base = `parent/d${round}`;
    let outcome = "applied";
    try {
      await change(host.engine, [
        op.makeDir(host.path(base), 0o777),
        op.createLink(host.path(`${base}/link`), "/x"),
        op.writeFile(host.path(`parent/f${round}`), "x"),
      ]);
    } catch (thrown) {
      outcome = (thrown as CitadelError).code;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  const { swaps } = await swapper.finish();
  expect(swaps).toBeGreaterThan(10);
  expect(fs.readdirSync(victim)).toEqual([]);
  expect(fs.statSync(victim).mode & 0o777).toBe(0o755);
  expect(isEnough()).toBe(true);
}, 120_000);

describe.skipIf(process.getuid?.() !== 0)("a journal that cannot be written", () => {
  async function withState(
    call: (host: TestHost, remount: (how: string) => void) => Promise<void>,
  ) {
    using host = createTestHost();
    const { stateDir } = host.options;
    fs.mkdirSync(stateDir, { recursive: true });
    const tmpfs = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", stateDir];
    if (Bun.spawnSync(tmpfs).exitCode !== 0) return console.log("skipped: mount is not allowed");
    try {
      await call(host, (how) => {
        Bun.spawnSync(["mount", "-o", `remount,${how}`, stateDir]);
      });
    } finally {
      host.engine[Symbol.dispose]();
      Bun.spawnSync(["umount", "-l", stateDir]);
    }
  }

  test("read-only: single creates and renames go on, the rest is refused, and it is merged later", () =>
    withState(async (host, remount) => {
      await change(host.engine, [op.createLink(host.path("l"), "/one")]);
      host.engine[Symbol.dispose]();
      remount("ro");
      const report = await change(host.engine, [op.replaceLink(host.path("l"), "/one", "/two")]);
      expect([report.outcome, report.fallback, report.generation]).toEqual(["applied", true, 2]);
      expect([...host.engine.state.ownedTargets(host.path("l"))].sort()).toEqual(["/one", "/two"]);
      expect(host.engine.state.generation).toBe(2);
      const refused = await change(host.engine, [op.removeLink(host.path("l"), "/two")]).then(
        () => undefined,
        (thrown: CitadelError) => thrown,
      );
      expect([refused?.kind, refused?.code]).toEqual(["read-only", "DATABASE_READ_ONLY"]);
      expect(fs.readlinkSync(host.path("l"))).toBe("/two");
      host.engine[Symbol.dispose]();
      remount("rw");
      await change(host.engine, [op.createLink(host.path("m"), "/three")]);
      expect(host.engine.history().map(({ id }) => id)).toEqual([3, 2, 1]);
      expect(fs.existsSync(`${host.options.runtimeDir}/journal-fallback.db`)).toBe(false);
      expect(host.engine.state.ownedTargets(host.path("l")).length).toBe(2);
    }));

  test("full: repairs go on in the journal that was grown beforehand", () =>
    withState(async (host) => {
      await change(host.engine, [op.createLink(host.path("l"), "/0")]);
      host.engine[Symbol.dispose]();
      expect(() =>
        fs.writeFileSync(`${host.options.stateDir}/fill`, Buffer.alloc(8_000_000)),
      ).toThrow();
      for (let at = 0; at < 8; at += 1) {
        const step = op.replaceLink(host.path("l"), `/${at}`, `/${at + 1}`);
        const report = await change(host.engine, [step]);
        expect(report.outcome).toBe("applied");
      }
      expect(host.engine.state.generation).toBe(9);
    }));
});

test.skipIf(process.getuid?.() !== 0 || Bun.which("mkfs.btrfs") === null)(
  "a full copy-on-write disk gives up its ballast, and changes go on in the journal",
  async () => {
    using host = createTestHost();
    const { stateDir } = host.options;
    const sh = (script: string) => Bun.spawnSync(["sh", "-c", script]).exitCode;
    fs.mkdirSync(stateDir, { recursive: true });
    const image = `${host.root}/image`;
    const mount = `truncate -s 150M ${image} && mkfs.btrfs -qf ${image} && mount -o loop ${image} ${stateDir}`;
    if (sh(mount) !== 0) return console.log("skipped: btrfs cannot be mounted here");
    try {
      fs.chmodSync(stateDir, 0o700);
      await change(host.engine, [op.createLink(host.path("l"), "/0")]);
      host.engine[Symbol.dispose]();
      expect(fs.existsSync(`${stateDir}/journal.db.ballast`)).toBe(true);
      sh(
        `dd if=/dev/urandom of=${stateDir}/big bs=1M; dd if=/dev/urandom of=${stateDir}/small bs=4k; sync`,
      );
      for (let at = 0; at < 4; at += 1) {
        const step = op.replaceLink(host.path("l"), `/${at}`, `/${at + 1}`);
        expect((await change(host.engine, [step])).outcome).toBe("applied");
      }
      expect(host.engine.state.problem).toBeUndefined();
      expect(host.engine.state.generation).toBe(5);
    } finally {
      host.engine[Symbol.dispose]();
      sh(`umount -l ${stateDir}`);
    }
  },
  60_000,
);

test("an interrupted command undoes what it did and reports it as cancelled", async () => {
  using host = createTestHost();
  const controller = new AbortController();
  const operations = Array.from({ length: 3000 }, (_, at) =>
    op.createLink(absolutePath(host.path(`l${at}`)), "/x"),
  );
  const running = host.engine.change({
    command: "test",
    lockTimeoutMs: 0,
    plan: () => planOf(operations),
    signal: controller.signal,
    onStep: (step) => {
      if (step.seq === 1500) controller.abort();
    },
  });
  const thrown = (await running.catch((error: unknown) => error)) as CitadelError;
  expect(thrown.kind).toBe("cancelled");
  expect(fs.readdirSync(host.path(""))).toEqual([]);
  expect(host.engine.state.pending).toBeNull();
});
