import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { loadSchema } from "../../src/schemas/index.ts";
import type { HealthDocument } from "../../src/monitor/health.ts";
import { openHistory } from "../../src/monitor/history.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { systemClock } from "../../src/system/index.ts";
import { runCli } from "../support/run-cli.ts";
import { validateAgainst } from "../support/validate-schema.ts";

// Processes and disks of a busy machine: the limit is for a hang, not for speed.
setDefaultTimeout(60_000);

const isRoot = process.geteuid?.() === 0;
let root: string;
let mounted: string[] = [];
beforeAll(async () => {
  root = realpathSync(mkdtempSync(`${tmpdir()}/monitor-health-`));
  const setup = await runCli(["setup", "--root", root, "--yes", "--quiet"]);
  expect([0, 3]).toContain(setup.exitCode ?? -1);
});
afterEach(() => {
  for (const path of mounted) Bun.spawnSync(["umount", "-l", path]);
  mounted = [];
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const models = () => `${root}/mnt/citadel-models`;
async function health(...more: string[]) {
  const run = await runCli(["health", "--root", root, "--json", ...more]);
  return { exitCode: run.exitCode, stderr: run.stderr, document: run.json<HealthDocument>() };
}

/** Links that are wrong; those that this host cannot have are left out. */
const broken = (document: HealthDocument) =>
  document.symlink_status.issues.filter(({ state }) => state !== "skipped");

describe("health after set-up", () => {
  test("has its four keys, one entry for each root, and fits its schema", async () => {
    const { document, exitCode } = await health("--trend");
    expect(validateAgainst((await loadSchema("health")) ?? {}, document)).toEqual([]);
    expect(document.storage_health.map(({ role }) => role)).toEqual([
      "application",
      "models",
      "backup",
    ]);
    expect(document.smart_health.state).toBeString();
    expect(document.symlink_status).toMatchObject({ state: "ok" });
    expect(document.summary.counts).toHaveProperty("unknown");
    // The disk of whoever runs this test may be nearly full: nothing else may be wrong.
    const others = document.findings.filter(({ name }) => !/^(?:DISK|INODE)_USAGE$/.test(name));
    expect(others).toEqual([]);
    expect(exitCode).toBe(document.findings.length === 0 ? 0 : 3);
  });

  test("writes nothing", async () => {
    const before = readdirSync(root, { recursive: true }).sort();
    await health();
    expect(readdirSync(root, { recursive: true }).sort()).toEqual(before);
  });

  test("says a removed link, with exit 3", async () => {
    const link = `${root}/opt/citadel/models`;
    rmSync(link);
    const { document, exitCode } = await health();
    expect(broken(document)).toMatchObject([{ path: link, state: "missing" }]);
    expect(document.summary.overall_healthy).toBe(false);
    expect(exitCode).toBe(3);
    await runCli(["repair", "--root", root, "--yes"]);
    expect(broken((await health()).document)).toEqual([]);
  });

  test("for a person says the same", async () => {
    const run = await runCli(["health", "--root", root]);
    expect(run.stdout).toContain("citadel-models");
    expect(run.stdout).toMatch(/^Health: /);
  });

  test("trends come from the daemon's history", async () => {
    const history = openHistory({
      path: `${root}/var/lib/citadel-agent/history.db` as AbsolutePath,
      clock: systemClock,
      metricsRetentionDays: 30,
      alertsRetentionDays: 7,
    });
    const nowMs = Date.now();
    const labels = { root: "models", path: models() };
    for (let minute = 180; minute >= 0; minute -= 1) {
      const value = 1e9 + (180 - minute) * 1e6;
      history.record([{ series: "storage_used_bytes", labels, value }], nowMs - minute * 60_000);
    }
    history[Symbol.dispose]();
    const { document } = await health("--trend");
    const trend = document.trend?.find(({ role }) => role === "models");
    expect(trend?.growth_bytes_per_day).toBeCloseTo(1440e6, -7);
    expect(trend?.full_in_s).toBeGreaterThan(0);
    expect(trend?.history_span_s).toBeGreaterThan(10_000);
    expect(document.trend?.find(({ role }) => role === "backup")?.full_in_s).toBeNull();
  });
});

describe.skipIf(!isRoot)("health of a full disk", () => {
  function fill(share: number): void {
    mkdirSync(models(), { recursive: true });
    const run = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", models()]);
    if (run.exitCode !== 0) throw new Error(run.stderr.toString());
    mounted.push(models());
    writeFileSync(`${models()}/data`, Buffer.alloc(Math.round(share * 1000 * 1024)));
  }

  test("at 85 % is a warning in the summary", async () => {
    fill(0.85);
    const { document, exitCode } = await health();
    expect(document.summary.warnings.join()).toContain("85.");
    expect(document.storage_health[1]).toMatchObject({ state: "warning", healthy: true });
    expect(exitCode).toBe(3);
  });

  test("at 92 % is an error", async () => {
    fill(0.92);
    const { document } = await health();
    expect(document.summary.overall_healthy).toBe(false);
    expect(document.summary.errors.join()).toContain("full");
    expect(document.storage_health[1]).toMatchObject({
      state: "critical",
      mountpoint: models(),
      fstype: "tmpfs",
      total_bytes: 1000 * 1024,
    });
  });
});

test("alerts: list, ack and silence tell what they know", async () => {
  const run = (...args: string[]) => runCli(["alerts", ...args, "--root", root, "--json"]);
  expect((await run("ack", "abc")).json()).toMatchObject({ error: { code: "ALERT_UNKNOWN" } });
  expect((await run("silence", "what")).json()).toMatchObject({
    error: { code: "MATCHER_INVALID" },
  });
  expect((await run("silence", "DISK_USAGE", "--for", "2")).exitCode).toBe(2);
  const made = (await run("silence", "DISK_USAGE,root=models", "--for", "2h")).json<{
    silence: { id: string; matchers: object };
  }>();
  expect(made.silence.matchers).toEqual({ name: "DISK_USAGE", root: "models" });
  const listed = (await run("list")).json<{ silences: { id: string }[] }>();
  expect(listed.silences.map(({ id }) => id)).toEqual([made.silence.id]);
  expect((await run("silence", "--end", made.silence.id)).exitCode).toBe(0);
  expect((await run("silence", "--end", made.silence.id)).json()).toMatchObject({
    error: { code: "SILENCE_UNKNOWN" },
  });
});

test("a model whose shard was cut off is damaged, an empty directory is not", async () => {
  const directory = `${models()}/active/Phi-3-mini-128k-instruct`;
  mkdirSync(directory, { recursive: true });
  const header = JSON.stringify({ a: { dtype: "U8", shape: [100], data_offsets: [0, 100] } });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const whole = Buffer.concat([length, Buffer.from(header), Buffer.alloc(100)]);
  const found = async () => {
    const { document } = await health();
    const model = document.models.find(({ path }) => path === directory);
    const names = document.findings.map(({ name }) => name);
    return { state: model?.state, damaged: names.includes("MODEL_DAMAGED") };
  };
  expect(await found()).toEqual({ state: "empty", damaged: false });
  writeFileSync(`${directory}/model.safetensors`, whole);
  expect(await found()).toEqual({ state: "whole", damaged: false });
  writeFileSync(`${directory}/model.safetensors`, whole.subarray(0, -1));
  expect(await found()).toEqual({ state: "damaged", damaged: true });
  rmSync(`${directory}/model.safetensors`);
});
