// The real daemon while its own ground gives way, and while it talks to servers it has to check: a full and a read-only
// disk below its history, silences, the dead man's ping, a private certificate authority.

import { describe, expect, test } from "bun:test";
import { cpSync, lstatSync, mkdirSync, mkdtempSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { createDaemonWorld, createReceiver, until, type DaemonWorld } from "../support/daemon.ts";

interface Status {
  readonly alerts: readonly { name: string }[];
}
const alertsOf = async (world: DaemonWorld) => {
  const answer = await fetch(`${world.healthUrl}/status`);
  return ((await answer.json()) as Status).alerts.map(({ name }) => name);
};
const isReady = async (world: DaemonWorld) => {
  try {
    return (await fetch(`${world.healthUrl}/readyz`)).status === 200;
  } catch {
    return false;
  }
};
const hasLink = (world: DaemonWorld) =>
  lstatSync(`${world.root}/opt/citadel/staging`, { throwIfNoEntry: false }) !== undefined;

const sh = (...words: string[]) => Bun.spawnSync(words).exitCode === 0;

/** The agent's state on a small disk of its own. */
function onSmallDisk(world: DaemonWorld): Disposable & { readonly path: string } {
  const path = `${world.root}/var/lib/citadel-agent`;
  const kept = `${world.root}/kept`;
  cpSync(path, kept, { recursive: true });
  if (!sh("mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "none", path)) {
    throw new Error("cannot mount a tmpfs");
  }
  for (const name of new Bun.Glob("*").scanSync(kept)) cpSync(`${kept}/${name}`, `${path}/${name}`);
  return { path, [Symbol.dispose]: () => void sh("umount", "-l", path) };
}

/** Root that may mount, in a mount namespace or not. */
const mayMount = (() => {
  if (process.geteuid?.() !== 0) return false;
  const place = mkdtempSync(`${tmpdir()}/citadel-may-mount-`);
  const may = sh("mount", "-t", "tmpfs", "none", place) && sh("umount", place);
  rmSync(place, { recursive: true });
  return may;
})();
if (!mayMount) console.log("skipped: full and read-only history: mounting a tmpfs takes root");

describe("the daemon", () => {
  test.skipIf(!mayMount).each(["full", "read-only"] as const)(
    "watches, serves and mends links while the disk of its history is %s, and says so",
    async (what) => {
      await using world = await createDaemonWorld();
      using disk = onSmallDisk(world);
      // a file system with files open for writing is not remounted: it has to be before
      if (what === "read-only") expect(sh("mount", "-o", "remount,ro", disk.path)).toBe(true);
      const daemon = world.start();
      await until("ready", () => isReady(world));
      if (what === "full") sh("sh", "-c", `head -c 20M /dev/zero > '${disk.path}/filler'`);
      await until("the alert", async () => (await alertsOf(world)).includes("HISTORY_UNAVAILABLE"));
      unlinkSync(`${world.root}/opt/citadel/staging`);
      await until("the link is back", () => hasLink(world));
      const metrics = await (await fetch(`${world.metricsUrl}/metrics`)).text();
      expect(metrics).toContain("citadel_storage_used_bytes");
      if (what === "full") {
        unlinkSync(`${disk.path}/filler`);
        await until(
          "it is over",
          async () => !(await alertsOf(world)).includes("HISTORY_UNAVAILABLE"),
        );
      }
      daemon.kill("SIGTERM");
      expect(await daemon.ended()).toBe(0);
    },
    90_000,
  );

  test("tells nobody of what is silenced, and tells it when the silence is ended", async () => {
    await using receiver = createReceiver();
    await using world = await createDaemonWorld({
      SYMLINK_REPAIR_BROKEN_LINKS: "no",
      CITADEL_WEBHOOK_URL: `${receiver.url}/hook`,
    });
    world.start();
    await until("ready", () => isReady(world));
    const silenced = await world.run("alerts", "silence", "LINK_BROKEN", "--for", "1h", "--json");
    expect(silenced.exitCode).toBe(0);
    unlinkSync(`${world.root}/opt/citadel/staging`);
    await until("it fires", async () => {
      const { stdout } = await world.run("alerts", "list", "--json");
      return /"LINK_BROKEN"/.test(stdout) && /"firing"/.test(stdout);
    });
    const told = () =>
      receiver.accepted.filter(({ body }) => Buffer.from(body).includes("LINK_BROKEN"));
    expect(told()).toHaveLength(0);
    const { id } = silenced.json<{ silence: { id: string } }>().silence;
    expect((await world.run("alerts", "silence", "--end", id)).exitCode).toBe(0);
    await until("it is told", () => told().length > 0);
  }, 60_000);

  test("asks the dead man's address again and again", async () => {
    await using receiver = createReceiver();
    await using world = await createDaemonWorld({
      CITADEL_PING_URL: `${receiver.url}/ping`,
      CITADEL_PUSH_INTERVAL: "1",
    });
    world.start();
    const pings = () => receiver.accepted.filter(({ path }) => path === "/ping").length;
    await until("two pings", () => pings() >= 2);
  }, 60_000);

  test("sends over TLS only to whom a known authority vouches for", async () => {
    if (Bun.which("openssl") === null) {
      console.log("skipped: a private authority: openssl is missing");
      return;
    }
    const place = mkdtempSync(`${tmpdir()}/citadel-ca-`);
    try {
      const { key, cert } = certificate(place);
      await using server = createTlsReceiver(key, cert);
      await using world = await createDaemonWorld({
        CITADEL_PUSH_URL: `${server.url}/push`,
        CITADEL_PUSH_INTERVAL: "1",
      });
      const first = world.start();
      await until("it is refused", () => /certificate|CERT|SELF_SIGNED/i.test(first.stderr()));
      expect(server.count()).toBe(0);
      first.kill("SIGTERM");
      await first.ended();
      world.configure({
        CITADEL_PUSH_URL: `${server.url}/push`,
        CITADEL_PUSH_INTERVAL: "1",
        CITADEL_CA_FILE: "/etc/authority.pem",
      });
      cpSync(cert, `${world.root}/etc/authority.pem`);
      world.start();
      await until("it arrives", () => server.count() > 0);
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  }, 60_000);
});

/** A certificate for 127.0.0.1 that vouches for itself. */
function certificate(place: string): { key: string; cert: string } {
  mkdirSync(place, { recursive: true });
  const [key, cert] = [`${place}/key.pem`, `${place}/cert.pem`];
  const name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
  if (!sh("openssl", "req", ...kind, ...name, "-keyout", key, "-out", cert))
    throw new Error("openssl made no certificate");
  return { key, cert };
}

function createTlsReceiver(key: string, cert: string) {
  let count = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key: Bun.file(key), cert: Bun.file(cert) },
    async fetch(request) {
      await request.arrayBuffer();
      count += 1;
      return new Response("ok");
    },
  });
  return {
    url: `https://127.0.0.1:${server.port}`,
    count: () => count,
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
    },
  };
}
