// docs/formats/snapshot.md tried by a stranger: the agent makes a snapshot, coreutils, jq and the tools check it and
// restore it. The commands are taken from the page itself.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

const tools = ["bash", "jq", "sha256sum", "diff", "sed", "touch"];
const missing = tools.filter((tool) => Bun.which(tool) === null);
if (missing.length > 0) console.log(`skipped: no ${missing.join(", ")}`);
const page = fs.readFileSync(new URL("../../docs/formats/snapshot.md", import.meta.url), "utf8");

/** The shell blocks of one section of the page. */
function blocks(section: string): string[] {
  const start = page.indexOf(`## ${section}`);
  const end = page.indexOf("\n## ", start + 1);
  const text = page.slice(start, end === -1 ? undefined : end);
  return [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, code]) => code ?? "");
}

let root: string;
let snapshot: string;
beforeAll(async () => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/stranger-`));
  const source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(`${source}/deep/er`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`);
  fs.writeFileSync(`${source}/model.bin`, crypto.getRandomValues(new Uint8Array(60_000)));
  fs.writeFileSync(`${source}/deep/er/with blank and ü`, "x");
  fs.linkSync(`${source}/model.bin`, `${source}/deep/twin`);
  fs.symlinkSync("../model.bin", `${source}/deep/link`);
  fs.writeFileSync(`${source}/new\nline`, "odd");
  fs.chmodSync(`${source}/deep/er`, 0o750);
  if (Bun.which("zstd") !== null) {
    fs.writeFileSync(
      `${source}/deep/packed.json`,
      JSON.stringify(Array.from({ length: 9000 }, (_, at) => at)),
    );
    fs.chmodSync(`${source}/deep/packed.json`, 0o640);
  }
  fs.utimesSync(`${source}/deep`, 1_600_000_000, 1_600_000_000);
  const made = await runCli(["--root", root, "backup", "create", "--json"]);
  snapshot = made.json<{ directory: string }>().directory;
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const shell = (script: string, cwd: string) =>
  Bun.spawnSync(["bash", "-euo", "pipefail", "-c", script], {
    cwd,
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" },
  });

/** The page's check, from inside the snapshot; without the comparison of names, which it says is for plain ones. */
function check(): { exitCode: number | null; text: string } {
  const code = (blocks("Checking one by hand")[0] ?? "").replace(/^cd .*$/m, "");
  const run = shell(code.slice(0, code.indexOf("# 4.")), snapshot);
  const lines = run.stdout.toString().split("\n");
  const isSelfSound = (lines[1] ?? "").startsWith(lines[0] ?? "?");
  return {
    exitCode: isSelfSound ? run.exitCode : 1,
    text: run.stdout.toString() + run.stderr.toString(),
  };
}

test.skipIf(missing.length > 0)(
  "a snapshot is checked with coreutils and jq alone, and damage is seen",
  () => {
    expect(check()).toMatchObject({ exitCode: 0 });
    const names =
      (blocks("Checking one by hand")[0] ?? "").split("# 4.")[1]?.split("\n").slice(1).join("\n") ??
      "";
    const compared = shell(names, snapshot);
    const wrong = compared.stdout
      .toString()
      .split("\n")
      .filter((line) => /^[<>]/.test(line) && !/new|line/.test(line));
    expect(wrong).toEqual([]);
    for (const name of ["data/model.bin", "manifest.jsonl", "SHA256SUMS", "snapshot.json"]) {
      const path = `${snapshot}/${name}`;
      const bytes = fs.readFileSync(path);
      const at = Math.floor(bytes.length / 2);
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      fs.writeFileSync(path, changed);
      expect({ name, ...check() }.exitCode).not.toBe(0);
      fs.writeFileSync(path, bytes);
    }
    expect(check()).toMatchObject({ exitCode: 0 });
  },
);

test.skipIf(missing.length > 0 || Bun.which("zstd") === null)(
  "a snapshot is restored with cp, zstd and jq alone",
  () => {
    const target = `${root}/by-hand`;
    const script = blocks("Restoring one by hand")
      .join("\n")
      .replace("/mnt/citadel-models/restored", target);
    const run = shell(script, snapshot);
    expect({ exitCode: run.exitCode, stderr: run.stderr.toString() }).toEqual({
      exitCode: 0,
      stderr: "",
    });
    const source = `${root}/mnt/citadel-models/active`;
    expect(Bun.spawnSync(["diff", "-r", "--no-dereference", source, target]).exitCode).toBe(0);
    expect(fs.statSync(`${target}/deep/er`).mode & 0o777).toBe(0o750);
    expect(fs.statSync(`${target}/deep`).mtimeMs).toBe(1_600_000_000_000);
    expect(fs.statSync(`${target}/deep/twin`).ino).toBe(fs.statSync(`${target}/model.bin`).ino);
    expect(fs.statSync(`${target}/deep/packed.json`).mode & 0o777).toBe(0o640);
  },
);
