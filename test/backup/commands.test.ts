// The commands as people run them, below --root, with snapshots of the test builder.

import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";
import { buildSnapshot, type Built } from "../support/snapshot-builder.ts";

let root: string;
let source: string;
let first: Built;
let second: Built;
beforeAll(() => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/backup-cli-`));
  source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(`${source}/llama`, { recursive: true });
  fs.writeFileSync(`${source}/llama/config.json`, JSON.stringify({ a: 1 }));
  fs.writeFileSync(`${source}/llama/model.safetensors`, Buffer.alloc(300_000, 5));
  const repository = `${root}/mnt/citadel-backup`;
  first = buildSnapshot(repository, source, { atMs: Date.UTC(2026, 0, 2) });
  second = buildSnapshot(repository, source, {
    atMs: Date.UTC(2026, 0, 3),
    kind: "incremental",
    linkTo: first.directory,
  });
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

const agent = (...args: string[]) => runCli(["--root", root, ...args]);
type Json = Record<string, any>;

test("backup list shows every snapshot, from the backup disk alone", async () => {
  fs.rmSync(`${root}/var`, { recursive: true, force: true });
  const run = await agent("backup", "list", "--json");
  expect(run.exitCode).toBe(0);
  const { snapshots } = run.json<{ snapshots: Json[] }>();
  expect(
    snapshots.map(({ id, state, files, verified_at }) => [id, state, files, verified_at]),
  ).toEqual([
    [first.id, "complete", 2, null],
    [second.id, "complete", 2, null],
  ]);
  expect((await agent("backup", "list")).stdout).toContain(second.id);
}, 60_000);

test("backup verify takes ids, paths, latest, and the forms of the seeds", async () => {
  const forms = [
    [first.id],
    ["latest"],
    [],
    ["latest:active"],
    [second.directory],
    ["/mnt/citadel-backup/latest_backup", "0.1"],
    ["latest", "--mode", "full", "--cached"],
    ["latest", "--rotate"],
    ["--all"],
  ];
  for (const form of forms) {
    const run = await agent("backup", "verify", ...form, "--json");
    expect({ form, exitCode: run.exitCode, stderr: run.stderr }).toEqual({
      form,
      exitCode: 0,
      stderr: "",
    });
    expect(run.json()["valid"]).toBe(true);
  }
  const { snapshots } = (await agent("backup", "list", "--json")).json<{ snapshots: Json[] }>();
  expect(snapshots.every(({ verified_at }) => verified_at !== null)).toBe(true);
}, 60_000);

test("an unknown id is exit 3 and valid: false, never a pass; a bad rate is exit 2", async () => {
  const run = await agent("backup", "verify", "nothing", "--json");
  expect(run.exitCode).toBe(3);
  expect(run.json()["valid"]).toBe(false);
  for (const rate of ["-1", "1.5", "many"]) {
    expect((await agent("backup", "verify", "latest", "--sample", rate)).exitCode).toBe(2);
  }
}, 60_000);

test("damage is exit 3, named with its bytes, in text and JSON; --all names every sharer", async () => {
  const path = `${first.directory}/data/llama/model.safetensors`;
  const fd = fs.openSync(path, "r+");
  fs.writeSync(fd, "x", 1000);
  const run = await agent("backup", "verify", first.id, "--json");
  expect(run.exitCode).toBe(3);
  const [failure] = run.json<{ failures: Json[] }>().failures;
  expect(failure).toMatchObject({
    path: "llama/model.safetensors",
    area: "data",
    reason: "content",
    ranges: [[0, 300_000]],
  });
  const all = await agent("backup", "verify", "--all", "--json");
  expect(all.json<{ snapshots: Json[] }>().snapshots.map(({ valid }) => valid)).toEqual([
    false,
    false,
  ]);
  expect((await agent("backup", "verify", first.id)).stdout).toContain("NOT VALID");
  fs.writeSync(fd, Buffer.of(5), 0, 1, 1000);
  fs.closeSync(fd);
  expect((await agent("backup", "verify", "--all")).exitCode).toBe(0);
}, 60_000);

test("backup restore brings the tree back; by id, by time, in part, in place", async () => {
  const run = await agent("backup", "restore", "latest", "--to", "/restored", "--json");
  expect({ exitCode: run.exitCode, stderr: run.stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(run.json()).toMatchObject({ snapshot: second.id, files: 2, failed: [] });
  expect(fs.readFileSync(`${root}/restored/llama/model.safetensors`).length).toBe(300_000);
  const then = await agent(
    "backup",
    "restore",
    "--at",
    "2026-01-02T12:00:00Z",
    "--to",
    "/then",
    "--path",
    "**/config.json",
    "--json",
  );
  expect(then.json()).toMatchObject({ snapshot: first.id, files: 1 });
  expect((await agent("backup", "restore", "latest", "--to", "/restored")).exitCode).toBe(6);
  fs.writeFileSync(`${root}/restored/llama/config.json`, "{}");
  const place = ["backup", "restore", "latest", "--in-place", "--to", "/restored"];
  expect((await agent(...place)).exitCode).toBe(6);
  expect((await agent(...place, "--force")).exitCode).toBe(6);
  expect((await agent(...place, "--force", "--dry-run", "--json")).json()).toMatchObject({
    replace: 1,
  });
  expect((await agent(...place, "--force", "--yes")).exitCode).toBe(0);
  expect(fs.readFileSync(`${root}/restored/llama/config.json`, "utf8")).toBe('{"a":1}');
  expect((await agent("backup", "restore", "--to", "/x")).exitCode).toBe(2);
}, 60_000);

test("ten rotations of a tenth read every file, by what the catalogue remembers", async () => {
  for (let at = 0; at < 23; at += 1) fs.writeFileSync(`${source}/llama/f${at}`, `file ${at}`);
  const { id } = buildSnapshot(`${root}/mnt/citadel-backup`, source, {
    atMs: Date.UTC(2026, 0, 4),
  });
  let checked = 0;
  for (let run = 0; run < 10; run += 1) {
    checked += (await agent("backup", "verify", id, "--rotate", "--json")).json<{
      files_checked: number;
    }>().files_checked;
  }
  expect(checked).toBe(30);
  const { Database } = await import("bun:sqlite");
  using catalog = new Database(`${root}/var/lib/citadel-agent/catalog.db`, { readonly: true });
  const inodes = new Set(
    fs
      .readdirSync(`${root}/mnt/citadel-backup/models/${id}/data/llama`)
      .map((name) => fs.statSync(`${root}/mnt/citadel-backup/models/${id}/data/llama/${name}`).ino),
  );
  const known = catalog
    .query<{ inode: number }, []>("SELECT inode FROM content")
    .all()
    .map(({ inode }) => inode);
  expect([...inodes].filter((ino) => !known.includes(ino))).toEqual([]);
}, 60_000);
