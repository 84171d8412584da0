// What people call a snapshot: the end of a source's short name will do while only one source has it.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { resolveSnapshot } from "../../src/backup/repository.ts";
import type { AbsolutePath, CitadelError } from "../../src/core/index.ts";
import { openBackupWorld } from "../support/create-snapshot.ts";

test("latest:SLUG takes the end of a short name, and says which sources it could mean", async () => {
  using world = openBackupWorld();
  const make = async (name: string) => {
    const sourcePath = `${world.root}/${name}/active` as AbsolutePath;
    fs.mkdirSync(sourcePath, { recursive: true });
    fs.writeFileSync(`${sourcePath}/weights`, name);
    return (await world.create({ sourcePath, sourceName: `/${name}/active` })).snapshot;
  };
  const one = await make("one");
  const find = (name: string) => {
    try {
      return resolveSnapshot(world.repository, name, []).snapshot.id;
    } catch (thrown) {
      return (thrown as CitadelError).code;
    }
  };
  expect(find("latest:active")).toBe(one);
  const two = await make("two");
  expect(find("latest:active")).toBe("SNAPSHOT_AMBIGUOUS");
  expect(() => resolveSnapshot(world.repository, "latest:active", [])).toThrow(
    "latest:active means several sources: latest:one-active, latest:two-active",
  );
  expect([find("latest:one-active"), find("latest:two-active")]).toEqual([one, two]);
  expect(find("latest:three")).toBe("SNAPSHOT_UNKNOWN");
}, 60_000);
