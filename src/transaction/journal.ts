// The journal: what a transaction intends, how far it is, what it became. One writer at a time (the lock of the
// domain); every method is one durable transaction of its own.

import { canonicalJson, CitadelError, type AbsolutePath } from "../core/index.ts";
import type { Clock } from "../system/index.ts";
import { openDatabase, type OpenDatabase } from "../system/database.ts";
import { journalMigrations, type OwnedKind, type TransactionRow } from "./journal-schema.ts";
import type { Operation } from "./operation.ts";
import type { Step, UndoRecord } from "./step.ts";
import { randomBytes } from "../system/random.ts";

export interface JournalOptions {
  readonly path: AbsolutePath;
  /** The journal in the runtime directory, used while the real one cannot be written. */
  readonly fallback: boolean;
  readonly clock: Pick<Clock, "nowMs">;
  readonly beforeMigration?: (() => void) | undefined;
  readonly reserveBytes?: number | undefined;
}

export interface NewTransaction {
  readonly token: string;
  readonly command: string;
  readonly user: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly planHash: string;
  readonly steps: readonly Step[];
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

export interface Commit {
  readonly endedMs: number;
  /** All annotations as they are from now on. */
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly cleanup: boolean;
}

/** Twice the rows of a plan: they, their index pages, and the commit that follows. */
const reserveFactor = 2;

export const newToken = () => randomBytes(16).toString("hex");

/** Opens the journal for changes; the caller holds the lock. A damaged one is set aside. */
export function openJournal(options: JournalOptions): Journal {
  const database = openDatabase({
    path: options.path,
    name: options.fallback ? "fallback journal" : "journal",
    synchronous: "full",
    migrations: journalMigrations,
    clock: options.clock,
    reserveBytes: options.reserveBytes,
    damage: "set-aside",
    beforeMigration: options.beforeMigration,
  });
  const journal = new Journal(database, options.fallback);
  if (database.setAside !== undefined) journal.noteSetAside(database.setAside);
  return journal;
}

export class Journal implements Disposable {
  constructor(
    readonly database: OpenDatabase,
    readonly fallback: boolean,
  ) {}

  setMeta(key: string, value: string): void {
    this.database.write("note in the journal", () => {
      this.database.handle.query("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(key, value);
    });
  }

  #meta(key: string): string | undefined {
    return this.database.handle
      .query<{ value: string }, [string]>("SELECT value FROM meta WHERE key = ?")
      .get(key)?.value;
  }

