import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import {
  binaryCheck,
  clockCheck,
  portCheck,
  rightsCheck,
  runDoctor,
  stateDiskCheck,
  toolsCheck,
} from "../../src/doctor/index.ts";
import {
  createHostPaths,
  parseListeningSockets,
  readEnvironment,
  systemClock,
} from "../../src/system/index.ts";

const scratch = mkdtempSync(`${tmpdir()}/doctor-`);
afterAll(() => rmSync(scratch, { recursive: true }));
const environment = readEnvironment();
const { signal } = new AbortController();

test("portCheck names the process that holds a port, and accepts the daemon itself", async () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  try {
    const taken = await portCheck("p", "port", server.port, null).run(signal);
    expect(taken.state).toBe("warning");
    expect(taken.found).toContain(`pid ${process.pid}`);
    const own = await portCheck("p", "port", server.port, process.pid).run(signal);
    expect(own.state).toBe("ok");
  } finally {
    server.stop(true);
  }
  const free = await portCheck("p", "port", server.port, null).run(signal);
  expect(free).toEqual({ state: "ok", found: `${server.port} is free` });
});

test("parseListeningSockets takes sockets in LISTEN only and leaves out lines that do not parse", () => {
  const text = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1",
    "   1: 0100007F:1F41 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 222 1",
    "garbage",
    "",
  ].join("\n");
  expect(parseListeningSockets(text)).toEqual([{ port: 8000, inode: "111" }]);
});

test("binaryCheck refuses a binary that others can write", async () => {
  const path = `${scratch}/agent`;
  writeFileSync(path, "");
  chmodSync(path, 0o777);
  const asRoot = { ...environment, isRoot: true };
  expect((await binaryCheck(path, asRoot).run(signal)).state).toBe("failed");
  expect((await binaryCheck(path, { ...asRoot, isRoot: false }).run(signal)).state).toBe("warning");
  expect((await binaryCheck(`${scratch}/gone`, asRoot).run(signal)).state).toBe("warning");
});

test("toolsCheck names each missing tool and what is lost without it", async () => {
  const result = await toolsCheck(scratch).run(signal);
  expect(result.state).toBe("warning");
  expect(result.found).toContain("smartctl is missing: no disk health");
});

test("clockCheck fails when the clock lies before something that has been", async () => {
  const clock = { ...systemClock, nowMs: () => 0 };
  expect((await clockCheck(clock, 1).run(signal)).state).toBe("failed");
});

test("stateDiskCheck is not applicable before the first setup and ok on a disk with room", async () => {
  const hostPaths = createHostPaths();
  const absent = await stateDiskCheck(`${scratch}/none`, hostPaths).run(signal);
  expect(absent.state).toBe("not_applicable");
  const present = await stateDiskCheck(scratch, hostPaths).run(signal);
  expect(present.found).toContain("free");
});

test("rightsCheck needs no root below --root", async () => {
  const hostPaths = createHostPaths(scratch);
  const result = await rightsCheck({ ...environment, isRoot: false }, hostPaths).run(signal);
  expect(result.state).toBe("ok");
});

test("runDoctor turns a check that throws into unknown, with the reason", async () => {
  const report = await runDoctor(
    [
      { id: "a", name: "a", run: () => ({ state: "ok", found: "x" }) },
      {
        id: "b",
        name: "b",
        run() {
          throw new Error("no idea");
        },
      },
    ],
    signal,
  );
  expect(report.ok).toBe(true);
  expect(report.counts).toMatchObject({ ok: 1, unknown: 1 });
  expect(report.checks[1]).toMatchObject({ state: "unknown", found: "no idea" });
});
