// Names to numbers: the local files, the tree below --root, and when others have to be asked.

import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createHostPaths } from "../../src/system/index.ts";
import {
  asksOthers,
  findGroup,
  findUser,
  lookupGroup,
  lookupUser,
  parseId,
} from "../../src/system/users.ts";

const passwd = `root:x:0:0:root:/root:/bin/sh
# a comment
agent0:x:1000:1001:Agent:/home/agent0:/bin/bash
+nis
4242:x:7:8::/home/odd:/bin/sh
`;

describe("users", () => {
  test("are found by name, then by number", () => {
    expect(findUser(passwd, "agent0")).toEqual({
      name: "agent0",
      uid: 1000,
      gid: 1001,
      home: "/home/agent0",
    });
    expect(findUser(passwd, "1000")?.name).toBe("agent0");
    expect(findUser(passwd, "4242")?.uid).toBe(7); // a name that looks like a number is a name first
    expect(findUser(passwd, "nobody")).toBeUndefined();
    expect(findUser(passwd, "+nis")).toBeUndefined();
    expect(findGroup("agents:x:55:a,b\n", "55")).toEqual({ name: "agents", gid: 55 });
  });

  test("by number go up to the largest that chown takes", () => {
    expect(parseId("0")).toBe(0);
    expect(parseId("4294967294")).toBe(4294967294);
    for (const text of ["4294967295", "-1", "1e3", "", "0x10", "12 "]) {
      expect([text, parseId(text)]).toEqual([text, undefined]);
    }
  });

  test("are asked for elsewhere only where nsswitch names another source", () => {
    expect(asksOthers("passwd", undefined, true)).toBe(false);
    expect(asksOthers("passwd", "passwd: files", true)).toBe(false);
    expect(asksOthers("passwd", "passwd:  files systemd", false)).toBe(false);
    expect(asksOthers("passwd", "passwd:  files systemd", true)).toBe(true);
    expect(asksOthers("passwd", "group: files sss\npasswd: files", true)).toBe(false);
    expect(asksOthers("group", "group: files [NOTFOUND=return] ldap # x", false)).toBe(true);
    expect(asksOthers("group", "group: files # ldap", false)).toBe(false);
  });

  test("below a root with a user database come from it alone", async () => {
    const root = mkdtempSync(`${tmpdir()}/citadel-users-`);
    try {
      const bare = createHostPaths(root);
      expect((await lookupUser("root", bare))?.uid).toBe(0); // none there: the host's own
      mkdirSync(`${root}/etc`);
      writeFileSync(`${root}/etc/passwd`, passwd);
      writeFileSync(`${root}/etc/group`, "");
      expect((await lookupUser("agent0", bare))?.home).toBe("/home/agent0");
      expect(await lookupUser("daemon", bare)).toBeUndefined();
      expect(await lookupGroup("root", bare)).toBeUndefined();
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test("that nobody knows are undefined, also when a directory service is asked", async () => {
    expect(await lookupUser("no-such-user-4711", createHostPaths())).toBeUndefined();
  });
});
