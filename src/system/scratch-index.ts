// Look-up tables that may grow larger than memory: a temporary SQLite file, never flushed, gone with its owner.

import { Database, type Statement } from "bun:sqlite";
import { unlinkSync } from "node:fs";

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
  CREATE INDEX content_sha256 ON content (sha256);
  CREATE INDEX content_size ON content (size);
  CREATE TABLE line (path TEXT PRIMARY KEY, flag TEXT, text TEXT) WITHOUT ROWID;
  CREATE TABLE kept (path TEXT PRIMARY KEY) WITHOUT ROWID;
`;

const rowsPerTransaction = 5000;

export class ScratchIndex implements Disposable {
  readonly #database: Database;
  readonly #path: string;
  readonly #statements = new Map<string, Statement>();
  #pending = 0;

  /** @param path of the file to make; one that is there already is removed */
  constructor(path: string) {
    this.#path = path;
    this.#remove();
    this.#database = new Database(path, { create: true, readwrite: true });
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
    return this.#find(
      "SELECT * FROM content WHERE sha256 = ? ORDER BY rowid DESC LIMIT 16",
      sha256,
    );
  }

  /** Stored content of this size, the newest first. */
  findBySize(sizeBytes: number): StoredContent[] {
    return this.#find(
      "SELECT * FROM content WHERE size = ? ORDER BY rowid DESC LIMIT 64",
      sizeBytes,
    );
  }

  #find(sql: string, key: string | number): StoredContent[] {
    return (this.#statement(sql).all(key) as ContentRow[]).map((row) => ({
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
