import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { cliCommand, runCli, scrubbedEnvironment } from "../support/run-cli.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/status-`);
});
afterEach(() => rmSync(root, { recursive: true }));

const agent = (...args: string[]) => runCli([...args, "--root", root]);

interface Status {
  readonly overall: string;
  readonly storage: readonly { role: string; state: string; measured_at: string; source: string }[];
  readonly links: { total: number; healthy: number; issues: { path: string; state: string }[] };
  readonly smart: readonly unknown[];
  readonly alerts: readonly unknown[];
  readonly findings: readonly { name: string }[];
  readonly pending_transaction: unknown;
  readonly agent: { pid: number | null };
  readonly sections: Readonly<Record<string, { state: string; source: string }>>;
}

test("status of a host after setup has every section, measured now, and invents no daemon", async () => {
  await agent("setup", "--yes");
  const run = await agent("status", "--json");
  const status = run.json<Status>();
  expect(status.storage.map(({ role }) => role)).toEqual(["application", "models", "backup"]);
  for (const entry of status.storage) {
    expect(entry.source).toBe("now");
    expect(Math.abs(Date.now() - Date.parse(entry.measured_at))).toBeLessThan(60_000);
  }
  expect(status.links.issues.filter(({ state }) => state !== "skipped")).toEqual([]);
  expect(status.alerts).toEqual([]);
  expect(status.pending_transaction).toBeNull();
  expect(status.agent.pid).toBeNull();
  // Below --root there is no disk to ask: that is not applicable, and not ok.
  expect(status.smart).toEqual([]);
  expect(status.sections["smart"]?.state).toBe("not_applicable");
  expect(run.exitCode).toBe(status.overall === "ok" || status.overall === "unknown" ? 0 : 3);
});

test("status names a link that is gone, and exits 3", async () => {
  await agent("setup", "--yes");
  unlinkSync(`${root}/opt/citadel/models`);
  const run = await agent("status", "--json");
  expect(run.exitCode).toBe(3);
  expect(run.json<Status>().links.issues).toContainEqual(
    expect.objectContaining({ path: `${root}/opt/citadel/models`, state: "missing" }),
  );
  const text = await agent("status");
  expect(text.stdout).toContain("opt/citadel/models");
  expect(text.stdout.split("\n").length).toBeLessThan(50);
});

test("status --watch --json prints one document per line until it is told to stop", async () => {
  await agent("setup", "--yes");
  const command = [...cliCommand(), "status", "--watch", "--interval", "1", "--json"];
  const child = Bun.spawn([...command, "--root", root], {
    env: scrubbedEnvironment,
    stdout: "pipe",
    stderr: "ignore",
  });
  const documents: string[] = [];
  let rest = "";
  for await (const chunk of child.stdout) {
    rest += new TextDecoder().decode(chunk);
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    documents.push(...lines);
    if (documents.length >= 2) child.kill("SIGINT");
  }
  expect(await child.exited).toBe(130);
  expect(documents.length).toBeGreaterThanOrEqual(2);
  for (const line of documents) expect(JSON.parse(line)).toHaveProperty("overall");
});

test("a --root that is a file is refused, not taken for an empty host", async () => {
  const run = await runCli(["status", "--root", "/etc/passwd", "--json"]);
  expect(run.json<{ error: object }>().error).toMatchObject({
    code: "NOT_A_DIRECTORY",
    path: "/etc/passwd",
  });
});
