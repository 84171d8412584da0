// Opening SQLite databases so that they survive: WAL kept on disk and grown beforehand (a full disk can then be
// read and written), flushed as asked, versions, damage, read-only and network file systems (spec/links.md, "Full
// or read-only disks", "Upgrades"). What the tables mean is the business of journal, history, catalog and store.

import { Database, constants as sqlite } from "bun:sqlite";
import * as fs from "node:fs";
import { CitadelError, parentOf, type AbsolutePath } from "../core/index.ts";
import type { Clock } from "./clock.ts";
import { syncDirectory } from "./atomic-write.ts";
import { assertLocalFileSystem, freeBallast, keepBallast } from "./database-files.ts";
import { growWal, openReadOnly, setAsideFiles } from "./database-files.ts";
import { isErrno, withErrno } from "./errno.ts";
import { lastErrno, prepareErrno } from "./libc.ts";
import { fromSqlite, isDamage } from "./sqlite-error.ts";
import { assertPrivateDirectory, assertPrivateFile } from "./trusted-directory.ts";

export type SqliteDatabase = Database;
export { databaseExists, removeDatabase } from "./database-files.ts";
export { isDamage, isUnwritable } from "./sqlite-error.ts";

export interface DatabaseOptions {
  /** `journal.db` below the state directory. The directory is made (0700) when opened for changes. */
  readonly path: AbsolutePath;
  /** For messages: `journal`, `history`. */
  readonly name: string;
  /** `full`: a commit survives a power cut. `normal`: the newest commits may be lost, the file stays sound. */
  readonly synchronous: "full" | "normal";
  /** `migrations[n]` takes the schema from user_version n to n + 1; the first one creates it. */
  readonly migrations: readonly ((database: SqliteDatabase) => void)[];
  readonly clock: Pick<Clock, "nowMs">;
  /** Pages kept in memory, in KiB; SQLite's own default is 2000. */
  readonly cacheKib?: number | undefined;
  /** The WAL is grown to at least this size, so that it can be written at 0 bytes free. Default 1 MiB. */
  readonly reserveBytes?: number | undefined;
  /** What to do with a damaged file when opened for changes. Default `throw`. */
  readonly damage?: "throw" | "set-aside" | undefined;
  /** Called before an existing database is migrated; throws while an older daemon runs. */
  readonly beforeMigration?: (() => void) | undefined;
}

/** An open database. `write` and `read` turn SQLite's errors into ours and name the file. */
export interface OpenDatabase extends Disposable {
  readonly handle: SqliteDatabase;
  readonly path: AbsolutePath;
  readonly userVersion: number;
  /** Written by a newer agent: may be read, not changed. */
  readonly tooNew: boolean;
  /** Where a damaged predecessor was put. */
  readonly setAside: string | undefined;
  /** One transaction, durable when it returns (with `full`). @param what for the message: `record the plan` */
  write<T>(what: string, change: () => T): T;
  read<T>(what: string, query: () => T): T;
  /** Grows the WAL for a transaction of this size; what does not fit on the disk is an error of the write itself. */
  reserve(sizeBytes: number): void;
  close(): void;
}

const defaultReserveBytes = 1024 * 1024;
const chunkBytes = 1024 * 1024;
const busyTimeoutMs = 5000;

/**
 * Opens a database for changes; creates or migrates it. The caller holds the lock of its domain.
 * @throws codes STATE_TOO_NEW, STATE_NOT_TRUSTED, STATE_ON_NETWORK, DATABASE_FULL, DATABASE_READ_ONLY, DATABASE_IO,
 *   DATABASE_DAMAGED (unless `damage` is `set-aside`)
 */
export function openDatabase(options: DatabaseOptions): OpenDatabase {
  const directory = parentOf(options.path);
  prepareErrno();
  try {
    withErrno("mkdir", directory, () => fs.mkdirSync(directory, { recursive: true, mode: 0o700 }));
    assertPrivateDirectory(directory);
    assertLocalFileSystem(directory);
    assertPrivateFile(options.path);
  } catch (thrown) {
    throw asUnwritable(thrown, options);
  }
  try {
    return openForChange(options, undefined);
  } catch (thrown) {
    if (freeBallast(options.path, thrown)) return openForChange(options, undefined);
    if (options.damage !== "set-aside" || !isDamage(thrown)) throw thrown;
    const aside = setAsideFiles(options.path, options.clock.nowMs());
    return openForChange(options, aside);
  }
}

