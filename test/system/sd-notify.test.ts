// Messages to the service manager, received by a real unix datagram socket (of Python: Bun has none).

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { openServiceManager } from "../../src/system/sd-notify.ts";
import { missingPrograms } from "../support/services.ts";

const missing = missingPrograms("python3");
if (missing !== undefined) console.log(`skipped: messages to systemd: ${missing}`);
const directory = mkdtempSync(`${tmpdir()}/citadel-notify-`);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
print(s.recv(4096).decode(), flush=True)
`;

describe.skipIf(missing !== undefined)("sd_notify", () => {
  test.each([
    ["a path", `${directory}/notify`],
    ["an abstract name", `@citadel-test-${process.pid}`],
  ])(
    "reaches %s",
    async (_name, address) => {
      const child = Bun.spawn(["python3", "-c", receiver, address], { stdout: "pipe" });
      const reader = child.stdout.getReader();
      let said = "";
      const readUntil = async (end: string) => {
        while (!said.endsWith(end)) said += new TextDecoder().decode((await reader.read()).value);
      };
      await readUntil("bound\n");
      const manager = openServiceManager({ NOTIFY_SOCKET: address, WATCHDOG_USEC: "60000000" }, 42);
      expect([manager.channel, manager.watchdogMs]).toEqual(["socket", 60_000]);
      expect(await manager.notify({ READY: "1", STATUS: "two\nlines" })).toBe(true);
      await readUntil("lines\n");
      expect(said).toBe("bound\nREADY=1\nSTATUS=two lines\n");
      await child.exited;
    },
    60_000,
  );

  test("is silent where nobody asked, and leaves another's watchdog alone", async () => {
    const none = openServiceManager({}, 42);
    expect([none.channel, await none.notify({ READY: "1" })]).toEqual(["none", false]);
    const theirs = { NOTIFY_SOCKET: "/nowhere", WATCHDOG_USEC: "1000", WATCHDOG_PID: "7" };
    const manager = openServiceManager(theirs, 42);
    expect(manager.watchdogMs).toBeUndefined();
    expect(await manager.notify({ READY: "1" })).toBe(false);
  });
});
