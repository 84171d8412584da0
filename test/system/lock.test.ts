import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { absolutePath, CitadelError, type AbsolutePath } from "../../src/core/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { acquireLock, isLockHeld, readLockHolder, tryLock } from "../../src/system/lock.ts";

let directory: AbsolutePath;
beforeEach(() => {
  const made = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-lock-`));
  directory = absolutePath(`${made}/run`);
});
const children: { kill(signal: "SIGKILL"): void }[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  fs.rmSync(`${directory}/..`, { recursive: true, force: true });
});

const options = (more: object = {}) => ({
  directory,
  domain: "host" as const,
  command: "links create",
  timeoutMs: 0,
  clock: systemClock,
  ...more,
});

async function failure(promise: Promise<unknown>): Promise<CitadelError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(CitadelError);
  return thrown as CitadelError;
}

/** Another process that takes the lock, says so, and waits to be killed. */
async function holdInChild(program: string) {
  const source = `
    import { tryLock } from "${import.meta.dir}/../../src/system/lock.ts";
    const options = { directory: ${JSON.stringify(directory)}, domain: "host", command: "repair", clock: Date };
    const lock = tryLock({ ...options, clock: { nowMs: () => Date.now() } });
    ${program}
    console.log(lock === undefined ? "refused" : "held");
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdout: "pipe", stderr: "ignore" });
  children.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value).trim()).toBe("held");
  return child;
}

describe("locks", () => {
  test("a second one waits, then fails with pid, time and command of the first", async () => {
    using _first = await acquireLock(options());
    const error = await failure(acquireLock(options({ timeoutMs: 30, command: "repair" })));
    expect([error.kind, error.code]).toEqual(["locked", "LOCKED"]);
    expect(error.message).toContain(`process ${process.pid} (links create, since 20`);
    expect(error.details["pid"]).toBe(process.pid);
  });

  test("are free again after release", async () => {
    (await acquireLock(options())).release();
    using _again = await acquireLock(options());
    expect(isLockHeld(directory, "host")).toBe(true);
    expect(isLockHeld(directory, "daemon")).toBe(false);
  });

  test("of different domains do not meet", async () => {
    using _host = await acquireLock(options());
    using _store = await acquireLock(options({ domain: "store" }));
    using _backup = await acquireLock(options({ domain: "backup-active" }));
    expect(fs.readdirSync(directory).filter((name) => name.endsWith(".lock")).length).toBe(3);
  });

  test("shared ones exclude only exclusive ones", async () => {
    const shared = options({ domain: "snapshot-1", shared: true });
    using first = await acquireLock(shared);
    using _second = await acquireLock(shared);
    expect(tryLock(options({ domain: "snapshot-1" }))).toBeUndefined();
    first.release();
    expect(tryLock(options({ domain: "snapshot-1" }))).toBeUndefined();
  });

  test("are released by the kernel when their owner is killed", async () => {
    const child = await holdInChild("");
    expect(tryLock(options())).toBeUndefined();
    expect(readLockHolder(directory, "host")).toMatchObject({ pid: child.pid, command: "repair" });
    child.kill("SIGKILL");
    await child.exited;
    expect(readLockHolder(directory, "host")).toBeUndefined();
    using _lock = await acquireLock(options());
    expect(readLockHolder(directory, "host")?.pid).toBe(process.pid);
  });

  test("survive garbage collection although nothing refers to them", async () => {
    const child = await holdInChild("const kept = []; Bun.gc(true); Bun.gc(true);");
    expect(tryLock(options())).toBeUndefined();
    child.kill("SIGKILL");
    await child.exited;
  });

  test("a waiting one gets the lock when it is released", async () => {
    const first = await acquireLock(options());
    const second = acquireLock(options({ timeoutMs: 10_000 }));
    first.release();
    (await second).release();
  });

  test("an abort ends the wait", async () => {
    using _first = await acquireLock(options());
    const controller = new AbortController();
    const waiting = acquireLock(options({ timeoutMs: 60_000, signal: controller.signal }));
    controller.abort();
    expect((await failure(waiting)).kind).toBe("cancelled");
  });

  test("refuse a directory that others can write", async () => {
    fs.mkdirSync(directory, { mode: 0o777 });
    fs.chmodSync(directory, 0o777);
    expect((await failure(acquireLock(options()))).code).toBe("STATE_NOT_TRUSTED");
  });

  test.skipIf(process.getuid?.() !== 0)("work at 0 bytes free", async () => {
    fs.mkdirSync(directory);
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory]);
    if (mounted.exitCode !== 0) return console.log("skipped: mount is not allowed here");
    try {
      fs.chmodSync(directory, 0o755);
      expect(() => fs.writeFileSync(`${directory}/fill`, Buffer.alloc(1024 * 1024))).toThrow(
        "ENOSPC",
      );
      using _lock = await acquireLock(options());
      expect(readLockHolder(directory, "host")?.command).toBe("links create");
      expect((await failure(acquireLock(options()))).code).toBe("LOCKED");
    } finally {
      Bun.spawnSync(["umount", directory]);
    }
  });
});