/** A state directory that cannot even be made is the same to the caller as a journal that cannot be written. */
function asUnwritable(thrown: unknown, options: DatabaseOptions): unknown {
  if (!(thrown instanceof CitadelError)) return thrown;
  const errno = thrown.errno;
  if (errno !== "ENOSPC" && errno !== "EROFS" && errno !== "EIO") return thrown;
  const cause = Object.assign(new Error(thrown.message), { code: errno });
  return fromSqlite(cause, thrown.operation ?? "open", thrown.path ?? options.path);
}

function openForChange(options: DatabaseOptions, setAside: string | undefined): OpenDatabase {
  const fresh = createFile(options);
  let handle: Database | undefined;
  try {
    createCompanions(options.path, fresh);
    handle = new Database(options.path, { readwrite: true, create: false, strict: true });
    configure(handle, options);
    const found = userVersionOf(handle);
    assertWalWritable(handle, lastErrno());
    if (found > options.migrations.length) throw tooNewError(options, found);
    if (!fresh) checkSound(handle, options);
    if (found < options.migrations.length) migrate(handle, options, found);
    restartWal(handle);
    growWal(options.path, options.reserveBytes ?? defaultReserveBytes);
    keepBallast(options.path);
    if (fresh) syncDirectory(parentOf(options.path));
    return wrap(handle, options, { tooNew: false, setAside });
  } catch (thrown) {
    handle?.close();
    throw fromSqlite(thrown, `open the ${options.name}`, options.path);
  }
}

/** Creates the file 0600 whatever the umask; SQLite gives -wal and -shm the same mode. */
function createFile(options: DatabaseOptions): boolean {
  const flags =
    fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;
  try {
    const fd = fs.openSync(options.path, flags, 0o600);
    fs.fchmodSync(fd, 0o600);
    fs.closeSync(fd);
    return true;
  } catch (thrown) {
    // SQLite opens read-only, without a word, what it may not write: ask before.
    if (isErrno(thrown, "EEXIST")) return assertWritable(options);
    throw fromSqlite(thrown, `create the ${options.name}`, options.path);
  }
}

/**
 * Makes the empty files that SQLite would make beside the database, so that a full or read-only disk tells its errno.
 * Only those that are missing: closing a descriptor of a file gives up this process's locks on it (fcntl(2)).
 */
function createCompanions(path: string, fresh: boolean): void {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
  // the rollback journal is used once, for the change to WAL
  for (const suffix of fresh ? ["-journal", "-wal", "-shm"] : ["-wal", "-shm"]) {
    if (fs.lstatSync(path + suffix, { throwIfNoEntry: false }) !== undefined) continue;
    fs.closeSync(fs.openSync(path + suffix, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600));
  }
}

/** @returns whether the file is empty: created, and killed before its first schema */
function assertWritable(options: DatabaseOptions): boolean {
  try {
    fs.accessSync(options.path, fs.constants.W_OK);
    return fs.statSync(options.path).size === 0;
  } catch (thrown) {
    throw fromSqlite(thrown, `open the ${options.name}`, options.path);
  }
}

