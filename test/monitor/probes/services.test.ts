import { afterEach, expect, test } from "bun:test";
import { createVolatileMemory, type Memory } from "../../../src/monitor/memory.ts";
import { createServicesProbe } from "../../../src/monitor/probes/services.ts";
import { systemConnector } from "../../../src/system/connect.ts";

let servers: { stop(force?: boolean): unknown }[] = [];
afterEach(() => {
  for (const server of servers) server.stop(true);
  servers = [];
});

function serve(status: number): number {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) =>
      new Response("x", { status: request.url.endsWith("/health") ? status : 404 }),
  });
  servers.push(server);
  return server.port ?? 0;
}
/** A port that accepts and says nothing. */
function listenSilently(): number {
  const server = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data: () => {} } });
  servers.push(server);
  return server.port;
}
const look = async (port: number, memory: Memory = createVolatileMemory(), expected = false) => {
  const probe = createServicesProbe({
    intervalS: 60,
    services: [{ name: "phi3", port }],
    connector: systemConnector,
    memory,
    isExpected: () => expected,
  });
  return (await probe.run(new AbortController().signal)).data?.services[0];
};

test.each([
  [200, true, true],
  [204, true, true],
  [404, true, null],
  [503, false, false],
])("/health with %d", async (status, up, healthy) => {
  expect(await look(serve(status))).toMatchObject({
    up,
    healthy,
    error: up ? null : "/health: 503",
  });
});

test("a port that was never open is not expected; one that answered once is", async () => {
  const memory = createVolatileMemory();
  const port = serve(200);
  expect(await look(port, memory)).toMatchObject({ up: true, expected: true });
  servers.pop()?.stop(true);
  expect(await look(port, memory)).toMatchObject({
    up: false,
    everAnswered: true,
    expected: true,
    error: "connection refused",
  });
  expect(await look(port)).toMatchObject({ up: false, expected: false });
  expect(await look(port, createVolatileMemory(), true)).toMatchObject({ expected: true });
});

test("a service that accepts and does not answer within its time is down", async () => {
  const state = await look(listenSilently());
  expect(state).toMatchObject({ up: false, healthy: false, error: "/health: no answer" });
}, 10_000);
