// Locks between processes, one per domain, released by the kernel when their owner dies: an open transaction on
// an empty SQLite file. It writes nothing, so it works at 0 bytes free; who holds it stands in the target of a
// symbolic link beside it, which needs no data block and is replaced in one step.

import { Database } from "bun:sqlite";
import * as fs from "node:fs";
import { CitadelError, formatTime, joinPath, type AbsolutePath } from "../core/index.ts";
import type { Clock } from "./clock.ts";
import { fromErrno, isErrno } from "./errno.ts";
import { fromSqlite } from "./sqlite-error.ts";
import { assertPrivateDirectory } from "./trusted-directory.ts";

/** `host` (layout, tune, activate), `backup-<source>`, `snapshot-<id>`, `store`, `daemon`. */
export type LockDomain = "host" | "store" | "daemon" | `backup-${string}` | `snapshot-${string}`;

export interface LockHolder {
  readonly pid: number;
  readonly sinceMs: number;
  readonly command: string;
}

export interface LockOptions {
  /** Where the lock files lie: HostPaths.runtimeDir, or a directory of the user's own. */
  readonly directory: AbsolutePath;
  readonly domain: LockDomain;
  /** What this process is doing, for the one who waits: `links create`. */
  readonly command: string;
  /** How long to wait for it; 0: try once. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** Shared locks exclude only exclusive ones. */
  readonly shared?: boolean | undefined;
}

export interface Lock extends Disposable {
  readonly domain: LockDomain;
  release(): void;
}

/**
 * Everything that holds a lock. A Database that nothing references is collected, its descriptors close and the lock
 * vanishes without a word (measured): so a lock stays reachable from here until it is released.
 */
const held = new Set<Database>();
const firstWaitMs = 5;
const longestWaitMs = 100;

/**
 * Takes a lock, waiting up to `timeoutMs`.
 * @throws kind `locked`, code `LOCKED` (exit 5) naming pid, since when and what; kind `cancelled`
 */
export async function acquireLock(options: LockOptions): Promise<Lock> {
  const deadlineMs = options.clock.monotonicMs() + options.timeoutMs;
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    const lock = tryLock(options);
    if (lock !== undefined) return lock;
    const leftMs = deadlineMs - options.clock.monotonicMs();
    if (leftMs <= 0) throw lockedError(options);
    await options.clock.sleep(Math.min(waitMs, leftMs), options.signal);
    if (options.signal?.aborted) {
      throw new CitadelError({
        kind: "cancelled",
        code: "CANCELLED",
        message: `interrupted while waiting for the lock ${options.domain}`,
        hint: "nothing was touched; run the command again",
      });
    }
  }
}

/** Takes the lock if nobody holds it. @returns undefined if someone does */
export function tryLock(
  options: Pick<LockOptions, "directory" | "domain" | "command" | "shared"> & {
    readonly clock: Pick<Clock, "nowMs">;
  },
): Lock | undefined {
  prepareDirectory(options.directory);
  const path = lockPath(options.directory, options.domain);
  const database = openLockFile(path);
  let taken = false;
  try {
    taken = begin(database, options.shared === true);
  } catch (thrown) {
    throw fromSqlite(thrown, "lock", path);
  } finally {
    if (!taken) database.close();
  }
  if (!taken) return undefined;
  held.add(database);
  const holder = options.shared === true ? undefined : `${path}.holder`;
  if (holder !== undefined) writeHolder(holder, options.command, options.clock.nowMs());
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    if (holder !== undefined) removeQuietly(holder);
    held.delete(database);
    database.close();
  };
  return { domain: options.domain, release, [Symbol.dispose]: release };
}

/** Who holds the exclusive lock, as far as can be told: the process still lives and is the one that wrote it. */
export function readLockHolder(
  directory: AbsolutePath,
  domain: LockDomain,
): LockHolder | undefined {
  try {
    const text = fs.readlinkSync(`${lockPath(directory, domain)}.holder`);
    const [pid, startTicks, sinceMs, ...command] = text.split(" ");
    if (processStart(Number(pid)) !== startTicks) return undefined;
    return { pid: Number(pid), sinceMs: Number(sinceMs), command: command.join(" ") };
  } catch {
    return undefined; // no such link, or not ours to read: the holder is simply not known
  }
}

