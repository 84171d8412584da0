// The commands as a user who may not look into the snapshots: what could not be read is `unknown`, never sound, never
// damaged, and nothing is planned for it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { readSnapshot, resolveSnapshot } from "../../src/backup/repository.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { cliCommand, runCli } from "../support/run-cli.ts";
import { buildSnapshot } from "../support/snapshot-builder.ts";

const isRoot = process.geteuid?.() === 0;
const skips = !isRoot || Bun.which("setpriv") === null;
if (skips) console.log("skipped: becoming somebody else takes root and setpriv");
let root: string;
let repository: string;
let made: string;
let older: string;
beforeAll(async () => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-nobody-`));
  repository = `${root}/mnt/citadel-backup`;
  fs.chmodSync(root, 0o755);
  fs.mkdirSync(`${root}/mnt/citadel-models/active`, { recursive: true });
  fs.mkdirSync(repository, { recursive: true });
  fs.writeFileSync(`${root}/mnt/citadel-models/active/w`, "weights");
  const source = `${root}/mnt/citadel-models/active`;
  older = buildSnapshot(repository, source, { atMs: Date.UTC(2020, 0, 2) }).id;
  const run = await runCli(["--root", root, "backup", "create", "--json"]);
  made = run.json<{ snapshot: string }>().snapshot;
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const asNobody = (...args: string[]) =>
  runCli(["--root", root, "backup", ...args], {
    command: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...cliCommand()],
  });

test.skipIf(!isRoot)("a snapshot that a caller may not read is neither sound nor damaged", () => {
  const directory = `${repository}/models/${made}` as AbsolutePath;
  process.seteuid?.(65534);
  try {
    expect(readSnapshot(directory, "models")).toMatchObject({ state: "unknown" });
    for (const name of ["latest", "latest:mnt-citadel-models-active", made, directory]) {
      expect(() => resolveSnapshot(repository, name, [])).toThrow(
        expect.objectContaining({ kind: "permission" }),
      );
    }
  } finally {
    process.seteuid?.(0);
  }
});

test.skipIf(skips)(
  "list and status say unknown, why, and what would help; nothing is called complete or never verified",
  async () => {
    const list = await asNobody("list", "--json");
    expect(list.exitCode).toBe(0);
    expect(list.stderr).toContain("run the command as root");
    const { snapshots, catalogue } = list.json<{
      snapshots: { id: string; state: string; why: string; verified_at: string | null }[];
      catalogue: string;
    }>();
    expect(snapshots.map(({ id, state }) => [id, state])).toEqual([
      [older, "unknown"],
      [made, "unknown"],
    ]);
    expect(snapshots.every(({ why }) => why.includes("EACCES"))).toBe(true);
    expect(catalogue).not.toBe("ok");
    const text = (await asNobody("list")).stdout;
    expect(text).not.toMatch(/complete|never/);
    const status = await asNobody("status", "--json");
    expect(status.exitCode).toBe(0);
    expect(status.json()).toMatchObject({ snapshots: 0, damaged: [], unknown: [older, made] });
    expect(status.json()["last_complete"]).toBeNull();
    const shown = await asNobody("status");
    expect(shown.stderr).toContain("run the command as root");
    expect(shown.stdout).toContain("2 that cannot be read");
    expect(shown.stdout).toContain("last verified whole unknown");
  },
  60_000,
);

test.skipIf(skips)(
  "verify and cleanup refuse what they cannot read, rather than call it damaged or plan its removal",
  async () => {
    for (const args of [
      ["verify", "--all"],
      ["verify", "latest"],
      ["verify", older],
      ["cleanup", "--dry-run"],
      ["cleanup", "--yes"],
    ]) {
      const run = await asNobody(...args, "--json");
      const { error } = run.json<{ error: { code: string; hint: string } }>();
      expect({ args, exitCode: run.exitCode, code: error.code }).toEqual({
        args,
        exitCode: 1,
        code: "PERMISSION",
      });
      expect(error.hint).toContain("as root");
    }
  },
  60_000,
);

test.skipIf(skips)(
  "the monitor's child says nothing of backups that it may not read, rather than that there are none",
  async () => {
    const question = JSON.stringify({ models: [], activeBytes: null, activePath: "/" });
    const words = ["__child", "monitor-backups", `${root}/var/lib/citadel-agent`, repository];
    const command = cliCommand();
    const run = await runCli([...words, question], {
      command: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...command],
    });
    expect(run.exitCode).not.toBe(0);
    expect(run.stdout).toBe("");
    const asRoot = await runCli([...words, question]);
    expect({ exitCode: asRoot.exitCode, facts: asRoot.json() }).toMatchObject({
      exitCode: 0,
      facts: { snapshots: 2 },
    });
  },
  60_000,
);

test.skipIf(skips)(
  "among snapshots that can be read, one that cannot is not a pass of verify --all",
  async () => {
    const own = `${repository}/models/${older}`;
    const give = (uid: number) => Bun.spawnSync(["chown", "-R", `${uid}:${uid}`, own]);
    give(65534);
    try {
      const run = await asNobody("verify", "--all", "--json");
      expect(run.exitCode).toBe(3);
      const { valid, snapshots } = run.json<{
        valid: boolean;
        snapshots: { snapshot: string; valid: boolean; failures: { reason: string }[] }[];
      }>();
      expect(valid).toBe(false);
      expect(snapshots.map((one) => [one.snapshot, one.valid, one.failures[0]?.reason])).toEqual([
        [older, true, undefined],
        [made, false, "unreadable"],
      ]);
      expect(run.stderr).toContain(`${made} was not checked`);
    } finally {
      give(0);
    }
  },
  60_000,
);
