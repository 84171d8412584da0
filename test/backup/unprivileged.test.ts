import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { readSnapshot, resolveSnapshot } from "../../src/backup/repository.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { runCli } from "../support/run-cli.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("skipped: only root can become somebody else");
let root: string;
beforeAll(async () => {
  root = fs.mkdtempSync(`${tmpdir()}/citadel-nobody-`);
  fs.chmodSync(root, 0o755);
  fs.mkdirSync(`${root}/mnt/citadel-models/active`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
  fs.writeFileSync(`${root}/mnt/citadel-models/active/w`, "weights");
  await runCli(["--root", root, "backup", "create"]);
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

test.skipIf(!isRoot)("a snapshot that a caller may not read is not called damaged", () => {
  const backupRoot = `${root}/mnt/citadel-backup`;
  const directory = fs.realpathSync(`${backupRoot}/models/latest`) as AbsolutePath;
  process.seteuid?.(65534);
  try {
    expect(readSnapshot(directory, "models")).toMatchObject({ state: "complete" });
    expect(() => resolveSnapshot(backupRoot, "latest", [])).toThrow("cannot be read");
  } finally {
    process.seteuid?.(0);
  }
});
