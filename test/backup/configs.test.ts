// `backup create --configs` keeps what a host is rebuilt from, and no secret unless asked.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { Database } from "bun:sqlite";
import { tmpdir } from "node:os";
import type { AbsolutePath } from "../../src/core/index.ts";
import { readBelow } from "../../src/system/config-staging.ts";
import { pinDirectory } from "../../src/system/pinned-directory.ts";

interface Document {
  readonly snapshot: string;
  readonly directory: string;
  readonly verified: { readonly files_checked: number } | null;
  readonly warnings: readonly string[];
  readonly linked_files: number;
  readonly copied_bytes: number;
}

function runAgent(root: string, ...words: string[]): Document {
  const main = `${import.meta.dir}/../../src/main.ts`;
  const child = Bun.spawnSync(
    [process.execPath, main, "--root", root, "--json", "backup", "create", ...words],
    { cwd: root, env: { PATH: process.env["PATH"] ?? "" } },
  );
  expect(child.stderr.toString().replaceAll(/^warning: .*\n/gm, "")).toBe("");
  expect(child.exitCode).toBe(0);
  return JSON.parse(child.stdout.toString()) as Document;
}

test("a configuration snapshot holds files at their host paths, whole databases, and secrets only when asked", () => {
  const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-configs-`));
  try {
    const put = (path: string, text: string, mode = 0o644) => {
      fs.mkdirSync(`${root}${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      fs.writeFileSync(`${root}${path}`, text, { mode });
    };
    fs.mkdirSync(`${root}/mnt/citadel-backup`, { recursive: true });
    put(
      "/etc/citadel/agent.yml",
      "# http_token_file: /etc/citadel/token\npaths:\n  app_root: /opt/citadel\n",
    );
    put("/etc/citadel/notes.env", "SOME_API_TOKEN=abcdef123456\n");
    put("/etc/citadel/token", "s3cret", 0o600);
    put("/etc/fstab", "UUID=1 / ext4 defaults 0 1\n");
    put("/opt/citadel/configs/vllm.json", "{}");
    fs.symlinkSync("vllm.json", `${root}/opt/citadel/configs/current`);
    fs.mkdirSync(`${root}/opt/citadel/configs/empty`, { mode: 0o750 });
    put("/etc/systemd/system/citadel-agent.service", "[Service]\n");
    put("/etc/systemd/system/other.service", "[Service]\n");
    fs.mkdirSync(`${root}/var/lib/citadel-agent`, { recursive: true });
    const database = new Database(`${root}/var/lib/citadel-agent/example.db`);
    database.run("PRAGMA journal_mode = WAL");
    database.run("CREATE TABLE t (x)");
    database.run("INSERT INTO t VALUES (42)"); // still in the write-ahead log

    const plan = runAgent(root, "--configs", "--dry-run") as unknown as {
      files: number;
      skipped: { path: string }[];
      plan_hash: string;
    };
    expect(plan.skipped.map(({ path }) => path).sort()).toEqual([
      "/etc/citadel/notes.env",
      "/etc/citadel/token",
    ]);
    expect(plan.files).toBe(5);
    expect(plan).toMatchObject({ parent: null, copy_files: 5, link_files: 0 });
    expect(fs.readdirSync(`${root}/mnt/citadel-backup`)).toEqual([]);
    expect(fs.existsSync(`${root}/var/lib/citadel-agent/configs-staging`)).toBe(false);

    const one = runAgent(root, "--configs", "--plan-hash", plan.plan_hash);
    const data = `${one.directory}/data`;
    expect(fs.readFileSync(`${data}/etc/citadel/agent.yml`, "utf8")).toContain("http_token_file");
    for (const path of [
      "etc/fstab",
      "opt/citadel/configs/vllm.json",
      "etc/systemd/system/citadel-agent.service",
    ]) {
      expect(fs.existsSync(`${data}/${path}`)).toBe(true);
    }
    expect(fs.readlinkSync(`${data}/opt/citadel/configs/current`)).toBe("vllm.json");
    expect(fs.statSync(`${data}/opt/citadel/configs/empty`).mode & 0o7777).toBe(0o750);
    for (const path of [
      "etc/citadel/token",
      "etc/citadel/notes.env",
      "etc/systemd/system/other.service",
    ]) {
      expect(fs.existsSync(`${data}/${path}`)).toBe(false);
    }
    const told = one.warnings.filter((text) => text.startsWith("left out, holds secrets"));
    expect(told.map((text) => text.split(": ").at(-1)).sort()).toEqual([
      "/etc/citadel/notes.env",
      "/etc/citadel/token",
    ]);
    const copy = new Database(`${data}/var/lib/citadel-agent/example.db`, { readonly: true });
    expect(copy.query("SELECT x FROM t").get()).toEqual({ x: 42 });
    copy.close();
    database.close();
    expect(fs.existsSync(`${root}/var/lib/citadel-agent/configs-staging`)).toBe(false);

    // the plan knows the parent and what is in it; of databases only a copy could tell
    const next = runAgent(root, "--configs", "--dry-run");
    const { snapshot } = one;
    expect(next).toMatchObject({ parent: snapshot, files: 6, copy_files: 2, link_files: 4 });
    expect(one.verified).toMatchObject({ valid: true, files_failed: 0 });
    expect(one.verified?.files_checked).toBeGreaterThan(0);

    const full = runAgent(root, "--configs", "--type", "full", "--no-verify");
    expect(full).toMatchObject({ linked_files: 0, type: "full" });
    expect(runAgent(root, "--configs", "--type", "full", "--dry-run")).toMatchObject({
      parent: null,
      link_files: 0,
    });

    const two = runAgent(root, "--configs", "--with-secrets", "--no-verify");
    expect(two.verified).toBeNull();
    expect(fs.readFileSync(`${two.directory}/data/etc/citadel/token`, "utf8")).toBe("s3cret");
    expect(fs.statSync(`${two.directory}/data/etc/citadel/notes.env`).mode & 0o777).toBe(0o600);
    expect(fs.statSync(two.directory).mode & 0o777).toBe(0o700);
    expect(two.linked_files).toBeGreaterThan(0);
    const ino = (directory: string) => fs.statSync(`${directory}/data/etc/fstab`).ino;
    expect(ino(two.directory)).toBe(ino(full.directory));
    expect(ino(two.directory)).not.toBe(ino(one.directory));
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}, 60_000);

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("skipped: giving a directory to another user takes root");

