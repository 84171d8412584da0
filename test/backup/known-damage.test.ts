// What a verification found damaged is shared with no new snapshot: not by path, not by inode, not by content, and not
// by a run that goes on where a killed one ended.

import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { openCatalog, type Catalog } from "../../src/backup/catalog/catalog.ts";
import { catalogMigrations } from "../../src/backup/catalog/schema.ts";
import { contentKey } from "../../src/backup/catalog/content-key.ts";
import { openArea, openPartial } from "../../src/backup/create/partial.ts";
import type { CreateReport } from "../../src/backup/create/options.ts";
import { fromText, type FileEntry } from "../../src/backup/format/index.ts";
import { noKnownDamage } from "../../src/backup/catalog/known-damage.ts";
import type { VerifyFailure, VerifyReport } from "../../src/backup/verify/report.ts";
import { verifySnapshot } from "../../src/backup/verify/verify.ts";
import { readSnapshot } from "../../src/backup/repository.ts";
import type { AbsolutePath } from "../../src/core/index.ts";
import { createSystem, systemClock } from "../../src/system/index.ts";
import { letSourceSettle, manifestOf, openBackupWorld } from "../support/create-snapshot.ts";
import { runCli } from "../support/run-cli.ts";

const made: string[] = [];
afterAll(() => {
  for (const path of made) fs.rmSync(path, { recursive: true, force: true });
});
function fresh(): string {
  const path = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/known-damage-`));
  made.push(path);
  return path;
}

function catalogAt(stateDir: string, backupRoot: string): Catalog {
  return openCatalog({
    stateDir: stateDir as AbsolutePath,
    backupRoot: backupRoot as AbsolutePath,
    clock: systemClock,
    user: "test",
    pid: process.pid,
  });
}

function flip(path: string): void {
  const fd = fs.openSync(path, "r+");
  const byte = Buffer.alloc(1);
  fs.readSync(fd, byte, 0, 1, 100);
  byte[0] = (byte[0] ?? 0) ^ 1;
  fs.writeSync(fd, byte, 0, 1, 100);
  fs.closeSync(fd);
}

const inode = (path: string) => fs.statSync(path).ino;

async function check(directory: string): Promise<VerifyReport> {
  const snapshot = readSnapshot(directory as AbsolutePath, "models");
  if (snapshot === undefined) throw new Error("no snapshot");
  const options = { mode: "full", cached: false, sampleRate: 1, seed: 0, cores: 2 } as const;
  return verifySnapshot(snapshot, options, { clock: systemClock });
}

/** A backup root with a source, and what its verifications found. */
class World implements Disposable {
  readonly world = openBackupWorld(fresh());
  readonly catalog = catalogAt(fresh(), this.world.repository);

  write(name: string, content: string | Uint8Array): void {
    fs.mkdirSync(`${this.world.source}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    fs.writeFileSync(`${this.world.source}/${name}`, content);
  }

  async create(more: Parameters<typeof this.world.create>[0] = {}): Promise<CreateReport> {
    await letSourceSettle();
    return this.world.create({ knownDamage: this.catalog.damage.read(), ...more });
  }

  async verify({ directory }: CreateReport): Promise<VerifyReport> {
    const report = await check(directory);
    this.catalog.recordVerification(report);
    return report;
  }

  [Symbol.dispose](): void {
    this.catalog[Symbol.dispose]();
    this.world[Symbol.dispose]();
  }
}

const random = (size: number) => crypto.getRandomValues(new Uint8Array(size));

test("an unchanged file that is damaged in the parent is read again; its neighbours are linked", async () => {
  using world = new World();
  for (let at = 0; at < 40; at += 1) world.write(`many/${at + 10}`, `file ${at} `.repeat(50));
  world.write("weights", random(40_000));
  const parent = await world.create();
  flip(`${parent.directory}/data/many/23`);
  flip(`${parent.directory}/data/weights`);
  expect((await world.verify(parent)).filesFailed).toBe(2);

  const child = await world.create();
  expect(child).toMatchObject({ parent: parent.snapshot, renewed_files: 2, copied_files: 2 });
  expect(child).toMatchObject({ linked_files: 39, skipped_total: 0 });
  expect(child.renewed).toEqual([{ path: "many/23" }, { path: "weights" }]);
  expect(child.warnings.join()).toContain(
    `the parent ${parent.snapshot} was found damaged: 2 files of it are not shared`,
  );
  const at = (report: CreateReport, path: string) => inode(`${report.directory}/data/${path}`);
  expect(at(child, "many/22")).toBe(at(parent, "many/22"));
  expect(at(child, "many/23")).not.toBe(at(parent, "many/23"));
  expect(await world.verify(child)).toMatchObject({ valid: true, isWhole: true });

  const next = await world.create(); // the sound child is built on, and nothing is said any more
  expect(next).toMatchObject({ parent: child.snapshot, renewed_files: 0, renewed: [] });
  expect(next.warnings.join()).not.toContain("damaged");
});

