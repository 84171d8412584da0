// The tables of journal.db (docs/formats/journal.md) and what one row of them is.

import type { SqliteDatabase } from "../system/database.ts";

/** `open`: may be half done, is undone by the next change. `committed`: a generation. `undone`: all taken back. */
export type TransactionState = "open" | "committed" | "undone";

export interface TransactionRow {
  readonly id: number;
  /** Secret of this transaction, from which the names of its temporaries follow. */
  readonly token: string;
  readonly state: TransactionState;
  /** 1: committed, but the part that destroys something (deleting an adopted original) is not finished. */
  readonly cleanup: number;
  readonly generation: number | null;
  readonly command: string;
  readonly user: string;
  readonly pid: number;
  readonly started_ms: number;
  readonly ended_ms: number | null;
  readonly plan_hash: string;
  readonly steps_total: number;
  /** Steps 0..n-1 are done and flushed; the batch after them may be on disk in any part. */
  readonly steps_done: number;
  /** All annotations as they are after this generation: JSON. */
  readonly annotations: string;
  /** Why it was undone. */
  readonly error: string | null;
}

export type OwnedKind = "link" | "directory" | "file";

function createSchema(database: SqliteDatabase): void {
  database.run(`
    CREATE TABLE transactions (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      token TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('open', 'committed', 'undone')),
      cleanup INTEGER NOT NULL DEFAULT 0,
      generation INTEGER UNIQUE,
      command TEXT NOT NULL,
      user TEXT NOT NULL,
      pid INTEGER NOT NULL,
      started_ms INTEGER NOT NULL,
      ended_ms INTEGER,
      plan_hash TEXT NOT NULL,
      steps_total INTEGER NOT NULL,
      steps_done INTEGER NOT NULL DEFAULT 0,
      annotations TEXT NOT NULL DEFAULT '{}',
      error TEXT
    ) STRICT`);
  database.run(`CREATE INDEX unfinished ON transactions (state, cleanup)
    WHERE state = 'open' OR cleanup = 1`);
  database.run(`
    CREATE TABLE steps (
      transaction_id INTEGER NOT NULL REFERENCES transactions (id) ON DELETE CASCADE,
      seq INTEGER NOT NULL,
      op TEXT NOT NULL,
      path TEXT NOT NULL,
      data TEXT NOT NULL,
      PRIMARY KEY (transaction_id, seq)
    ) STRICT, WITHOUT ROWID`);
  database.run("CREATE TABLE contents (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT");
  database.run(`
    CREATE TABLE owned (
      path TEXT NOT NULL,
      kind TEXT NOT NULL,
      value TEXT NOT NULL,
      PRIMARY KEY (path, kind, value)
    ) STRICT, WITHOUT ROWID`);
  database.run("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
}

/** journalMigrations[n] takes user_version n to n + 1. Never edit one that was released: add the next. */
export const journalMigrations: readonly ((database: SqliteDatabase) => void)[] = [createSchema];
