// A mount whose server does not answer: a real FUSE file system with its server stopped (SIGSTOP). The commands end,
// say so, and know the rest. Nothing in this process may touch the mount while it hangs.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { HealthDocument } from "../../src/monitor/health.ts";
import { runCli } from "../support/run-cli.ts";

const server = [
  new URL("../../../shared/services/faultfs.py", import.meta.url).pathname,
  "/work/shared/services/faultfs.py",
].find((path) => existsSync(path));
const hasFuse =
  server !== undefined &&
  process.geteuid?.() === 0 &&
  existsSync("/dev/fuse") &&
  Bun.spawnSync(["/usr/bin/python3", "-c", "import fusepy"], { stderr: "ignore" }).exitCode === 0;
if (!hasFuse)
  console.log("skipped: no root, /dev/fuse, python3-fusepy or ../shared/services/faultfs.py");

describe.skipIf(!hasFuse)("a storage root that hangs", () => {
  let root: string;
  let mountpoint: string;
  let fuse: { readonly pid: number; kill(signal: NodeJS.Signals): void };

  beforeAll(async () => {
    root = mkdtempSync(`${tmpdir()}/monitor-hung-`);
    mountpoint = `${root}/mnt/citadel-models`;
    for (const path of [mountpoint, `${root}/mnt/citadel-backup`, `${root}/content`])
      mkdirSync(path, { recursive: true });
    writeFileSync(`${root}/rules.json`, "[]");
    fuse = Bun.spawn(
      ["/usr/bin/python3", server ?? "", `${root}/content`, mountpoint, `${root}/rules.json`],
      { stdout: "ignore", stderr: "ignore" },
    );
    for (let turn = 0; turn < 500; turn += 1) {
      if (readFileSync("/proc/self/mounts", "utf8").includes(mountpoint)) break;
      await Bun.sleep(20);
    }
    await runCli(["setup", "--root", root, "--yes", "--quiet"]);
    fuse.kill("SIGSTOP");
  }, 30_000);
  afterAll(() => {
    fuse.kill("SIGCONT");
    Bun.spawnSync(["umount", "-l", mountpoint]);
    fuse.kill("SIGKILL");
    rmSync(root, { recursive: true, force: true });
  });

  test("health ends, names it, and knows the other roots", async () => {
    const run = await runCli(["health", "--root", root, "--json"], { timeoutMs: 25_000 });
    const document = run.json<HealthDocument>();
    expect(document.findings.map(({ name }) => name)).toContain("STORAGE_NOT_ANSWERING");
    expect(document.storage_health.map(({ usage }) => usage === null)).toEqual([
      false,
      true,
      false,
    ]);
    const states = Object.fromEntries(document.probes.map(({ name, state }) => [name, state]));
    expect(states).toMatchObject({ links: "unknown", models: "unknown" });
    expect(document.summary.overall_healthy).toBe(false);
    expect(run.exitCode).toBe(3);
  }, 30_000);

  test("perf ends and writes nothing", async () => {
    const run = await runCli(["perf", mountpoint, "--json"], { timeoutMs: 25_000 });
    expect(run.json()).toMatchObject({ error: { code: "STORAGE_NOT_ANSWERING" } });
    expect(run.exitCode).toBe(1);
  }, 30_000);
});