test("content that was found damaged under the name of another snapshot is not shared either", async () => {
  using world = new World();
  world.write("a", random(10_000));
  world.write("b", random(10_000));
  const first = await world.create();
  const second = await world.create();
  flip(`${first.directory}/data/a`); // one inode with that of the second
  expect((await world.verify(first)).filesFailed).toBe(1);
  const third = await world.create();
  expect(third).toMatchObject({
    parent: second.snapshot,
    renewed: [{ path: "a" }],
    linked_files: 1,
  });
  expect((await check(third.directory)).valid).toBe(true);
});

test("a moved file is not deduplicated onto content that was found damaged, packed or not", async () => {
  for (const compression of [null, { method: "zstd", level: 3 } as const]) {
    using world = new World();
    world.write("large", new Uint8Array(6_000_000).fill(7)); // large: looked for before it is read
    world.write("small", "the same again and again ".repeat(2000));
    const parent = await world.create({ compression });
    const below = compression === null ? "data" : "packed";
    const end = compression === null ? "" : ".zst";
    for (const name of ["large", "small"]) flip(`${parent.directory}/${below}/${name}${end}`);
    expect((await world.verify(parent)).filesFailed).toBe(2);
    for (const name of ["large", "small"]) {
      fs.renameSync(`${world.world.source}/${name}`, `${world.world.source}/moved-${name}`);
    }
    const child = await world.create({ compression });
    expect(child).toMatchObject({ linked_files: 0, copied_files: 2, renewed_files: 0 });
    expect((await check(child.directory)).valid).toBe(true);
  }
});

test.each(["a file", "nobody knows where"])(
  "a run that goes on with a partial leaves what that had linked to damaged content: %s",
  async (what) => {
    using world = new World();
    world.write("a", random(10_000));
    const parent = await world.create();
    const { source, repository } = world.world;
    fs.renameSync(`${source}/a`, `${source}/b`);
    await letSourceSettle();
    // as a run leaves it that was killed after it had found b's content in the parent
    const record = JSON.parse(fs.readFileSync(`${parent.directory}/snapshot.json`, "utf8"));
    const area = openArea(repository as AbsolutePath, "models", true);
    if (area === undefined) throw new Error("no area");
    const kind = {
      sourceIdentity: record.source_identity,
      source,
      type: "incremental",
      compression: "none",
      checksums: "",
    };
    const partial = openPartial(area, `${parent.snapshot.slice(0, -4)}0000`, kind, createSystem());
    const entry = manifestOf(parent.directory).get("a") as FileEntry;
    const { ctimeNs } = fs.statSync(`${source}/b`, { bigint: true });
    fs.linkSync(`${parent.directory}/data/a`, `${partial.directory}/data/b`);
    partial.record({ ...entry, path: fromText("b"), ctimeNs }, true);
    partial.flushJournal();
    partial[Symbol.dispose]();
    area[Symbol.dispose]();

    flip(`${parent.directory}/data/a`);
    if (what === "a file") expect((await world.verify(parent)).filesFailed).toBe(1);
    const unclear = { ...noKnownDamage, unclear: new Set([parent.snapshot]) };
    const child = await world.create(what === "a file" ? {} : { knownDamage: unclear });
    expect(child).toMatchObject({ resumed_files: 0, copied_files: 1 });
    expect((await check(child.directory)).valid).toBe(true);
  },
);

test("a parent that is damaged nobody knows where is passed over for the newest sound one, or none", async () => {
  using world = new World();
  world.write("a", random(10_000));
  const first = await world.create();
  const second = await world.create();
  const finding = (path: string): VerifyFailure => ({
    path: fromText(path),
    reason: "damaged",
    ranges: [],
  });
  const report = await check(second.directory);
  const found = { valid: false, isWhole: false, filesFailed: 1, failures: [finding("SHA256SUMS")] };
  world.catalog.recordVerification({ ...report, ...found });
  expect((await world.create()).parent).not.toBe(first.snapshot); // no file is in doubt for its list
  world.catalog.recordVerification({ ...report, ...found, failures: [finding("manifest.jsonl")] });
  const damage = world.catalog.damage.read();
  expect([...damage.unclear]).toEqual([second.snapshot]);
  const third = await world.create({
    knownDamage: { ...damage, unclear: new Set([second.snapshot]) },
  });
  expect(third.parent).not.toBe(second.snapshot);

  const all = new Set(
    fs.readdirSync(`${world.world.repository}/models`).filter((name) => name !== "latest"),
  );
  const alone = await world.create({ knownDamage: { ...damage, unclear: all } });
  expect(alone).toMatchObject({ parent: null, linked_files: 0, copied_files: 1 });
  expect(alone.warnings.filter((text) => text.includes("not in which of its files"))).toHaveLength(
    all.size,
  );
});

