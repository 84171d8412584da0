// `backup create --configs` keeps what a host is rebuilt from, and no secret unless asked.

import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { Database } from "bun:sqlite";
import { tmpdir } from "node:os";

interface Document {
  readonly directory: string;
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
    put("/etc/systemd/system/citadel-agent.service", "[Service]\n");
    put("/etc/systemd/system/other.service", "[Service]\n");
    fs.mkdirSync(`${root}/var/lib/citadel-agent`, { recursive: true });
    const database = new Database(`${root}/var/lib/citadel-agent/example.db`);
    database.run("PRAGMA journal_mode = WAL");
    database.run("CREATE TABLE t (x)");
    database.run("INSERT INTO t VALUES (42)"); // still in the write-ahead log

    const one = runAgent(root, "--configs");
    const data = `${one.directory}/data`;
    expect(fs.readFileSync(`${data}/etc/citadel/agent.yml`, "utf8")).toContain("http_token_file");
    for (const path of [
      "etc/fstab",
      "opt/citadel/configs/vllm.json",
      "etc/systemd/system/citadel-agent.service",
    ]) {
      expect(fs.existsSync(`${data}/${path}`)).toBe(true);
    }
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

    const two = runAgent(root, "--configs", "--with-secrets");
    expect(fs.readFileSync(`${two.directory}/data/etc/citadel/token`, "utf8")).toBe("s3cret");
    expect(fs.statSync(`${two.directory}/data/etc/citadel/notes.env`).mode & 0o777).toBe(0o600);
    expect(fs.statSync(two.directory).mode & 0o777).toBe(0o700);
    const ino = (directory: string) => fs.statSync(`${directory}/data/etc/fstab`).ino;
    expect(ino(two.directory)).toBe(ino(one.directory));
  } finally {
    fs.rmSync(root, { recursive: true, force: true });
  }
}, 60_000);