function configure(handle: Database, options: DatabaseOptions): void {
  handle.run(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
  handle.fileControl(sqlite.SQLITE_FCNTL_PERSIST_WAL, 1);
  handle.fileControl(sqlite.SQLITE_FCNTL_CHUNK_SIZE, chunkBytes);
  handle.run("PRAGMA journal_mode = WAL");
  handle.run(`PRAGMA synchronous = ${options.synchronous === "full" ? "FULL" : "NORMAL"}`);
  handle.run("PRAGMA foreign_keys = ON");
  if (options.cacheKib !== undefined) handle.run(`PRAGMA cache_size = -${options.cacheKib}`);
}

function userVersionOf(handle: Database): number {
  const row = handle.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return row?.user_version ?? 0;
}

/**
 * SQLite goes on read-only, without a word, when it cannot open the WAL for writing. Taking the write lock shows it.
 * @param errno as the opening of the WAL left it, if it left one
 */
function assertWalWritable(handle: Database, errno: string | undefined): void {
  try {
    handle.run("BEGIN IMMEDIATE");
    handle.run("ROLLBACK");
  } catch (thrown) {
    const telling = errno !== undefined && /^(ENOSPC|EROFS|EACCES|EPERM|EIO)$/.test(errno);
    if (!telling || !isErrno(thrown, "SQLITE_READONLY")) throw thrown;
    throw Object.assign(new Error(`cannot open the WAL: ${errno}`), { code: errno });
  }
}

/**
 * Copies what the WAL holds into the database, so that the next write begins at the WAL's start: a WAL found after a
 * close counts as not copied, and would grow with every run until a full disk ends it. Waits for no reader.
 */
function restartWal(handle: Database): void {
  try {
    handle.run("PRAGMA wal_checkpoint(PASSIVE)");
  } catch {
    // no space in the database file: the WAL keeps what it holds, and the write that needs more will say so
  }
}

/** Cheap for a journal of a few MiB; a larger one is judged when a page of it is read. */
function checkSound(handle: Database, options: DatabaseOptions): void {
  const limitBytes = 16 * 1024 * 1024;
  if (fs.statSync(options.path).size > limitBytes) return;
  const row = handle.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
  if (row?.quick_check === "ok") return;
  throw Object.assign(new Error(row?.quick_check ?? "no answer"), { code: "SQLITE_CORRUPT" });
}

function migrate(handle: Database, options: DatabaseOptions, found: number): void {
  if (found > 0) {
    options.beforeMigration?.();
    const copy = `${options.path}.v${found}-${options.clock.nowMs()}`;
    handle.run("VACUUM INTO ?", [copy]);
    fs.chmodSync(copy, 0o600);
  }
  handle
    .transaction(() => {
      // Another process may have been here between our look and the lock of this transaction.
      for (const step of options.migrations.slice(userVersionOf(handle))) step(handle);
      handle.run(`PRAGMA user_version = ${options.migrations.length}`);
    })
    .immediate();
}

function tooNewError(options: DatabaseOptions, found: number): CitadelError {
  return new CitadelError({
    kind: "unsupported",
    code: "STATE_TOO_NEW",
    message: `the ${options.name} ${options.path} was written by a newer citadel-agent (version ${found}, this one knows ${options.migrations.length})`,
    path: options.path,
    hint: "use the newer binary for changes; this one still reads",
    details: { found, known: options.migrations.length },
  });
}

/**
 * Opens a database to look at it: no lock, no change, also on a read-only file system.
 * @returns undefined where there is none
 * @throws kind `permission` where it is not ours to read; code DATABASE_DAMAGED
 */
export function openDatabaseForReading(
  options: Pick<DatabaseOptions, "path" | "name" | "migrations">,
): OpenDatabase | undefined {
  try {
    if (fs.statSync(options.path, { throwIfNoEntry: false }) === undefined) return undefined;
    const opened = openReadOnly(options.path);
    const full = { ...options, synchronous: "full" as const, clock: { nowMs: () => 0 } };
    const version = userVersionOf(opened);
    if (version === 0) {
      opened.close(); // created and killed before its first schema: nothing was ever recorded
      return undefined;
    }
    return wrap(opened, full, {
      tooNew: version > options.migrations.length,
      setAside: undefined,
    });
  } catch (thrown) {
    throw fromSqlite(thrown, `read the ${options.name}`, options.path);
  }
}

function wrap(
  handle: Database,
  options: DatabaseOptions,
  facts: { tooNew: boolean; setAside: string | undefined },
): OpenDatabase {
  const guarded = <T>(what: string, call: () => T): T => {
    try {
      return call();
    } catch (thrown) {
      throw fromSqlite(thrown, what, options.path);
    }
  };
  const close = () => handle.close();
  return {
    handle,
    path: options.path,
    userVersion: userVersionOf(handle),
    ...facts,
    write: (what, change) =>
      guarded(what, () => {
        const transaction = handle.transaction(change);
        try {
          return transaction.immediate();
        } catch (thrown) {
          // On a copy-on-write file system even an overwrite takes space: the ballast is there to be given up.
          if (!freeBallast(options.path, thrown)) throw thrown;
          return transaction.immediate();
        }
      }),
    read: guarded,
    reserve: (sizeBytes) => growWal(options.path, sizeBytes),
    close,
    [Symbol.dispose]: close,
  };
}
