// Discovery on recorded /sys trees of real machines: nothing throws, disks are found with what the tree says.

import { describe, expect, test } from "bun:test";
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { findBacking, listDisks } from "../../src/host/index.ts";
import { createHostPaths } from "../../src/system/index.ts";
import { fixturesRoot } from "../support/fixtures.ts";

const recorded = describe.skipIf(fixturesRoot === undefined);

/** A copy with a mount on one device; links of /sys/block that were stored as text become links again. */
function withMachine(name: string, mount: string, look: (root: string) => void): void {
  const root = mkdtempSync(`${tmpdir()}/citadel-recorded-`);
  try {
    cpSync(`${fixturesRoot}/proc-sys/${name}`, root, { recursive: true, verbatimSymlinks: true });
    Bun.spawnSync(["chmod", "-R", "u+w", root]);
    for (const entry of readdirSync(`${root}/sys/block`)) {
      const path = `${root}/sys/block/${entry}`;
      if (!lstatSync(path).isFile()) continue;
      const target = readFileSync(path, "utf8").trim();
      rmSync(path);
      symlinkSync(target, path);
    }
    mkdirSync(`${root}/proc/self`, { recursive: true });
    writeFileSync(`${root}/proc/self/mountinfo`, `30 1 ${mount} /mnt/models rw - ext4 /dev/x rw\n`);
    look(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

recorded("recorded machines", () => {
  test.each([
    ["ryzen-1600", ["sda", "sdb", "sdc"], "8:3 /", "sda"],
    ["xeon-l5640", ["sda"], "8:1 /", "sda"],
    ["vm-virtio", ["vda"], "252:2 /", "vda"],
  ] as const)("%s", (name, disks, mount, disk) => {
    withMachine(name, mount, (root) => {
      const paths = createHostPaths(root);
      expect(listDisks(paths).map((each) => each.name)).toEqual([...disks]);
      const backing = findBacking(paths, `${root}/mnt/models`);
      expect(`${backing.reason ?? "found"} ${backing.disks.map((each) => each.name).join()}`).toBe(
        `found ${disk}`,
      );
    });
  });
});
