import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { runsBinary, runCli } from "../support/run-cli.ts";

let root = "";
beforeEach(async () => {
  root = mkdtempSync(`${tmpdir()}/uninstall-`);
  expect((await agent("setup", "--yes")).exitCode).toBe(0);
});
afterEach(() => rmSync(root, { recursive: true }));

const agent = (...args: string[]) => runCli([...args, "--root", root]);
const script = () => `${root}/opt/citadel/configs/storage-env.sh`;
const state = () => `${root}/var/lib/citadel-agent/journal.db`;

test("uninstall removes the script and the state, and leaves links and directories", async () => {
  const run = await agent("uninstall", "--yes");
  expect(run.exitCode).toBe(0);
  expect(run.stdout).toContain("models and backups are never removed");
  expect(existsSync(script())).toBe(false);
  expect(existsSync(state())).toBe(false);
  expect(lstatSync(`${root}/opt/citadel/models`).isSymbolicLink()).toBe(true);
});

test("uninstall --purge-links removes our links and empty directories, never what holds a model", async () => {
  const weights = `${root}/mnt/citadel-models/active/Yi-34B-Chat/weights.safetensors`;
  writeFileSync(weights, "precious");
  const run = await agent("uninstall", "--yes", "--purge-links", "--keep-state");
  expect(run.exitCode).toBe(0);
  expect(existsSync(`${root}/opt/citadel/models`)).toBe(false);
  expect(existsSync(`${root}/opt/citadel/model-links`)).toBe(false);
  expect(existsSync(`${root}/mnt/citadel-models/staging`)).toBe(false);
  expect(existsSync(weights)).toBe(true);
  expect(existsSync(state())).toBe(true);
});

// `service install` installs the compiled binary: run from the sources there is none.
if (!runsBinary())
  console.log("skipped: units of uninstall: not the compiled program, or older than the sources");
test.skipIf(!runsBinary())(
  "uninstall takes units and tuning back with the rest, fstab byte for byte",
  async () => {
    const fstab =
      "UUID=aa /mnt/citadel-models ext4 defaults 0 2\nUUID=bb /mnt/citadel-backup ext4 defaults 0 2\n";
    mkdirSync(`${root}/etc/systemd/system`, { recursive: true });
    writeFileSync(`${root}/etc/fstab`, fstab);
    expect((await agent("service", "install")).exitCode).toBe(0);
    expect((await agent("tune", "apply", "--yes")).exitCode).toBe(4); // no kernel and no systemd below a bare root
    expect(readFileSync(`${root}/etc/fstab`, "utf8")).not.toBe(fstab);
    expect(existsSync(`${root}/etc/systemd/system/citadel-agent.service`)).toBe(true);
    const run = await agent("uninstall", "--yes", "--purge-links");
    expect(run.stderr).not.toContain("error");
    expect(run.exitCode).toBe(0);
    expect(readFileSync(`${root}/etc/fstab`, "utf8")).toBe(fstab);
    expect(existsSync(`${root}/etc/systemd/system/citadel-agent.service`)).toBe(false);
    expect(existsSync(`${root}/usr/local/bin/citadel-agent`)).toBe(false);
    expect(existsSync(`${root}/opt/citadel/models`)).toBe(false);
  },
);

test("uninstall leaves a script that somebody changed, and says so", async () => {
  appendFileSync(script(), "export MINE=1\n");
  const run = await agent("uninstall", "--yes");
  expect(run.stdout).toContain("its content is not what the agent wrote");
  expect(existsSync(script())).toBe(true);
});

test("uninstall asks, and without a terminal changes nothing", async () => {
  expect((await agent("uninstall")).exitCode).toBe(6);
  expect(existsSync(script())).toBe(true);
  expect((await agent("uninstall", "--dry-run", "--purge-links")).exitCode).toBe(0);
  expect(existsSync(script())).toBe(true);
});
