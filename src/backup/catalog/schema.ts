// The tables of catalog.db: every job with its outcome, every verification, when stored content was last read and
// matched, which files were found damaged, and what the schedule did. It can be lost: the snapshots themselves are the truth (catalog.ts rebuilds).

import type { SqliteDatabase } from "../../system/database.ts";

export type JobState = "pending" | "running" | "completed" | "failed";
export type JobKind = "create" | "verify" | "restore" | "cleanup" | "repair" | "test_restore";

export interface JobRow {
  readonly id: string;
  readonly kind: JobKind;
  readonly source: string | null;
  readonly destination: string | null;
  /** `full`, `incremental`; for a verification its mode. */
  readonly type: string | null;
  readonly tags: string;
  readonly state: JobState;
  readonly pid: number;
  readonly queued_ms: number;
  readonly started_ms: number | null;
  readonly finished_ms: number | null;
  readonly snapshot: string | null;
  readonly files: number;
  readonly bytes: number;
  readonly new_bytes: number;
  /** SHA-256 of the manifest of `snapshot`. */
  readonly checksum: string | null;
  /** Code and message of what ended it; null where nothing did. */
  readonly error_code: string | null;
  readonly error: string | null;
}

export interface VerificationRow {
  readonly snapshot: string;
  readonly at_ms: number;
  readonly user: string;
  readonly mode: "quick" | "full";
  readonly cached: number;
  readonly sample_rate: number;
  readonly valid: number;
  /** All files, from the device, nothing wrong. */
  readonly whole: number;
  readonly files_checked: number;
  readonly files_failed: number;
  /** How many of those are not in `damage`. */
  readonly unlisted: number;
  readonly bytes_checked: number;
  readonly duration_ms: number;
}

function createSchema(database: SqliteDatabase): void {
  database.run(`
    CREATE TABLE jobs (
      id TEXT PRIMARY KEY,
      kind TEXT NOT NULL,
      source TEXT,
      destination TEXT,
      type TEXT,
      tags TEXT NOT NULL DEFAULT '',
      state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed')),
      pid INTEGER NOT NULL,
      queued_ms INTEGER NOT NULL,
      started_ms INTEGER,
      finished_ms INTEGER,
      snapshot TEXT,
      files INTEGER NOT NULL DEFAULT 0,
      bytes INTEGER NOT NULL DEFAULT 0,
      new_bytes INTEGER NOT NULL DEFAULT 0,
      checksum TEXT,
      error_code TEXT,
      error TEXT
    ) STRICT`);
  database.run("CREATE INDEX jobs_by_time ON jobs (queued_ms)");
  database.run(`
    CREATE TABLE verifications (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      snapshot TEXT NOT NULL,
      at_ms INTEGER NOT NULL,
      user TEXT NOT NULL,
      mode TEXT NOT NULL,
      cached INTEGER NOT NULL,
      sample_rate REAL NOT NULL,
      valid INTEGER NOT NULL,
      whole INTEGER NOT NULL,
      files_checked INTEGER NOT NULL,
      files_failed INTEGER NOT NULL,
      bytes_checked INTEGER NOT NULL,
      duration_ms INTEGER NOT NULL
    ) STRICT`);
  database.run("CREATE INDEX verifications_by_snapshot ON verifications (snapshot, number)");
  database.run(`
    CREATE TABLE content (
      inode INTEGER NOT NULL,
      content INTEGER NOT NULL,
      at_ms INTEGER NOT NULL,
      PRIMARY KEY (inode, content)
    ) STRICT, WITHOUT ROWID`);
  database.run("CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT");
}

/** Which files were found damaged. Of what was found before nobody knows: such a row is `unlisted` as a whole. */
function addDamage(database: SqliteDatabase): void {
  database.run("ALTER TABLE verifications ADD COLUMN unlisted INTEGER NOT NULL DEFAULT 0");
  database.run("UPDATE verifications SET unlisted = max(files_failed, 1) WHERE valid = 0");
  database.run(`
    CREATE TABLE damage (
      snapshot TEXT NOT NULL,
      path BLOB NOT NULL,
      reason TEXT NOT NULL,
      inode INTEGER,
      content INTEGER,
      at_ms INTEGER NOT NULL,
      PRIMARY KEY (snapshot, path)
    ) STRICT, WITHOUT ROWID`);
  database.run("CREATE INDEX damage_by_content ON damage (inode, content)");
}

export const catalogMigrations = [createSchema, addDamage] as const;
