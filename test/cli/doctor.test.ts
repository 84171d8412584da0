import { afterAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
    "databases not_applicable",
  ]);
});

test("doctor finds a damaged journal and one of a newer agent, and calls a good one sound", async () => {
  const host = mkdtempSync(`${tmpdir()}/doctor-state-`);
  const path = `${host}/var/lib/citadel-agent/journal.db`;
  const states = async () =>
    (await runCli(["doctor", "--root", host, "--json"])).json<{
      checks: { id: string; state: string; found: string }[];
    }>().checks;
  const databases = async () => (await states()).find(({ id }) => id === "databases");
  try {
    await runCli(["setup", "--yes", "--root", host]);
    expect(await databases()).toMatchObject({ state: "ok", found: "journal: sound" });
    const newer = new Database(path);
    newer.run("PRAGMA user_version = 99");
    newer.close();
    expect((await databases())?.found).toContain("was written by a newer agent (version 99)");
    rmSync(`${path}-wal`, { force: true });
    writeFileSync(
      path,
      "this is no database, it only looks like one when nobody looks".repeat(100),
    );
    expect(await databases()).toMatchObject({ state: "failed" });
  } finally {
    rmSync(host, { recursive: true });
  }
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
