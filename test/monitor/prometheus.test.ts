// Real Prometheus, Alertmanager and Pushgateway around a real daemon.

import { describe, expect, test } from "bun:test";
import { readFileSync, unlinkSync } from "node:fs";
import { createDaemonWorld, freePort, until } from "../support/daemon.ts";
import { missingPrograms, startService } from "../support/services.ts";

const deploy = new URL("../../deploy", import.meta.url).pathname;
const rules = `${deploy}/prometheus/citadel-agent.rules.yml`;
const missing = missingPrograms(
  "prometheus",
  "promtool",
  "prometheus-alertmanager",
  "prometheus-pushgateway",
  "curl",
);
if (missing !== undefined) console.log(`skipped: tests with Prometheus: ${missing}`);

const promtool = (words: readonly string[], input?: string) => {
  const run = Bun.spawnSync(["promtool", ...words], {
    cwd: `${deploy}/prometheus`,
    stdin: input === undefined ? "ignore" : new TextEncoder().encode(input),
    stderr: "pipe",
  });
  return { exitCode: run.exitCode, said: run.stdout.toString() + run.stderr.toString() };
};

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

/** Every query of the dashboard, for all hosts. */
function dashboardQueries(): string[] {
  const text = readFileSync(`${deploy}/grafana/citadel-agent.json`, "utf8");
  const { panels } = JSON.parse(text) as { panels: Panel[] };
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) => expr.replaceAll("$instance", ".*")),
  );
}

/** The left side of each rule: what has to have data for the rule to mean anything. */
function ruleSelectors(): string[] {
  const names = readFileSync(rules, "utf8").match(/\bcitadel_[a-z0-9_]+|\bup\b(?=\{)/g) ?? [];
  return [...new Set(names)];
}

describe.skipIf(missing !== undefined)("with the programs around Prometheus", () => {
  test("the shipped rules are right and do what their tests say", () => {
    expect(promtool(["check", "rules", "citadel-agent.rules.yml"]).exitCode).toBe(0);
    const unit = promtool(["test", "rules", "citadel-agent.rules.test.yml"]);
    expect([unit.exitCode, unit.said]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });

  test("Prometheus scrapes the daemon, every query has data, alerts come and end", async () => {
    const ports = { prom: await freePort(), am: await freePort(), gateway: await freePort() };
    await using world = await createDaemonWorld(
      {
        SYMLINK_REPAIR_BROKEN_LINKS: "no",
        CITADEL_ALERTMANAGER_URL: `http://127.0.0.1:${ports.am}`,
        CITADEL_PUSHGATEWAY_URL: `http://127.0.0.1:${ports.gateway}`,
        CITADEL_PUSH_INTERVAL: "1",
      },
      { withProc: true },
    );
    world.start();
    await using service = startService("prometheus", {
      PROM_PORT: String(ports.prom),
      PROM_AM_PORT: String(ports.am),
      PROM_PGW_PORT: String(ports.gateway),
      PROM_TARGETS: new URL(world.metricsUrl).host,
      PROM_RULES: rules,
      PROM_JOB: "citadel-agent",
    });
    const query = async (expr: string): Promise<unknown[]> => {
      const url = `${service.values["PROM_URL"]}/api/v1/query?query=${encodeURIComponent(expr)}`;
      const answer = (await (await fetch(url)).json()) as { data?: { result: unknown[] } };
      return answer.data?.result ?? [];
    };
    await until("a scrape", async () => (await query("citadel_agent_build_info")).length > 0);
    for (const format of ["text/plain", "application/openmetrics-text"]) {
      const response = await fetch(`${world.metricsUrl}/metrics`, { headers: { accept: format } });
      expect(response.headers.get("content-type")).toContain(format);
      const text = await response.text();
      if (format === "text/plain")
        expect(promtool(["check", "metrics"], text)).toEqual({ exitCode: 0, said: "" });
      else expect(text.endsWith("# EOF\n")).toBe(true);
    }
    const empty: string[] = [];
    for (const expr of [...dashboardQueries(), ...ruleSelectors()]) {
      // What the host or its set-up lacks has no value: a backup that never was made.
      if (/backup_last_complete|outbox_messages/.test(expr)) continue;
      try {
        await until(expr, async () => (await query(expr)).length > 0, 8000);
      } catch {
        empty.push(expr);
      }
    }
    expect(empty).toEqual([]);

    const link = `${world.root}/opt/citadel/staging`;
    unlinkSync(link);
    const alerts = async () => {
      const url = `http://127.0.0.1:${ports.am}/api/v2/alerts?filter=job%3D%22citadel-agent%22`;
      const all = (await (await fetch(url)).json()) as {
        labels: { alertname: string; path?: string };
        startsAt: string;
      }[];
      return all.filter(({ labels }) => labels.alertname === "LINK_BROKEN");
    };
    await until("the alert in Alertmanager", async () => (await alerts()).length === 1);
    expect((await alerts())[0]?.labels.path).toBe(link);
    expect((await world.run("links", "repair")).exitCode).toBe(0);
    await until("its end", async () => (await alerts()).length === 0);
    await until("the push", async () => {
      const text = await (await fetch(`http://127.0.0.1:${ports.gateway}/metrics`)).text();
      return /citadel_agent_build_info\{[^}]*job="citadel-agent"/.test(text);
    });
  }, 120_000);
});
