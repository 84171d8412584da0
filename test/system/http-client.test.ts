// Requests that leave the process: bounded, with a deadline, and secrets stay where they were sent.

import { afterAll, describe, expect, test } from "bun:test";
import { createHttpClient } from "../../src/system/http-client.ts";

const seen: Record<string, Headers> = {};
const other = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    seen["other"] = request.headers;
    return new Response("other");
  },
});
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const { pathname } = new URL(request.url);
    seen[pathname] = request.headers;
    const to = (location: string, status = 302) =>
      new Response(null, { status, headers: { location } });
    if (pathname === "/away") return to(`http://127.0.0.1:${other.port}/`);
    if (pathname === "/away307") return to(`http://127.0.0.1:${other.port}/`, 307);
    if (pathname === "/same") return to("/target", 307);
    if (pathname === "/loop") return to("/loop");
    if (pathname === "/stall") return await new Promise<Response>(() => {});
    if (pathname === "/big") return new Response("x".repeat(1_000_000));
    if (pathname === "/broken") return new Response("no", { status: 500 });
    return new Response(await request.text());
  },
});
afterAll(async () => {
  await server.stop(true);
  await other.stop(true);
});

const client = createHttpClient();
const at = (path: string) => `http://127.0.0.1:${server.port}${path}`;
const headers = { authorization: "Bearer secret", "x-signature": "sig" };
const timeoutMs = 5000;
const codeOf = async (work: Promise<unknown>) => {
  try {
    await work;
    return "none";
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
};

describe("the HTTP client", () => {
  test("returns any answer, and no more than its limit of it", async () => {
    expect((await client.send({ method: "GET", url: at("/broken"), timeoutMs })).status).toBe(500);
    const big = await client.send({ method: "GET", url: at("/big"), timeoutMs });
    expect(big.text.length).toBe(65_536);
  });

  test("a redirect to another origin goes without the secrets", async () => {
    const answer = await client.send({
      method: "GET",
      url: at("/away"),
      headers,
      secretHeaders: ["x-signature"],
      timeoutMs,
    });
    expect(answer.text).toBe("other");
    expect(seen["other"]?.get("authorization")).toBeNull();
    expect(seen["other"]?.get("x-signature")).toBeNull();
  });

  test("what is posted goes to no other origin, and within its own as it is", async () => {
    const post = (path: string) =>
      client.send({ method: "POST", url: at(path), headers, body: "body", timeoutMs });
    expect(await codeOf(post("/away"))).toBe("HTTP_REDIRECT_REFUSED");
    expect(await codeOf(post("/away307"))).toBe("HTTP_REDIRECT_REFUSED");
    expect((await post("/same")).text).toBe("body");
    expect(seen["/target"]?.get("authorization")).toBe("Bearer secret");
  });

  test("a loop, a server that stalls and one that is not there end with codes", async () => {
    const get = (url: string, limitMs = timeoutMs) =>
      codeOf(client.send({ method: "GET", url, timeoutMs: limitMs }));
    expect(await get(at("/loop"))).toBe("HTTP_REDIRECT_REFUSED");
    expect(await get(at("/stall"), 200)).toBe("HTTP_TIMEOUT");
    const gone = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("") });
    const url = `http://127.0.0.1:${gone.port}/?key=secret`;
    await gone.stop(true);
    expect(await get(url)).toBe("HTTP_UNREACHABLE");
    const said = await client
      .send({ method: "GET", url, timeoutMs })
      .catch((e: Error) => e.message);
    expect(said).not.toContain("secret");
  });
});
