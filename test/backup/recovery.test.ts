// A host whose root disk died, below --root: all but the backup disk is lost and comes back, from sources backed up one by
// one. The commands of docs/guides/recovery.md are pasted by recovery-guide.test.ts.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

let root: string;
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/recovery-`));
});
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
const agent = async (...args: string[]) => {
  const run = await runCli(["--root", root, "backup", ...args]);
  expect({ args, exitCode: run.exitCode, stderr: run.stderr }).toMatchObject({ args, exitCode: 0 });
  return run;
};

test("a host whose root disk died comes back from the backup disk alone", async () => {
  const active = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(`${active}/llama`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`);
  fs.mkdirSync(`${root}/etc/citadel`, { recursive: true });
  fs.mkdirSync(`${root}/opt/citadel/configs`, { recursive: true });
  fs.writeFileSync(`${root}/etc/citadel/agent.env`, "BACKUP_RETENTION_DAYS=45\n", { mode: 0o600 });
  fs.writeFileSync(`${root}/opt/citadel/configs/vllm.yaml`, "model: llama\n");
  fs.writeFileSync(`${active}/llama/weights`, Buffer.alloc(200_000, 4));
  fs.symlinkSync("weights", `${active}/llama/link`);
  fs.chmodSync(`${active}/llama/weights`, 0o440);
  await agent("create", "/etc/citadel");
  await agent("create", "/opt/citadel/configs");
  await agent("create");
  const before = Bun.spawnSync([
    "find",
    active,
    "-printf",
    "%P %m %U %G %T@ %l\\n",
  ]).stdout.toString();

  for (const lost of ["etc", "opt", "var", "run", "mnt/citadel-models"]) {
    fs.rmSync(`${root}/${lost}`, { recursive: true, force: true });
  }
  fs.mkdirSync(`${root}/etc`);
  fs.mkdirSync(`${root}/root`);
  fs.mkdirSync(`${root}/mnt/citadel-models`);

  const listed = (await agent("list", "--json")).json<{ snapshots: { state: string }[] }>();
  expect(listed.snapshots.map(({ state }) => state)).toEqual(["complete", "complete", "complete"]);
  await agent("verify", "--all");
  await agent("restore", "latest:etc-citadel", "--to", "/etc/citadel");
  await agent("restore", "latest:opt-citadel-configs", "--to", "/root/configs-before");
  await agent("restore", "latest", "--to", "/mnt/citadel-models/active");
  expect(fs.readFileSync(`${root}/etc/citadel/agent.env`, "utf8")).toContain("45");
  expect(fs.statSync(`${root}/etc/citadel/agent.env`).mode & 0o777).toBe(0o600);
  expect(fs.readFileSync(`${root}/root/configs-before/vllm.yaml`, "utf8")).toContain("llama");
  expect(
    Bun.spawnSync(["find", active, "-printf", "%P %m %U %G %T@ %l\\n"]).stdout.toString(),
  ).toBe(before);
  await agent("restore", "latest", "--in-place", "--to", "/mnt/citadel-models/active");
  await agent("schedule", "install");
  await agent("create");
  const status = (await agent("status", "--jobs", "50", "--json")).json<{
    snapshots: number;
    jobs: { kind: string; state: string }[];
  }>();
  expect(status.snapshots).toBe(4);
  expect(status.jobs.filter(({ kind }) => kind === "create")).toHaveLength(4);
}, 60_000);
