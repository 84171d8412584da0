// Look-up tables that may grow larger than memory: a temporary SQLite file, never flushed, gone with its owner.

import { Database, type Statement } from "bun:sqlite";
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { ChainedRows } from "../core/chained-rows.ts";
import { CitadelError } from "../core/index.ts";
import { withErrno } from "./errno.ts";

/** Content that is stored already: where, under which attributes. */
export interface StoredContent {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Mode, owner and attributes as one text: equal texts may share an inode. */
  readonly attributes: string;
  /** Path in the tree it belongs to, one character per byte. */
  readonly path: string;
  /** Absolute path of the stored bytes, one character per byte. */
  readonly stored: string;
  readonly mtimeNs: bigint;
  /** JSON of what else belongs to it. */
  readonly details: string;
}

interface ContentRow {
  readonly sha256: string;
  readonly size: number;
  readonly attributes: string;
  readonly path: string;
  readonly stored: string;
  readonly mtime: string;
  readonly details: string;
}

const schema = `
  PRAGMA journal_mode = OFF;
  PRAGMA synchronous = OFF;
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA cache_size = -8192;
  CREATE TABLE content (sha256 TEXT, size INTEGER, attributes TEXT, path TEXT, stored TEXT, mtime TEXT, details TEXT);
  CREATE INDEX content_size ON content (size) WHERE size > 1048576;
  CREATE TABLE line (path TEXT PRIMARY KEY, flag TEXT, text TEXT) WITHOUT ROWID;
  CREATE TABLE kept (path TEXT PRIMARY KEY) WITHOUT ROWID;
`;

const rowsPerTransaction = 5000;
/** Copies of one content that are looked at: all but the newest few have all the links they can take. */
const maxEqual = 16;

/**
 * Makes the file, opens it as a database, and sees that both are one: SQLite resolves every link of the path by
 * itself (sqlite3 os_unix.c, unixFullPathname), `/proc/self/fd/N` included, and could be led elsewhere.
 */
function openMade(path: string): Database {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
  const fd = withErrno("open", path, () => openSync(path, flags, 0o600));
  try {
    const database = new Database(path, { create: false, readwrite: true });
    if (countOpen(fd) > 1) return database;
    database.close();
  } finally {
    closeSync(fd);
  }
  throw new CitadelError({
    kind: "conflict",
    code: "HOST_CHANGED",
    message: `${path} was swapped while it was opened`,
    path,
    hint: "see who else writes to this directory, then run the command again",
  });
}

/** How many descriptors of this process are of the same file as `fd`, itself included. */
function countOpen(fd: number): number {
  const wanted = fstatSync(fd, { bigint: true });
  return readdirSync("/proc/self/fd").filter((name) => {
    const stat = statSync(`/proc/self/fd/${name}`, { bigint: true, throwIfNoEntry: false });
    return stat?.ino === wanted.ino && stat.dev === wanted.dev;
  }).length;
}

function keyOf(sha256: string): number {
  return Number.parseInt(sha256.slice(0, 8), 16);
}

/** More content than this is not looked for: it is stored again, and the memory for it stays below 30 MiB. */
const maxContentRows = 2_000_000;

export class ScratchIndex implements Disposable {
  readonly #database: Database;
  readonly #path: string;
  readonly #statements = new Map<string, Statement>();
  /**
   * From the start of a hash to the rows that may have it. An index on random hashes in the file would turn over its
   * pages at every row (measured: 130 of 180 microseconds per file), and none would read every row for every file.
   */
  readonly #byHash = new ChainedRows();
  #pending = 0;

  /**
   * @param path of the file to make; one that is there already is removed
   * @throws kind `conflict`, code HOST_CHANGED, where somebody swapped a part of the path meanwhile
   */
  constructor(path: string) {
    this.#path = path;
    this.#remove();
    this.#database = openMade(path);
    this.#database.run(schema);
  }

  #remove(): void {
    try {
      unlinkSync(this.#path);
    } catch {
      // it was not there
    }
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #change(sql: string, ...values: (string | number)[]): void {
    if (this.#pending === 0) this.#database.run("BEGIN");
    this.#statement(sql).run(...values);
    this.#pending += 1;
    if (this.#pending < rowsPerTransaction) return;
    this.#database.run("COMMIT");
    this.#pending = 0;
  }

  addContent(content: StoredContent): void {
    if (this.#byHash.count >= maxContentRows) return;
    this.#byHash.add(keyOf(content.sha256));
    this.#change(
      "INSERT INTO content VALUES (?, ?, ?, ?, ?, ?, ?)",
      content.sha256,
      content.sizeBytes,
      content.attributes,
      content.path,
      content.stored,
      content.mtimeNs.toString(),
      content.details,
    );
  }

  /** Stored content with this hash, the newest first. */
  findBySha256(sha256: string): StoredContent[] {
    // the start of the hash led to these rows; the whole hash decides
    const sql = "SELECT * FROM content WHERE rowid = ? AND sha256 = ?";
    const found: StoredContent[] = [];
    let row = this.#byHash.newest(keyOf(sha256));
    for (let looked = 0; row !== 0 && looked < maxEqual; looked += 1) {
      found.push(...this.#find(sql, row, sha256));
      row = this.#byHash.older(row);
    }
    return found;
  }

  /** Stored content of this size, which is above 1 MiB, the newest first. */
  findBySize(sizeBytes: number): StoredContent[] {
    return this.#find(
      "SELECT * FROM content WHERE size > 1048576 AND size = ? ORDER BY rowid DESC LIMIT 64",
      sizeBytes,
    );
  }

  #find(sql: string, ...keys: (string | number)[]): StoredContent[] {
    return (this.#statement(sql).all(...keys) as ContentRow[]).map((row) => ({
      sha256: row.sha256,
      sizeBytes: row.size,
      attributes: row.attributes,
      path: row.path,
      stored: row.stored,
      mtimeNs: BigInt(row.mtime),
      details: row.details,
    }));
  }

  /** Keeps a line by its path; a later one replaces it. */
  putLine(path: string, flag: string, text: string): void {
    this.#change("INSERT OR REPLACE INTO line VALUES (?, ?, ?)", path, flag, text);
  }

  findLine(path: string): { flag: string; text: string } | undefined {
    const row = this.#statement("SELECT flag, text FROM line WHERE path = ?").get(path);
    return (row as { flag: string; text: string } | null) ?? undefined;
  }

  markKept(path: string): void {
    this.#change("INSERT OR IGNORE INTO kept VALUES (?)", path);
  }

  isKept(path: string): boolean {
    return this.#statement("SELECT 1 FROM kept WHERE path = ?").get(path) !== null;
  }

  [Symbol.dispose](): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#database.close();
    this.#remove();
  }
}
