// The compiled binary for tests that are about it: dist/citadel-agent when it is fresh, else one built for the test.

import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { binaryPath, isFresh } from "./run-cli.ts";

const root = new URL("../..", import.meta.url).pathname;
let built: string | undefined;

/** The path of a binary compiled from the sources as they are. @throws when it cannot be built */
export function builtBinary(): string {
  if (built !== undefined && existsSync(built)) return built;
  if (isFresh()) return (built = binaryPath);
  const outdir = mkdtempSync(`${tmpdir()}/citadel-built-`);
  const run = Bun.spawnSync([process.execPath, `${root}scripts/build.ts`, "--outdir", outdir], {
    cwd: root,
  });
  if (run.exitCode !== 0) throw new Error(`cannot build: ${run.stdout}${run.stderr}`);
  process.on("exit", () => Bun.spawnSync(["rm", "-rf", outdir]));
  return (built = `${outdir}/citadel-agent`);
}
