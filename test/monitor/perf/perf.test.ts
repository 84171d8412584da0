import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { measureStorage } from "../../../src/system/perf-file.ts";
import { cliCommand, runCli, scrubbedEnvironment } from "../../support/run-cli.ts";

// Processes and disks of a busy machine: the limit is for a hang, not for speed.
setDefaultTimeout(60_000);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(`${tmpdir()}/monitor-perf-`);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const isRoot = process.geteuid?.() === 0;
const quick = ["--size", "16MB", "--seconds", "0.5"];

function mountTmpfs(path: string, options: string): void {
  mkdirSync(path);
  const run = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path]);
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
}

describe("perf", () => {
  test("prints figures of every workload and leaves nothing behind", async () => {
    const run = await runCli(["perf", directory, ...quick, "--analyze", "--json"]);
    expect(run.stderr).toBe("");
    const document = run.json<{
      workloads: { name: string; iops: number; latency: { p50_s: number; p99_s: number } }[];
      bottleneck: { limit: string };
      recommendations: unknown[];
      fstype: string;
    }>();
    expect(document.workloads.map((each) => each.name)).toEqual([
      "sequential_write",
      "sequential_read",
      "random_read",
      "random_write",
      "fsync",
    ]);
    for (const each of document.workloads) {
      expect(each.iops).toBeGreaterThan(0);
      expect(each.latency.p99_s).toBeGreaterThanOrEqual(each.latency.p50_s);
    }
    expect(document.bottleneck.limit).toBeString();
    expect(document.fstype).toBeString();
    expect(readdirSync(directory)).toEqual([]);
  });

  test("never makes a path", async () => {
    const run = await runCli(["perf", `${directory}/mistyped`, "--json"]);
    expect(run.exitCode).toBe(1);
    expect(run.json()).toMatchObject({ error: { code: "NOT_FOUND" } });
    expect(existsSync(`${directory}/mistyped`)).toBe(false);
  });

  test("refuses a file", async () => {
    writeFileSync(`${directory}/file`, "x");
    const run = await runCli(["perf", `${directory}/file`, "--json"]);
    expect(run.json()).toMatchObject({ error: { code: "NOT_A_DIRECTORY" } });
    rmSync(`${directory}/file`);
  });

  test.each(["0", "-1", "x", "61"])("refuses --seconds %s", async (seconds) => {
    const run = await runCli(["perf", directory, `--seconds=${seconds}`]);
    expect(run.exitCode).toBe(2);
  });

  test("leaves nothing behind when it is killed", async () => {
    const child = Bun.spawn(
      [...cliCommand(), "perf", directory, "--size", "64MB", "--seconds", "30"],
      {
        env: scrubbedEnvironment,
        stdout: "ignore",
        stderr: "ignore",
      },
    );
    // Until its measuring child is there.
    const measuring = async () => {
      for (let turn = 0; turn < 400; turn += 1) {
        const pids = Bun.spawnSync(["pgrep", "-P", String(child.pid)])
          .stdout.toString()
          .trim();
        if (pids !== "") return Number(pids.split("\n")[0]);
        await Bun.sleep(10);
      }
      throw new Error("no child appeared");
    };
    const pid = await measuring();
    process.kill(child.pid, "SIGKILL");
    await child.exited;
    process.kill(pid, "SIGKILL");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("where direct I/O and O_TMPFILE fail it still leaves no name", async () => {
    const results: string[] = [];
    const run = await measureStorage(
      directory,
      1024 * 1024,
      [
        {
          name: "sequential_write",
          blockBytes: 65_536,
          depth: 2,
          limitMs: 5000,
          limitOperations: 16,
        },
      ],
      ({ name }) => {
        results.push(name);
        expect(readdirSync(directory)).toEqual([]);
      },
    );
    expect(results).toEqual(["sequential_write"]);
    expect(run.results[0]?.bytes).toBe(1024 * 1024);
  });
});

describe.skipIf(!isRoot)("perf on full and read-only file systems", () => {
  test("refuses where little is free, with exit 7", async () => {
    const path = `${directory}/small`;
    mountTmpfs(path, "size=64m");
    try {
      const run = await runCli(["perf", path, "--json"]);
      expect(run.exitCode).toBe(7);
      expect(run.json()).toMatchObject({ error: { code: "PERF_NO_SPACE" } });
    } finally {
      Bun.spawnSync(["umount", path]);
    }
  });

  test("refuses a read-only file system, with exit 7", async () => {
    const path = `${directory}/fixed`;
    mountTmpfs(path, "size=512m,ro");
    try {
      const run = await runCli(["perf", path, "--json"]);
      expect(run.exitCode).toBe(7);
      expect(run.json()).toMatchObject({ error: { code: "READ_ONLY" } });
    } finally {
      Bun.spawnSync(["umount", path]);
    }
  });
});
