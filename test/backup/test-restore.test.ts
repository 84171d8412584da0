// A test restore as the schedule runs it: what it says of a damaged snapshot, and how it ends when it is asked to.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { testRestore } from "../../src/app/backup-test-restore.ts";
import { loadSettings } from "../../src/settings/index.ts";
import { createSystem } from "../../src/system/index.ts";
import { runCli } from "../support/run-cli.ts";

let root: string;
const sizeBytes = 400 * 1024 * 1024;
beforeAll(async () => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/trial-`));
  fs.mkdirSync(`${root}/mnt/citadel-models/active/m`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  fs.writeFileSync(`${root}/mnt/citadel-models/active/m/weights`, "");
  fs.truncateSync(`${root}/mnt/citadel-models/active/m/weights`, sizeBytes); // zeros hash as long as anything
  const run = await runCli(["--root", root, "backup", "create", "--no-verify"]);
  expect({ exitCode: run.exitCode, stderr: run.stderr }).toMatchObject({ exitCode: 0 });
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

function openApp() {
  const system = createSystem({ root });
  return { system, settings: loadSettings({ system }).settings };
}
const leftovers = () =>
  fs.readdirSync(`${root}/mnt/citadel-backup`).filter((name) => name.includes("test-restore"));

test("a wish to end is heard in the second look, and nothing stays", async () => {
  const controller = new AbortController();
  const timer = setInterval(() => {
    if (leftovers().includes(`.citadel-agent.test-restore.${process.pid}`)) {
      controller.abort(new Error("enough")); // it is restored, and looked at once more
    }
  }, 1);
  try {
    const end = await testRestore(openApp(), controller.signal).catch((error: unknown) => error);
    expect(end).toMatchObject({ message: "enough" });
  } finally {
    clearInterval(timer);
  }
  expect(leftovers()).toEqual([]);
}, 60_000);

test("a test restore of what is sound says how much it tried; of what is damaged, which file", async () => {
  const { signal } = new AbortController();
  const sound = await testRestore(openApp(), signal);
  expect(sound.message).toContain("1 file, 400 MiB restored and compared");
  const stored = `${root}/mnt/citadel-backup/models/${sound.snapshot}/data/m/weights`;
  const fd = fs.openSync(stored, "r+");
  fs.writeSync(fd, "flip", sizeBytes / 2);
  fs.closeSync(fd);
  const end = await testRestore(openApp(), signal).catch((error: unknown) => error);
  expect(end).toMatchObject({ kind: "integrity", code: "TEST_RESTORE_FAILED" });
  expect((end as Error).message).toContain("m/weights");
  expect(leftovers()).toEqual([]);
}, 60_000);
