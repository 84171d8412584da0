import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

let root: string;
beforeAll(() => {
  root = fs.mkdtempSync(`${tmpdir()}/citadel-plan-`);
  fs.mkdirSync(`${root}/mnt/citadel-models/active/m`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  fs.writeFileSync(`${root}/mnt/citadel-models/active/m/one`, "one");
  fs.writeFileSync(`${root}/mnt/citadel-models/active/m/two`, "second");
  fs.linkSync(
    `${root}/mnt/citadel-models/active/m/two`,
    `${root}/mnt/citadel-models/active/m/two-again`,
  );
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args, "--json"]);
const listAll = () => fs.readdirSync(root, { recursive: true }).toSorted();

test("backup create --dry-run says what would be copied and linked, and changes nothing", async () => {
  const before = listAll();
  const planned = await agent("create", "--dry-run");
  expect(planned.exitCode).toBe(0);
  expect(planned.json()).toMatchObject({
    source: `${root}/mnt/citadel-models/active`,
    parent: null,
    copy_files: 2,
    copy_bytes: 9,
    link_files: 1,
    conflicts: [],
  });
  expect((await agent("run-due", "--dry-run")).exitCode).toBe(0);
  expect((await agent("run-due", "--plan-hash", "abc")).exitCode).toBe(2);
  const slice = await agent("verify", "--rolling", "--dry-run");
  expect(slice.exitCode).toBe(0);
  expect(slice.json()["schema"]).toBe("citadel.backup-verify-plan/1");
  expect(listAll()).toEqual(before);
  const { plan_hash: hash } = planned.json<{ plan_hash: string }>();
  const made = await agent("create", "--plan-hash", hash);
  expect(made.exitCode).toBe(0);
  expect((await agent("create", "--plan-hash", hash)).exitCode).toBe(6);
  const { snapshot } = made.json<{ snapshot: string }>();
  expect(snapshot).toMatch(/Z-mnt-citadel-models-active-incr-/);
  const again = await agent("create", "--dry-run");
  expect(again.json()).toMatchObject({ parent: snapshot, copy_files: 0, link_files: 3 });
}, 60_000);

test("a plan shows what would be refused instead of failing", async () => {
  fs.rmSync(`${root}/mnt/citadel-models/active/m/two`);
  fs.rmSync(`${root}/mnt/citadel-models/active/m/two-again`);
  const planned = await agent("create", "--dry-run");
  expect(planned.exitCode).toBe(0);
  expect(planned.json()).toMatchObject({ conflicts: [{ code: "SOURCE_SHRUNK" }] });
  expect((await agent("create")).exitCode).toBe(6);
}, 60_000);

test("backup verify --dry-run checks and records nothing", async () => {
  const checked = await agent("verify", "--dry-run");
  expect(checked.json()).toMatchObject({ valid: true, whole: true });
  const { snapshots } = (await agent("list")).json<{ snapshots: { verified_at: null }[] }>();
  expect(snapshots.map((one) => one.verified_at)).toEqual([null]);
  expect((await agent("verify")).exitCode).toBe(0);
  const after = (await agent("list")).json<{ snapshots: { verified_at: string | null }[] }>();
  expect(after.snapshots[0]?.verified_at).toBeString();
}, 60_000);

test("one damaged path is one path, and a plan of a repair is exit 0", async () => {
  const directory = fs.realpathSync(`${root}/mnt/citadel-backup/models/latest`);
  fs.writeFileSync(`${directory}/data/m/one`, "0ne");
  const said = await runCli(["--root", root, "backup", "repair", "latest", "--dry-run"]);
  expect(said.stdout).toContain("1 path is damaged");
  expect(said.exitCode).toBe(0);
  const repaired = await agent("repair", "latest");
  expect(repaired.json()).toMatchObject({ damaged: 1, valid: true });
}, 60_000);
