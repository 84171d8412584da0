// The real daemon below --root: what it serves, sends, repairs and survives.

import { describe, expect, test } from "bun:test";
import { existsSync, lstatSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { createDaemonWorld, createReceiver, until, type DaemonWorld } from "../support/daemon.ts";

const link = (world: DaemonWorld) => `${world.root}/opt/citadel/staging`;
const statusOf = async (world: DaemonWorld) =>
  (await (await fetch(`${world.healthUrl}/status`)).json()) as {
    overall: string;
    alerts: { name: string }[];
    agent: { pid: number };
  };
const isReady = async (world: DaemonWorld) => {
  try {
    return (await fetch(`${world.healthUrl}/readyz`)).status === 200;
  } catch {
    return false;
  }
};
const alertNames = async (world: DaemonWorld) => {
  const { alerts } = (await world.run("alerts", "list", "--json")).json<{
    alerts: { name: string; state: string }[];
  }>();
  return alerts.map(({ name, state }) => `${name} ${state}`);
};
const mendLink = (world: DaemonWorld) => world.run("links", "repair");

describe("the daemon", () => {
  test("serves metrics, health and status, writes status.json, and stops clean", async () => {
    await using world = await createDaemonWorld();
    const daemon = world.start();
    await until("ready", () => isReady(world));
    const status = await statusOf(world);
    expect(status.agent.pid).toBe(daemon.pid);
    expect(status.alerts).toEqual([]);
    const file = `${world.root}/run/citadel-agent/status.json`;
    await until("status.json", () => existsSync(file));
    expect(statSync(file).mode & 0o777).toBe(0o644);
    const text = await (await fetch(`${world.metricsUrl}/metrics`)).text();
    expect(text).toContain("# TYPE citadel_storage_used_bytes gauge");
    expect((await fetch(`${world.metricsUrl}/metrics`, { method: "POST" })).status).toBe(405);
    const foreign = await fetch(`${world.healthUrl}/status`, { headers: { host: "evil.example" } });
    expect(foreign.status).toBe(421);
    const second = await world.run("monitor");
    expect(second.exitCode).toBe(5);
    expect(second.stderr).toContain(String(daemon.pid));
    const stopped = await world.run("monitor", "stop");
    expect([stopped.exitCode, stopped.stderr]).toEqual([0, ""]);
    expect(await daemon.ended()).toBe(0);
    expect(existsSync(file)).toBe(false);
    expect((await world.run("monitor", "stop")).exitCode).toBe(1);
  });

  test("restores a removed link, says so, and gives up after its limit", async () => {
    await using world = await createDaemonWorld({ STORAGE_MONITOR_REPAIRS_PER_HOUR: "2" });
    const daemon = world.start();
    await until("ready", () => isReady(world));
    const exists = () => lstatSync(link(world), { throwIfNoEntry: false }) !== undefined;
    for (let round = 0; round < 2; round += 1) {
      unlinkSync(link(world));
      await until("the link is back", exists);
    }
    unlinkSync(link(world));
    await until("the limit is told", async () =>
      (await statusOf(world)).alerts.some(({ name }) => name === "LINK_REPAIR_LIMIT"),
    );
    expect(exists()).toBe(false);
    expect(await alertNames(world)).toContain("LINK_REPAIRED firing");
    const { generations } = (await world.run("history", "--json")).json<{
      generations: { command: string }[];
    }>();
    expect(generations.filter(({ command }) => command.startsWith("monitor"))).toHaveLength(2);
    daemon.kill("SIGTERM");
    expect(await daemon.ended()).toBe(0);
  });

  test("loses no transition while sinks refuse, fail and stall and it is killed ten times", async () => {
    await using receiver = createReceiver();
    await using world = await createDaemonWorld({
      SYMLINK_REPAIR_BROKEN_LINKS: "no",
      CITADEL_WEBHOOK_URL: `${receiver.url}/hook`,
      CITADEL_PUSH_URL: `${receiver.url}/push`,
      CITADEL_PUSH_TOKEN: "push-token",
      CITADEL_PUSH_HMAC_SECRET: "push-secret",
      CITADEL_PUSH_INTERVAL: "1",
    });
    const expected: string[] = [];
    const kinds = ["error", "stall"] as const;
    for (let round = 0; round < 10; round += 1) {
      receiver.behave(kinds[round % 2] ?? "error");
      const daemon = world.start();
      await until("ready", () => isReady(world));
      const fires = round % 2 === 0;
      if (fires) unlinkSync(link(world));
      else expect((await mendLink(world)).exitCode).toBe(0);
      expected.push(fires ? "firing" : "resolved");
      await until(`round ${round}`, async () => {
        const names = (await statusOf(world)).alerts.map(({ name }) => name);
        return names.includes("LINK_BROKEN") === fires;
      });
      daemon.kill("SIGKILL");
      await daemon.ended();
    }
    receiver.behave("accept");
    world.start();
    const told = (path: string) =>
      receiver.accepted
        .filter((each) => each.path === path)
        .flatMap(({ json }) =>
          path === "/hook" ? [json["transition"]] : (json["transitions"] as unknown[]),
        )
        .map((each) => each as { id: string; kind: string; alert: { name: string } })
        .filter(({ alert }) => alert.name === "LINK_BROKEN");
    const inOrder = (path: string) => [...new Map(told(path).map((t) => [t.id, t.kind])).values()];
    await until("everything arrives", () =>
      ["/hook", "/push"].every((path) => inOrder(path).length >= expected.length),
    );
    expect(inOrder("/hook")).toEqual(expected);
    expect(inOrder("/push")).toEqual(expected);
    const push = receiver.accepted.find(({ path }) => path === "/push");
    expect(push?.headers.get("authorization")).toBe("Bearer push-token");
    expect(push?.headers.get("idempotency-key")).toMatch(/^[0-9a-f]{16}-\d+$/);
    expect(push?.json["schema"]).toBe("citadel.status/1");
    const signed = Buffer.concat([
      Buffer.from(`${push?.headers.get("x-citadel-timestamp")}.`),
      push?.body ?? Buffer.alloc(0),
    ]);
    const mac = new Bun.CryptoHasher("sha256", "push-secret").update(signed).digest("hex");
    expect(push?.headers.get("x-citadel-signature")).toBe(`sha256=${mac}`);
  }, 120_000);

  test("takes new settings on SIGHUP and keeps the old ones when they are wrong", async () => {
    await using world = await createDaemonWorld();
    const daemon = world.start();
    await until("ready", () => isReady(world));
    world.configure({ STORAGE_MONITOR_CHECK_INTERVAL: "none" });
    daemon.kill("SIGHUP");
    await until("the alert", async () => {
      try {
        return (await statusOf(world)).alerts.some(({ name }) => name === "SETTINGS_NOT_RELOADED");
      } catch {
        return false; // between two sessions the ports are closed
      }
    });
    world.configure({ STORAGE_MONITOR_CHECK_INTERVAL: "2" });
    daemon.kill("SIGHUP");
    await until("the new interval", async () => {
      try {
        const text = await (await fetch(`${world.metricsUrl}/metrics`)).text();
        return text.includes('citadel_probe_interval_seconds{probe="space"} 2');
      } catch {
        return false;
      }
    });
    daemon.kill("SIGTERM");
    expect(await daemon.ended()).toBe(0);
  });

  test("stays up when its port is in use, alerts, and takes it when it is free", async () => {
    await using world = await createDaemonWorld();
    const { port } = new URL(world.metricsUrl);
    const other = Bun.serve({
      hostname: "127.0.0.1",
      port: Number(port),
      fetch: () => new Response("other"),
    });
    world.start();
    await until("ready", () => isReady(world));
    await until("the alert", async () =>
      (await statusOf(world)).alerts.some(({ name }) => name === "HTTP_PORT_IN_USE"),
    );
    await other.stop(true);
    await until("the metrics", async () => {
      try {
        const text = await (await fetch(`${world.metricsUrl}/metrics`)).text();
        return text.includes("citadel_agent_build_info");
      } catch {
        return false;
      }
    });
  });

  test("goes on with an alert when its history is damaged, and probes nothing when disabled", async () => {
    await using world = await createDaemonWorld();
    const first = world.start();
    await until("ready", () => isReady(world));
    first.kill("SIGTERM");
    await first.ended();
    const history = `${world.root}/var/lib/citadel-agent/history.db`;
    writeFileSync(history, "this is no database".repeat(1000));
    const second = world.start();
    await until("the alert", async () => {
      const alive = await isReady(world);
      return (
        alive && (await statusOf(world)).alerts.some(({ name }) => name === "HISTORY_UNAVAILABLE")
      );
    });
    expect(readFileSync(history).subarray(0, 15).toString()).toBe("SQLite format 3");
    second.kill("SIGTERM");
    await second.ended();
    world.configure({ STORAGE_MONITOR_ENABLE_MONITORING: "no" });
    const third = world.start();
    await until("alive", async () => {
      try {
        return (await fetch(`${world.healthUrl}/healthz`)).status === 200;
      } catch {
        return false;
      }
    });
    expect((await fetch(`${world.healthUrl}/readyz`)).status).toBe(503);
    expect(fetch(`${world.metricsUrl}/metrics`)).rejects.toThrow();
    expect(third.stderr()).toContain("monitoring is disabled");
    third.kill("SIGTERM");
    expect(await third.ended()).toBe(0);
  });

  test("refuses to start on another address without a token, and asks for it elsewhere", async () => {
    await using world = await createDaemonWorld();
    world.configure({ STORAGE_MONITOR_BIND: "0.0.0.0" });
    const refused = await world.run("monitor");
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain("http_token");
    world.configure({ STORAGE_MONITOR_BIND: "0.0.0.0", CITADEL_HTTP_TOKEN: "reader" });
    world.start();
    const alive = async () => {
      try {
        return (await fetch(`${world.healthUrl}/healthz`)).status === 200;
      } catch {
        return false;
      }
    };
    await until("alive", alive);
    expect((await fetch(`${world.healthUrl}/status`)).status).toBe(401);
    const wrong = { headers: { authorization: "Bearer readers" } };
    expect((await fetch(`${world.metricsUrl}/metrics`, wrong)).status).toBe(401);
    const right = { headers: { authorization: "Bearer reader" } };
    expect((await fetch(`${world.metricsUrl}/metrics`, right)).status).toBe(200);
  });
});