test.skipIf(!isRoot)(
  "what the owner of configs/ links or hard-links into it from elsewhere does not come into root's snapshot",
  () => {
    const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-configs-`));
    try {
      const configs = `${root}/opt/citadel/configs`;
      for (const path of [`${root}/mnt/citadel-backup`, `${configs}/inner`, `${root}/private`]) {
        fs.mkdirSync(path, { recursive: true });
      }
      fs.writeFileSync(`${root}/private/kubeconfig`, "not for him");
      fs.writeFileSync(`${configs}/own.json`, "{}");
      fs.writeFileSync(`${configs}/inner/own.json`, "{}");
      fs.linkSync(`${root}/private/kubeconfig`, `${configs}/inner/hard`);
      fs.symlinkSync(`${root}/private/kubeconfig`, `${configs}/soft`);
      fs.symlinkSync(`${root}/private`, `${configs}/directory`);
      Bun.spawnSync(["mkfifo", `${configs}/fifo`]);
      for (const path of [configs, `${configs}/inner`]) fs.chownSync(path, 12_345, 12_345);
      const { directory, warnings } = runAgent(root, "--configs", "--with-secrets");
      const data = `${directory}/data/opt/citadel/configs`;
      expect(fs.readdirSync(data).sort()).toEqual(["directory", "inner", "own.json", "soft"]);
      // as links, and nothing of what they lead to
      expect(fs.readlinkSync(`${data}/soft`)).toBe(`${root}/private/kubeconfig`);
      expect(fs.readlinkSync(`${data}/directory`)).toBe(`${root}/private`);
      expect(warnings.join()).toContain("/opt/citadel/configs/fifo");
      expect(fs.statSync(data)).toMatchObject({ uid: 12_345, gid: 12_345 });
      expect(fs.readdirSync(`${data}/inner`)).toEqual(["own.json"]);
      expect(warnings.join()).toContain("/opt/citadel/configs/inner/hard");

      fs.renameSync(configs, `${configs}.away`);
      fs.symlinkSync(`${root}/private`, configs);
      fs.lchownSync(configs, 12_345, 12_345);
      const second = runAgent(root, "--configs", "--with-secrets", "--accept-shrink");
      expect(fs.existsSync(`${second.directory}/data/opt`)).toBe(false);
      expect(second.warnings.join()).toContain("configs");
    } finally {
      fs.rmSync(root, { recursive: true, force: true });
    }
  },
  60_000,
);

test("a file that is swapped for a link to a private one in a loop is never read through it", async () => {
  const root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/citadel-configs-`));
  const swap = `
    const fs = require("node:fs");
    const [a, b, spare] = ["${root}/d", "${root}/other", "${root}/spare"];
    process.stdout.write("at work");
    for (;;) { fs.renameSync(a, spare); fs.renameSync(b, a); fs.renameSync(a, b); fs.renameSync(spare, a); }`;
  fs.mkdirSync(`${root}/d`);
  fs.mkdirSync(`${root}/private`);
  fs.writeFileSync(`${root}/d/file`, "open");
  fs.writeFileSync(`${root}/private/file`, "private");
  fs.symlinkSync("private", `${root}/other`);
  const swapper = Bun.spawn([process.execPath, "-e", swap], { stdout: "pipe" });
  await swapper.stdout.getReader().read();
  try {
    using top = pinDirectory(root as AbsolutePath);
    const seen = new Set<string | undefined>();
    for (let round = 0; round < 3000; round += 1) {
      const found = readBelow(top, ["d", "file"], 100);
      seen.add(found?.content.toString());
    }
    expect(seen.has("private")).toBe(false);
    expect(seen.has("open")).toBe(true);
  } finally {
    swapper.kill();
    await swapper.exited;
    fs.rmSync(root, { recursive: true, force: true });
  }
});
