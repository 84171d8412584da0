// Sizes that no test has time for: one directory of a million files, and a sparse file of a tebibyte. Prints the time and
// the peak memory of each command; exits 1 where one fails, or takes more than 150 MiB (spec/backup.md, Bars).
// Usage: bun scripts/campaign-huge.ts [--entries N] [--sparse-gib N] [--dir DIR] [--agent FILE]
//
// --entries 0 or --sparse-gib 0 leaves that part out. A tebibyte of zeros takes SHA-256 the better part of an hour.

import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({
  options: {
    entries: { type: "string", default: "1000000" },
    "sparse-gib": { type: "string", default: "1024" },
    dir: { type: "string", default: tmpdir() },
    agent: { type: "string", default: `${import.meta.dir}/../dist/citadel-agent` },
  },
});
const limitMib = 150;
const root = mkdtempSync(`${flags.dir}/citadel-huge-`);
process.on("exit", () => rmSync(root, { recursive: true, force: true }));
mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
let failed = false;

async function measure(what: string, ...words: string[]): Promise<void> {
  const started = performance.now();
  const child = Bun.spawn([flags.agent, "--root", root, "--yes", "backup", ...words], {
    stdout: "ignore",
    stderr: "pipe",
    env: { ...process.env, BACKUP_RESERVE_BYTES: "0" },
  });
  const errors = await new Response(child.stderr).text();
  const exitCode = await child.exited;
  const peakMib = (child.resourceUsage()?.maxRSS ?? 0) / 1024 / 1024;
  const seconds = (performance.now() - started) / 1000;
  const isFine = exitCode === 0 && peakMib <= limitMib;
  failed ||= !isFine;
  console.log(
    `${isFine ? "ok    " : "FAILED"} ${what}: ${seconds.toFixed(0)} s, ${peakMib.toFixed(0)} MiB, exit ${exitCode}`,
  );
  if (exitCode !== 0) console.log(errors.slice(-2000));
}

async function manyFiles(count: number): Promise<void> {
  const source = `${root}/many`;
  mkdirSync(source);
  for (let at = 0; at < count; at += 1) writeFileSync(`${source}/file-${at}.json`, `{"at":${at}}`);
  const name = `${count} files in one directory`;
  await measure(`${name}, create`, "create", "/many", "--plain", "--no-verify");
  await measure(`${name}, unchanged`, "create", "/many", "--plain", "--no-verify");
  await measure(`${name}, verify`, "verify", "latest:many", "--mode", "full");
}

async function sparseFile(gib: number): Promise<void> {
  mkdirSync(`${root}/sparse`);
  const fd = openSync(`${root}/sparse/image`, "w");
  ftruncateSync(fd, gib * 1024 ** 3);
  closeSync(fd);
  await measure(`a sparse file of ${gib} GiB, create`, "create", "/sparse", "--no-verify");
}

if (Number(flags.entries) > 0) await manyFiles(Number(flags.entries));
if (Number(flags["sparse-gib"]) > 0) await sparseFile(Number(flags["sparse-gib"]));
process.exit(failed ? 1 : 0);
