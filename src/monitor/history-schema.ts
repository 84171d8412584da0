// The tables of history.db (docs/formats/history.md). Other parts of the monitor (the outbox) keep theirs in the same
// file, so that an alert and its messages are one transaction; each table names its owner.

import type { SqliteDatabase } from "../system/database.ts";

/** `migrations[n]` takes the schema from version n to n + 1. */
export const historyMigrations: readonly ((database: SqliteDatabase) => void)[] = [
  (database) => {
    database.run(`CREATE TABLE series (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL,
      labels TEXT NOT NULL,
      UNIQUE (name, labels)
    ) STRICT`);
    database.run(`CREATE TABLE samples (
      series_id INTEGER NOT NULL,
      at_s INTEGER NOT NULL,
      value REAL NOT NULL,
      PRIMARY KEY (series_id, at_s)
    ) STRICT, WITHOUT ROWID`);
    database.run(`CREATE TABLE rollups (
      series_id INTEGER NOT NULL,
      at_s INTEGER NOT NULL,
      count INTEGER NOT NULL,
      min REAL NOT NULL,
      max REAL NOT NULL,
      sum REAL NOT NULL,
      last REAL NOT NULL,
      PRIMARY KEY (series_id, at_s)
    ) STRICT, WITHOUT ROWID`);
    database.run(`CREATE TABLE alerts (
      id INTEGER PRIMARY KEY,
      fingerprint TEXT NOT NULL,
      state TEXT NOT NULL,
      since_ms INTEGER NOT NULL,
      resolved_at_ms INTEGER,
      json TEXT NOT NULL
    ) STRICT`);
    database.run(
      "CREATE UNIQUE INDEX alerts_active ON alerts (fingerprint) WHERE state <> 'resolved'",
    );
    database.run("CREATE INDEX alerts_resolved ON alerts (resolved_at_ms)");
    database.run(`CREATE TABLE acceptances (
      fingerprint TEXT PRIMARY KEY,
      json TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`);
    database.run(`CREATE TABLE silences (
      id TEXT PRIMARY KEY,
      until_ms INTEGER NOT NULL,
      json TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`);
    database.run(`CREATE TABLE memory (
      key TEXT PRIMARY KEY,
      json TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`);
  },
  // The outbox (outbox.ts): what waits to be sent, in order of id.
  (database) => {
    database.run(`CREATE TABLE outbox (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      sink TEXT NOT NULL,
      kind TEXT NOT NULL,
      fingerprint TEXT NOT NULL,
      at_ms INTEGER NOT NULL,
      collapsed INTEGER NOT NULL DEFAULT 0,
      body TEXT NOT NULL
    ) STRICT`);
    database.run("CREATE INDEX outbox_order ON outbox (sink, id)");
  },
];
