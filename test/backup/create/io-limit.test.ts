// BACKUP_IO_LIMIT holds for files of every size.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../../support/run-cli.ts";

test("small files are read no faster than the limit", async () => {
  const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/io-limit-`));
  try {
    const source = `${root}/mnt/citadel-models/active/m`;
    fs.mkdirSync(source, { recursive: true });
    fs.mkdirSync(`${root}/mnt/citadel-backup`);
    for (let at = 0; at < 10; at += 1)
      fs.writeFileSync(`${source}/${at}`, Buffer.alloc(50_000, at + 1));
    const run = await runCli(["--root", root, "backup", "create", "--no-verify", "--json"], {
      env: { BACKUP_IO_LIMIT: "500000", BACKUP_PARALLEL_JOBS: "1" },
    });
    expect(run.json<{ duration_s: number }>().duration_s).toBeGreaterThanOrEqual(0.95);
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}, 60_000);