test("what was found damaged is forgotten when it is proved: its snapshot whole, or the same content", async () => {
  using world = new World();
  world.write("a", random(10_000));
  world.write("b", random(10_000));
  const { directory, snapshot } = await world.create();
  const sound = await check(directory);
  const { sha256 } = manifestOf(directory).get("a") as FileEntry;
  const ino = fs.statSync(`${directory}/data/a`, { bigint: true }).ino;
  const failures: VerifyFailure[] = [
    { path: fromText("data/a"), reason: "content", ranges: [], stored: { ino, sha256 } },
    { path: fromText("data/b"), reason: "missing", ranges: [] },
  ];
  const found = { ...sound, valid: false, isWhole: false, filesFailed: 2, failures };
  const { catalog } = world;
  const paths = () => [...(catalog.damage.read().paths.get(snapshot) ?? [])].map(String).sort();
  catalog.recordVerification(found);
  expect(paths()).toEqual(["data/a", "data/b"]);
  catalog.recordVerification({ ...sound, isWhole: false }); // a sample, or pages of the cache
  catalog.recordContent([contentKey(ino + 1n, sha256)], 1);
  expect(paths()).toEqual(["data/a", "data/b"]);
  catalog.recordContent([contentKey(ino, sha256)], 1);
  expect(paths()).toEqual(["data/b"]);
  catalog.recordVerification(sound);
  expect(paths()).toEqual([]);

  catalog.recordVerification(found);
  const later = Date.now() + 1000;
  catalog.pruneContent(later, new Set());
  catalog.pruneContent(later, new Set([snapshot, "another"]));
  expect(paths()).toEqual(["data/a", "data/b"]);
  catalog.pruneContent(later, new Set(["another"]));
  expect(paths()).toEqual([]);
});

test("more damage than is kept path by path makes the whole snapshot unfit", async () => {
  using world = new World();
  world.write("a", "a");
  const { directory, snapshot } = await world.create();
  const sound = await check(directory);
  const failures = Array.from({ length: 10_000 }, (_, at): VerifyFailure => ({
    path: fromText(`data/${at}`),
    reason: "content",
    ranges: [],
  }));
  const { catalog } = world;
  const found = { ...sound, valid: false, isWhole: false, filesFailed: 10_000, failures };
  for (const id of [snapshot, "second"]) catalog.recordVerification({ ...found, snapshot: id });
  expect([...catalog.damage.read().unclear]).toEqual([]);
  catalog.recordVerification({ ...found, snapshot: "third" });
  expect([...catalog.damage.read().unclear]).toEqual(["third"]);
  expect(catalog.damage.read().paths.size).toBe(2);
});

test("a catalogue of before is taken over: what it calls damaged is so nobody knows where", () => {
  const stateDir = fresh();
  const database = new Database(`${stateDir}/catalog.db`);
  catalogMigrations[0](database);
  database.run("PRAGMA user_version = 1");
  const insert = database.prepare(
    `INSERT INTO verifications (snapshot, at_ms, user, mode, cached, sample_rate, valid, whole, files_checked,
     files_failed, bytes_checked, duration_ms) VALUES (?, 0, 'root', 'full', 0, 1, ?, ?, 1, ?, 1, 1)`,
  );
  insert.run("damaged", 0, 0, 1);
  insert.run("healed", 0, 0, 1);
  insert.run("healed", 1, 1, 0);
  insert.run("sound", 1, 1, 0);
  database.close();
  fs.chmodSync(stateDir, 0o700);
  using catalog = catalogAt(stateDir, fresh());
  expect([...catalog.damage.read().unclear]).toEqual(["damaged"]);
});

test("backup create says what it read again, in its output, in JSON and in its plan", async () => {
  const root = fresh();
  const source = `${root}/mnt/citadel-models/active`;
  fs.mkdirSync(source, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`);
  fs.writeFileSync(`${source}/weights`, random(50_000));
  fs.writeFileSync(`${source}/other`, "x".repeat(500));
  await letSourceSettle();
  const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args]);
  const parent = (await agent("create", "--plain", "--json")).json<CreateReport>();
  flip(`${parent.directory}/data/weights`);
  expect((await agent("verify", parent.snapshot)).exitCode).toBe(3);
  const plan = await agent("create", "--dry-run", "--json");
  expect(plan.json()).toMatchObject({ copy_files: 1, copy_bytes: 50_000, link_files: 1 });
  const json = await agent("create", "--plain", "--json");
  expect({ exitCode: json.exitCode, stderr: json.stderr }).toMatchObject({ exitCode: 0 });
  expect(json.json()).toMatchObject({
    renewed_files: 1,
    renewed: [{ path: "weights" }],
    linked_files: 1,
  });
  expect(json.stderr).toContain(`the parent ${parent.snapshot} was found damaged: 1 file of it is`);

  const child = json.json<CreateReport>();
  flip(`${child.directory}/data/weights`);
  expect((await agent("verify", child.snapshot)).exitCode).toBe(3);
  const text = await agent("create", "--plain");
  expect(text.stdout).toContain(
    "renewed    1 unchanged file, read from the source again: damaged in the parent",
  );
  expect((await agent("verify", "latest", "--mode", "full")).exitCode).toBe(0);
}, 60_000);
