// Which failed jobs the monitor takes for failures of the backup.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

test("a failed backup of what is backed up here counts until one succeeds, a person's slip does not", async () => {
  const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/monitored-`));
  try {
    const active = `${root}/mnt/citadel-models/active`;
    fs.mkdirSync(`${active}/m`, { recursive: true });
    fs.mkdirSync(`${root}/mnt/citadel-backup`);
    fs.writeFileSync(`${active}/m/w`, "weights");
    const agent = async (...words: string[]) =>
      (await runCli(["--root", root, "backup", ...words])).exitCode;
    const failed = async () => {
      const question = JSON.stringify({ models: [], activeBytes: null, activePath: active });
      const places = [`${root}/var/lib/citadel-agent`, `${root}/mnt/citadel-backup`];
      const run = await runCli(["__child", "monitor-backups", ...places, question]);
      return run.json<{ failedJobs: { name: string }[] }>().failedJobs.map(({ name }) => name);
    };
    expect(await agent("create")).toBe(0);
    expect(await agent("create", "/mnt/mistyped")).toBe(1);
    expect(await agent("restore", "latest", "--to", "/no/such/parent")).toBe(1);
    expect(await failed()).toEqual([]);

    fs.renameSync(active, `${root}/aside`);
    expect(await agent("create")).toBe(1);
    expect(await failed()).toEqual([`create ${active}`]);
    fs.renameSync(`${root}/aside`, active);
    expect(await agent("create")).toBe(0);
    expect(await failed()).toEqual([]);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}, 60_000);