  /** Fallback journal: transactions of the main one that were undone while it could not be marked. */
  undoneInMain(): number[] {
    return JSON.parse(this.#meta("undone_in_main") ?? "[]") as number[];
  }

  hasToken(token: string): boolean {
    return this.database.read("read the journal", () => {
      const { handle } = this.database;
      return handle.query("SELECT 1 FROM transactions WHERE token = ?").get(token) !== null;
    });
  }

  /** Takes over a committed transaction of the fallback journal as the next generation. */
  importCommitted(row: TransactionRow, steps: readonly Step[]): void {
    this.database.write("merge the fallback journal", () => {
      const id = this.#insert({
        token: row.token,
        command: row.command,
        user: row.user,
        pid: row.pid,
        startedMs: row.started_ms,
        planHash: row.plan_hash,
        steps,
        contents: new Map(),
      });
      this.#commit(id, steps, {
        endedMs: row.ended_ms ?? row.started_ms,
        annotations: JSON.parse(row.annotations) as Record<string, unknown>,
        cleanup: false,
      });
    });
  }

  /** Remembers that history before this point lies in a damaged file: rollback past it is refused. */
  noteSetAside(path: string): void {
    this.setMeta("set_aside", path);
  }

  /** The transaction to undo or to clean up after, oldest first. */
  unfinished(): TransactionRow[] {
    return this.database.read("read the journal", () =>
      this.database.handle
        .query<TransactionRow, []>(
          "SELECT * FROM transactions WHERE state = 'open' OR cleanup = 1 ORDER BY id",
        )
        .all(),
    );
  }

  steps(transactionId: number): Step[] {
    return this.database.read("read the journal", () =>
      this.database.handle
        .query<StepRow, [number]>(
          "SELECT seq, op, path, data FROM steps WHERE transaction_id = ? ORDER BY seq",
        )
        .all(transactionId)
        .map(toStep),
    );
  }

  /** Makes the whole plan durable, with everything its undo needs. @returns the transaction's id */
  begin(transaction: NewTransaction): number {
    let bytes = 64 * 1024;
    for (const { operation, undo } of transaction.steps) {
      bytes += 512 + operation.path.length;
      if (undo.entries !== undefined) bytes += JSON.stringify(undo.entries).length;
    }
    for (const content of transaction.contents.values()) bytes += content.length;
    this.database.reserve(bytes * reserveFactor);
    return this.database.write("record the plan in the journal", () => this.#insert(transaction));
  }

  #insert(transaction: NewTransaction): number {
    const { handle } = this.database;
    const { lastInsertRowid } = handle
      .query(
        `INSERT INTO transactions (token, state, command, user, pid, started_ms, plan_hash, steps_total)
         VALUES (?, 'open', ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        transaction.token,
        transaction.command,
        transaction.user,
        transaction.pid,
        transaction.startedMs,
        transaction.planHash,
        transaction.steps.length,
      );
    const id = Number(lastInsertRowid);
    const insert = handle.query("INSERT INTO steps VALUES (?, ?, ?, ?, ?)");
    for (const step of transaction.steps) {
      insert.run(id, step.seq, step.operation.op, step.operation.path, toData(step));
    }
    const keep = handle.query("INSERT OR IGNORE INTO contents VALUES (?, ?)");
    for (const [sha256, content] of transaction.contents) keep.run(sha256, content);
    return id;
  }

  /** Steps 0..stepsDone-1 are on disk and flushed. */
  markDone(id: number, stepsDone: number): void {
    this.database.write("mark steps in the journal", () => {
      this.database.handle
        .query("UPDATE transactions SET steps_done = ? WHERE id = ?")
        .run(stepsDone, id);
    });
  }

  /** The commit point. @returns the generation it became */
  commit(id: number, steps: readonly Step[], commit: Commit): number {
    return this.database.write("commit in the journal", () => this.#commit(id, steps, commit));
  }

  #commit(id: number, steps: readonly Step[], commit: Commit): number {
    const { handle } = this.database;
    const last = handle
      .query<{ last: number | null }, []>("SELECT max(generation) AS last FROM transactions")
      .get();
    const generation = (last?.last ?? Number(this.#meta("first_generation") ?? 0)) + 1;
    handle
      .query(
        `UPDATE transactions SET state = 'committed', steps_done = steps_total, ended_ms = ?,
         generation = ?, annotations = ?, cleanup = ? WHERE id = ?`,
      )
      .run(
        commit.endedMs,
        generation,
        canonicalJson(commit.annotations),
        commit.cleanup ? 1 : 0,
        id,
      );
    this.#recordOwned(steps);
    return generation;
  }

  #recordOwned(steps: readonly Step[]): void {
    const { handle } = this.database;
    const add = handle.query("INSERT OR IGNORE INTO owned VALUES (?, ?, ?)");
    const drop = handle.query("DELETE FROM owned WHERE path = ? AND kind = ?");
    for (const { operation } of steps) {
      const owned = ownedBy(operation);
      if (owned !== undefined) add.run(operation.path, owned[0], owned[1]);
      else if (operation.op === "remove_dir") drop.run(operation.path, "directory");
      else if (operation.op === "remove_file") drop.run(operation.path, "file");
    }
  }

  markCleaned(id: number): void {
    this.database.write("finish the transaction in the journal", () => {
      this.database.handle.query("UPDATE transactions SET cleanup = 0 WHERE id = ?").run(id);
    });
  }

  markUndone(id: number, endedMs: number, error: string): void {
    this.database.write("close the transaction in the journal", () => {
      this.database.handle
        .query("UPDATE transactions SET state = 'undone', ended_ms = ?, error = ? WHERE id = ?")
        .run(endedMs, error, id);
    });
  }

  content(sha256: string): Uint8Array {
    const row = this.database.read("read the journal", () =>
      this.database.handle
        .query<{ data: Uint8Array }, [string]>("SELECT data FROM contents WHERE sha256 = ?")
        .get(sha256),
    );
    if (row !== null) return row.data;
    throw new CitadelError({
      kind: "integrity",
      code: "CONTENT_MISSING",
      message: `the journal holds no content with the digest ${sha256}`,
      path: this.database.path,
      hint: "restore the file from a backup",
    });
  }

  /**
   * Drops generations beyond `keep` or older than `beforeMs`, undone transactions older than that, and contents
   * nothing refers to. The newest generation and what is ours stay for ever.
   */
  prune(keep: number, beforeMs: number): void {
    const { handle } = this.database;
    const doomed = `state <> 'open' AND cleanup = 0
      AND id <> coalesce((SELECT id FROM transactions WHERE generation IS NOT NULL ORDER BY generation DESC LIMIT 1), -1)
      AND (coalesce(ended_ms, started_ms) < ?1 OR id <= coalesce(
        (SELECT id FROM transactions WHERE generation IS NOT NULL ORDER BY generation DESC LIMIT 1 OFFSET ?2), -1))`;
    const due = this.database.read("read the journal", () =>
      handle
        .query<{ n: number }, [number, number]>(
          `SELECT count(*) AS n FROM transactions WHERE ${doomed}`,
        )
        .get(beforeMs, keep),
    );
    if ((due?.n ?? 0) === 0) return;
    this.database.write("prune the journal", () => {
      handle.query(`DELETE FROM transactions WHERE ${doomed}`).run(beforeMs, keep);
      handle.run(`DELETE FROM contents WHERE sha256 NOT IN (
        SELECT coalesce(json_extract(data, '$.before.sha256'), '') FROM steps
        UNION SELECT coalesce(json_extract(data, '$.after.sha256'), '') FROM steps)`);
    });
  }

  close(): void {
    this.database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What a committed operation makes ours: the kind and the value by which we know it again. */
export function ownedBy(operation: Operation): readonly [OwnedKind, string] | undefined {
  const { op, after } = operation;
  if (after.type === "link" && (op === "create_link" || op === "replace_link" || op === "adopt")) {
    return ["link", after.target];
  }
  if (op === "make_dir") return ["directory", ""];
  if (op === "write_file" && after.type === "file") return ["file", after.sha256 ?? ""];
  return undefined;
}

export interface StepRow {
  readonly seq: number;
  readonly op: string;
  readonly path: string;
  readonly data: string;
}

function toData(step: Step): string {
  const { op: _op, path: _path, ...rest } = step.operation;
  const undo = step.undo as Readonly<Record<string, unknown>>;
  for (const key in undo) {
    if (undo[key] !== undefined) return JSON.stringify({ ...rest, undo });
  }
  return JSON.stringify(rest);
}

export function toStep(row: StepRow): Step {
  const { undo, ...rest } = JSON.parse(row.data) as Omit<Operation, "op" | "path"> & {
    undo?: UndoRecord;
  };
  const operation = { ...rest, op: row.op, path: row.path } as Operation;
  return { seq: row.seq, operation, undo: undo ?? {} };
}
