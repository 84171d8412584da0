import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

const root = mkdtempSync(`${tmpdir()}/doctor-cli-`);
afterAll(() => rmSync(root, { recursive: true }));

test("doctor below --root needs no rights and asks nothing of the running host", async () => {
  const run = await runCli(["doctor", "--root", root, "--json"]);
  expect(run.exitCode).toBe(0);
  const { checks } = run.json<{ checks: { id: string; state: string }[] }>();
  expect(checks.map(({ id, state }) => `${id} ${state}`)).toEqual([
    "rights ok",
    "state_disk not_applicable",
  ]);
});

test("doctor names the program that holds one of our ports, and exits 3", async () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    const env = { STORAGE_MONITOR_METRICS_PORT: String(server.port) };
    const run = await runCli(["doctor"], { env });
    expect(run.exitCode).toBe(3);
    expect(run.stdout).toContain(`${server.port} is held by`);
    expect(run.stdout).toContain(`pid ${process.pid}`);
    expect(run.stdout).toContain("What to do");
  } finally {
    server.stop(true);
  }
});