/** Whether someone holds the lock exclusively now; looks without taking it where it can. */
export function isLockHeld(directory: AbsolutePath, domain: LockDomain): boolean {
  const path = lockPath(directory, domain);
  if (fs.statSync(path, { throwIfNoEntry: false }) === undefined) return false;
  const database = openLockFile(path, { readonly: true });
  try {
    return !begin(database, true);
  } finally {
    database.close();
  }
}

function lockPath(directory: AbsolutePath, domain: LockDomain): AbsolutePath {
  if (!/^[a-z]+(-[A-Za-z0-9._:-]{1,120})?$/.test(domain)) {
    throw new CitadelError({
      kind: "internal",
      code: "INTERNAL",
      message: `internal error: not a name for a lock: ${domain}`,
      hint: "this is a bug in citadel-agent; please report it",
    });
  }
  return joinPath(directory, `${domain}.lock`);
}

function prepareDirectory(directory: AbsolutePath): void {
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o755 });
  } catch (thrown) {
    throw fromErrno(thrown, "mkdir", directory);
  }
  assertPrivateDirectory(directory);
}

function openLockFile(path: string, options: { readonly?: boolean } = {}): Database {
  try {
    const found = fs.lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isFile()) {
      throw Object.assign(new Error("not a regular file"), { code: "ELOOP" });
    }
    // SQLite keeps the errno of a failed open to itself. Only where no file is: closing another descriptor of a file
    // would give up the locks that this process holds on it (fcntl(2)).
    if (found === undefined && options.readonly !== true) createEmpty(path);
    const database = new Database(
      path,
      options.readonly === true ? { readonly: true } : { create: true, readwrite: true },
    );
    database.run("PRAGMA busy_timeout = 0");
    return database;
  } catch (thrown) {
    if (isErrno(thrown, "SQLITE_CANTOPEN")) throw fromErrno(probe(path) ?? thrown, "open", path);
    throw fromErrno(thrown, "open", path);
  }
}

/** SQLite keeps the errno of a failed open to itself: the same open tells it. */
function probe(path: string): unknown {
  try {
    fs.closeSync(fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644));
    return undefined;
  } catch (thrown) {
    return thrown;
  }
}

function createEmpty(path: string): void {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
  fs.closeSync(fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644));
}

function begin(database: Database, shared: boolean): boolean {
  try {
    if (!shared) {
      // Taking the lock prepares a first page: with its journal in memory nothing at all is written.
      database.run("PRAGMA journal_mode = MEMORY");
      database.run("BEGIN EXCLUSIVE");
      return true;
    }
    database.run("BEGIN");
    database.query("SELECT count(*) FROM sqlite_master").get();
    return true;
  } catch (thrown) {
    if (isErrno(thrown, "SQLITE_BUSY")) return false;
    throw thrown;
  }
}

function writeHolder(path: string, command: string, sinceMs: number): void {
  const temporary = `${path}.new`; // one name: who holds the lock is alone here, and a killed one left just this
  removeQuietly(temporary);
  try {
    const text = `${process.pid} ${processStart(process.pid)} ${sinceMs} ${command}`;
    fs.symlinkSync(text.slice(0, 1000).replaceAll("\0", " "), temporary);
    fs.renameSync(temporary, path);
  } catch {
    removeQuietly(temporary); // the lock stands without it; only the message of a waiting process is poorer
  }
}

function removeQuietly(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // gone already, or the file system became read-only: the pid and start time in it decide
  }
}

/** Start time of a process in clock ticks, field 22 of proc_pid_stat(5): a pid alone is used again. */
function processStart(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function lockedError(options: LockOptions): CitadelError {
  const holder = readLockHolder(options.directory, options.domain);
  const who =
    holder === undefined
      ? "another citadel-agent"
      : `citadel-agent process ${holder.pid} (${holder.command}, since ${formatTime(holder.sinceMs)})`;
  return new CitadelError({
    kind: "locked",
    code: "LOCKED",
    message: `${who} holds the lock ${options.domain}`,
    path: lockPath(options.directory, options.domain),
    hint: "wait until it is done, or give more time with --lock-timeout",
    retry: "later",
    details: holder === undefined ? {} : { ...holder },
  });
}
