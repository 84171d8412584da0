// docs/formats/catalog.md against the database that the program makes: every table and column, the limits, what a
// rebuild brings back and what it does not, and the queries of the page.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { runCli } from "../support/run-cli.ts";

const page = fs.readFileSync(new URL("../../docs/formats/catalog.md", import.meta.url), "utf8");

/** First cells of the table of a section, names apart: `a, b` are two. */
function namesOf(section: string): string[] {
  const start = page.indexOf(`\n## ${section}\n`);
  expect({ section, start: start > 0 }).toEqual({ section, start: true });
  const end = page.indexOf("\n## ", start + 1);
  const rows = page.slice(start, end).match(/^\| (?!-|column|name).*$/gm) ?? [];
  return rows.flatMap((row) => (row.split("|")[1] ?? "").trim().split(", "));
}

let root: string;
const path = () => `${root}/var/lib/citadel-agent/catalog.db`;
const agent = (...args: string[]) => runCli(["--root", root, "backup", ...args, "--json"]);
function query<T = Record<string, unknown>>(sql: string, file = path()): T[] {
  using database = new Database(file, { readonly: true });
  return database.query<T, []>(sql).all();
}

beforeAll(async () => {
  root = fs.realpathSync(fs.mkdtempSync(`${tmpdir()}/catalog-page-`));
  fs.mkdirSync(`${root}/mnt/citadel-models/active`, { recursive: true });
  fs.mkdirSync(`${root}/mnt/citadel-backup`);
  fs.writeFileSync(`${root}/mnt/citadel-models/active/w`, "weights");
  expect((await agent("create", "--tag", "daily")).exitCode).toBe(0);
  expect((await agent("verify", "latest", "--mode", "full")).exitCode).toBe(0);
  expect((await agent("restore", "latest", "--to", "/restored")).exitCode).toBe(0);
  expect((await agent("restore", "latest", "--to", "/restored", "--force")).exitCode).toBe(6);
}, 60_000);
afterAll(() => fs.rmSync(root, { recursive: true, force: true }));

test("the page names every table and every column, and no other", () => {
  const tables = query<{ name: string }>(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
  ).map(({ name }) => name);
  expect(tables).toEqual(["content", "damage", "facts", "jobs", "verifications"]);
  for (const table of ["content", "damage", "jobs", "verifications"]) {
    const columns = query<{ name: string }>(`SELECT name FROM pragma_table_info('${table}')`);
    expect(namesOf(table)).toEqual(columns.map(({ name }) => name));
  }
  const [version] = query<{ user_version: number }>("PRAGMA user_version");
  expect(page).toContain(`\`user_version\` ${version?.user_version}`);
  expect(fs.statSync(path()).mode & 0o777).toBe(0o600);
});

test("every fact that is written is on the page", () => {
  const facts = query<{ name: string }>("SELECT name FROM facts").map(({ name }) =>
    name.replace(/\.(?:daily|weekly|monthly)$/, ".TAG"),
  );
  expect(facts).toContain("rebuilt");
  const documented = namesOf("facts");
  for (const fact of facts) expect(documented).toContain(fact);
  const source = ["backup-schedule.ts", "backup-rolling.ts"]
    .map((name) => fs.readFileSync(new URL(`../../src/app/${name}`, import.meta.url), "utf8"))
    .join("");
  const written = [...source.matchAll(/`(schedule[\w-]*)\.\$\{tag\}`/g)].map(([, name]) => name);
  expect(written.length).toBeGreaterThan(0);
  for (const name of written) expect(documented).toContain(`${name}.TAG`);
});

test("the limits on the page are those of the program", () => {
  const code = fs.readFileSync(
    new URL("../../src/backup/catalog/catalog.ts", import.meta.url),
    "utf8",
  );
  const limit = (name: string) =>
    Number(new RegExp(`${name} = ([\\d_]+);`).exec(code)?.[1]?.replaceAll("_", ""));
  expect(page).toContain(`The newest ${limit("maxJobs").toLocaleString("en")} stay;`);
  expect(page.replaceAll("\n", " ")).toContain(
    `The newest ${limit("maxVerifications").toLocaleString("en")} stay.`,
  );
});

test("the queries of the page answer, and rows mean what it says", () => {
  const block = /```sql\n(.*?)```/s.exec(page)?.[1] ?? "";
  const queries = block.split(";").filter((text) => /SELECT/.test(text));
  expect(queries).toHaveLength(3);
  const [failed, verified, last] = queries.map((sql) => query(sql));
  expect(failed).toMatchObject([{ kind: "restore", error_code: "RESTORE_TARGET_NOT_EMPTY" }]);
  expect(verified).toHaveLength(1);
  expect(last).toMatchObject([{ valid: 1, files_failed: 0 }]);
  const [made] = query("SELECT * FROM jobs WHERE kind = 'create'");
  expect(made).toMatchObject({ state: "completed", tags: "daily", files: 1, bytes: 7 });
  expect(made?.["id"]).toMatch(/^\d{8}T\d{6}\.\d{3}Z-create-[0-9a-f]{6}$/);
  // each job that made or read a snapshot names its manifest, the failed restore too
  const manifest = fs.readFileSync(`${root}/mnt/citadel-backup/models/latest/manifest.jsonl`);
  const checksum = new Bun.CryptoHasher("sha256").update(manifest).digest("hex");
  const named = query("SELECT kind, state, checksum FROM jobs WHERE snapshot IS NOT NULL");
  expect(new Set(named.map(({ kind, state }) => `${kind} ${state}`))).toEqual(
    new Set(["create completed", "verify completed", "restore completed", "restore failed"]),
  );
  for (const job of named) expect(job["checksum"]).toBe(checksum);
  const stored = `${root}/mnt/citadel-backup/models/latest/data/w`;
  const content = new Bun.CryptoHasher("sha256").update("weights").digest("hex").slice(0, 12);
  expect(query("SELECT inode, content FROM content")).toContainEqual({
    inode: fs.statSync(stored).ino,
    content: Number.parseInt(content, 16),
  });
});

test("a damaged one is set aside whole and filled from the snapshots; verifications are not", async () => {
  for (const suffix of ["-wal", "-shm"]) fs.rmSync(path() + suffix, { force: true });
  const bytes = fs.readFileSync(path());
  bytes.fill(0x55, 0, 9000);
  fs.writeFileSync(path(), bytes);
  expect((await agent("list")).exitCode).toBe(0);
  expect(fs.readFileSync(path()).equals(bytes)).toBe(true); // looking sets nothing aside
  expect((await agent("restore", "latest", "--to", "/again")).exitCode).toBe(0);
  const aside = fs
    .readdirSync(`${root}/var/lib/citadel-agent`)
    .filter((name) => /^catalog\.db\.damaged-\d{8}T\d{6}Z$/.test(name));
  expect(aside).toHaveLength(1);
  expect(fs.readFileSync(`${root}/var/lib/citadel-agent/${aside[0]}`).equals(bytes)).toBe(true);
  const jobs = query("SELECT id, kind, pid, checksum, snapshot FROM jobs WHERE kind = 'create'");
  const id = fs.readlinkSync(`${root}/mnt/citadel-backup/models/latest`);
  expect(jobs).toEqual([
    {
      id: `${id}-create`,
      kind: "create",
      pid: 0,
      checksum: expect.stringMatching(/^[0-9a-f]{64}$/),
      snapshot: id,
    },
  ]);
  expect(query("SELECT * FROM verifications")).toEqual([]);
  expect(query("SELECT * FROM content")).toEqual([]);
});
