// Who may read the daemon's ports, and what a name in the Host header must be.

import { describe, expect, test } from "bun:test";
import { Secret } from "../../src/core/index.ts";
import {
  answerHttp,
  healthRoutes,
  metricsRoutes,
  type HttpOptions,
} from "../../src/monitor/http.ts";

const view = {
  stuck: () => undefined,
  missing: () => [],
  status: () => "{}",
  metrics: (format: string) => `${format}\n`,
};
const loopback: HttpOptions = { bind: "127.0.0.1", hostNames: ["gpu1"], token: undefined };
const open: HttpOptions = { bind: "0.0.0.0", hostNames: ["gpu1"], token: new Secret("t") };

const ask = (
  path: string,
  options: HttpOptions,
  { host = "127.0.0.1:8001", token = "", method = "GET", accept = "" } = {},
) => {
  const headers: Record<string, string> = { host, accept };
  if (token !== "") headers["authorization"] = `Bearer ${token}`;
  const request = new Request(`http://127.0.0.1${path}`, { method, headers });
  const routes = path === "/metrics" ? metricsRoutes : healthRoutes;
  return answerHttp(request, routes, view, options);
};

describe("the daemon's ports", () => {
  test.each([
    ["loopback needs no key", loopback, "/status", {}, 200],
    ["localhost is this host", loopback, "/status", { host: "localhost:8001" }, 200],
    ["::1 is this host", loopback, "/status", { host: "[::1]:8001" }, 200],
    ["on loopback another name is not", loopback, "/healthz", { host: "gpu1" }, 421],
    ["a name rebound to us is refused", loopback, "/status", { host: "evil.example" }, 421],
    ["elsewhere /healthz is open", open, "/healthz", { host: "10.0.0.1:8001" }, 200],
    ["elsewhere the rest is not", open, "/status", { host: "10.0.0.1:8001" }, 401],
    ["nor with a wrong token", open, "/readyz", { host: "gpu1:8001", token: "tt" }, 401],
    ["but with the right one", open, "/readyz", { host: "gpu1:8001", token: "t" }, 200],
    ["the token makes any name good", open, "/status", { host: "svc.cluster", token: "t" }, 200],
    ["a rebound name is refused there too", open, "/healthz", { host: "evil.example" }, 421],
    ["unknown paths are unknown", loopback, "/other", {}, 404],
    ["nothing can be changed", loopback, "/status", { method: "POST" }, 405],
    ["HEAD is reading", loopback, "/status", { method: "HEAD" }, 200],
  ] as const)("%s", (_name, options, path, request, status) => {
    const answer = ask(path, options, request);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("the form of the metrics follows the Accept header", async () => {
    const accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    expect(await ask("/metrics", loopback, { accept }).text()).toBe("openmetrics\n");
    expect(await ask("/metrics", loopback).text()).toBe("prometheus\n");
  });
});
