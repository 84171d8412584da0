// Judging storage roots by the mount table.

import { describe, expect, test } from "bun:test";
import type { AbsolutePath } from "../../src/core/index.ts";
import { judgeRoot, recordRoots, type MountsContext } from "../../src/layout/index.ts";
import { parseMountinfo } from "../../src/system/index.ts";

const table = `22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 259:1 / /mnt/citadel-models rw - ext4 /dev/nvme0n1p1 rw
31 22 8:17 / /mnt/citadel-models2 rw - xfs /dev/sdb1 rw`;

const context = (overrides: Partial<MountsContext> = {}): MountsContext => ({
  required: true,
  hostRoot: "/" as AbsolutePath,
  host: (path) => path as AbsolutePath,
  mounts: parseMountinfo(table),
  uuidOf: (mount) => `uuid-of-${mount.device}`,
  recorded: [],
  linkAt: () => undefined,
  ...overrides,
});
const judge = (path: string, overrides: Partial<MountsContext> = {}) =>
  judgeRoot(path as AbsolutePath, context(overrides));

describe("judgeRoot", () => {
  test("takes a mount point and what lies below one, by whole parts", () => {
    expect(judge("/mnt/citadel-models")).toMatchObject({ state: "ok", fstype: "ext4" });
    expect(judge("/mnt/citadel-models/deep")).toMatchObject({ state: "ok" });
    expect(judge("/mnt/citadel-model")).toMatchObject({ state: "not_mounted" });
    expect(judge("/mnt/citadel-models2")).toMatchObject({ fstype: "xfs" });
  });

  test("does not take the root of the host, nor the mount of a relocated root, for storage", () => {
    expect(judge("/mnt/other")).toMatchObject({ state: "not_mounted" });
    const hostRoot = "/mnt/citadel-models" as AbsolutePath;
    expect(judge("/mnt/citadel-models/srv", { hostRoot })).toMatchObject({ state: "not_mounted" });
    expect(judge("/mnt/other", { required: false })).toMatchObject({ state: "ok" });
  });

  test("says where a root leads that is a link", () => {
    const root = judge("/mnt/other", { linkAt: () => "/data/other" });
    expect(root).toMatchObject({ state: "not_mounted", leadsTo: "/data/other" });
    expect(root.reason).toContain("it is a link to /data/other");
  });

  test("knows another disk from the one of the set-up", () => {
    const path = "/mnt/citadel-models";
    const was = (uuid: string | null, fstype: string) => ({ recorded: [{ path, uuid, fstype }] });
    expect(judge(path, was("uuid-of-259:1", "ext4")).state).toBe("ok");
    expect(judge(path, was("another", "ext4")).state).toBe("wrong_disk");
    expect(judge(path, was(null, "ext4")).state).toBe("ok");
    expect(judge(path, was(null, "xfs")).state).toBe("wrong_disk");
  });

  test("does not call a mount missing where mounts cannot be read, and not mounted either", () => {
    expect(judge("/mnt/citadel-models", { mounts: undefined }).state).toBe("unknown");
  });

  test("records what is mounted, and keeps the record of a root that is not", () => {
    const recorded = [{ path: "/mnt/gone", uuid: "u", fstype: "ext4" }];
    const roots = [judge("/mnt/citadel-models"), judge("/mnt/gone")];
    expect(recordRoots(roots, context({ recorded }))).toEqual([
      { path: "/mnt/citadel-models", uuid: "uuid-of-259:1", fstype: "ext4" },
      { path: "/mnt/gone", uuid: "u", fstype: "ext4" },
    ]);
  });
});
