// Errors of the calls that go through libc keep their names and meanings; the errors are injected by strace.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { straceAvailable } from "../support/crash.ts";

if (!straceAvailable) console.log("skipped: errors of system calls need strace");

const handle = `${import.meta.dir}/../../src/system/directory-handle.ts`;
/** Makes a link and renames it; prints the code and errno of the error. */
const program = `
  import { openSync } from "node:fs";
  import { DirectoryHandle } from ${JSON.stringify(handle)};
  const directory = process.argv.at(-1);
  const opened = new DirectoryHandle(directory, openSync(directory, "r"));
  try { opened.symlink("target", "new"); opened.rename("new", "link"); console.log("done"); }
  catch (error) { console.log(error.operation, error.code, error.errno); }
`;

test.skipIf(!straceAvailable).each([
  ["symlinkat", "ENOTCONN", "symlink MOUNT_DEAD ENOTCONN"],
  ["renameat", "ENOTCONN", "rename MOUNT_DEAD ENOTCONN"],
  ["symlinkat", "ESTALE", "symlink MOUNT_STALE ESTALE"],
  ["renameat", "ESTALE", "rename MOUNT_STALE ESTALE"],
  ["symlinkat", "ENOMEM", "symlink SYSTEM_CALL_FAILED ENOMEM"],
  ["renameat", "ETIMEDOUT", "rename SYSTEM_CALL_FAILED ETIMEDOUT"],
  ["renameat", "EROFS", "rename READ_ONLY EROFS"],
])(
  "%s that fails with %s says %s",
  (call, errno, said) => {
    const directory = mkdtempSync(`${tmpdir()}/citadel-errno-`);
    try {
      const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:error=${errno}`];
      const words = ["strace", "-f", "-qq", "-o", "/dev/null", ...inject];
      const run = Bun.spawnSync([...words, process.execPath, "-e", program, directory], {
        timeout: 30_000,
      });
      expect(run.stdout.toString().trim()).toBe(said);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
  60_000,
);
