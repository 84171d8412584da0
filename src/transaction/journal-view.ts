// The journal as others see it: who made what, which generation it is, what is pending. Reads the journal and the
// fallback journal, needs no lock, works on a read-only disk, and where there is no journal at all.

import { CitadelError, formatTime, joinPath, type AbsolutePath } from "../core/index.ts";
import { openDatabaseForReading, type OpenDatabase } from "../system/database.ts";
import { journalMigrations, type OwnedKind, type TransactionRow } from "./journal-schema.ts";
import { toStep, type StepRow } from "./journal.ts";
import type { Step } from "./step.ts";

export interface PendingTransaction {
  readonly id: number;
  readonly command: string;
  /** RFC 3339. */
  readonly started: string;
  readonly steps_done: number;
  readonly steps_total: number;
}

export interface Generation {
  /** The generation's number; 0 is the state before the first set-up. */
  readonly id: number;
  readonly time: string;
  readonly user: string;
  readonly command: string;
  readonly steps: number;
}

/** What planners ask. */
export interface EngineState {
  /** Targets that a committed generation wrote at this path: a link to one of them is ours. */
  ownedTargets(path: string): readonly string[];
  /** SHA-256 of the contents we ever wrote there. */
  writtenHashes(path: string): readonly string[];
  /** Whether we made the directory, link or file at this path. */
  wasMadeByUs(path: string): boolean;
  /** Every path of this kind that we ever made, sorted: to find what is ours but no longer wanted. */
  ownedPaths(kind: OwnedKind): readonly string[];
  /** The planner's own records, newest value of each key. */
  latestAnnotations(): Readonly<Record<string, unknown>>;
  /** The newest generation; 0 before the first. */
  readonly generation: number;
  readonly pending: PendingTransaction | null;
  /** Why the journal could not be read (rights, damage); undefined when it was read, or there is none. */
  readonly problem: CitadelError | undefined;
}

/** A view over open databases, newest last. Closing them is the owner's business. */
export class JournalView implements EngineState {
  constructor(
    readonly databases: readonly OpenDatabase[],
    readonly problem: CitadelError | undefined,
  ) {}

  ownedTargets(path: string): string[] {
    return this.#owned(path, "link");
  }

  writtenHashes(path: string): string[] {
    return this.#owned(path, "file");
  }

  wasMadeByUs(path: string): boolean {
    const sql = "SELECT count(*) AS n FROM owned WHERE path = ?";
    return this.#all<{ n: number }>(sql, path).some((row) => row.n > 0);
  }

  ownedPaths(kind: OwnedKind): string[] {
    const sql = "SELECT DISTINCT path FROM owned WHERE kind = ? ORDER BY path";
    return [...new Set(this.#all<{ path: string }>(sql, kind).map((row) => row.path))].sort();
  }

  latestAnnotations(): Readonly<Record<string, unknown>> {
    return this.annotationsAt(Number.MAX_SAFE_INTEGER);
  }

  /** All annotations as they were after generation `generation`. */
  annotationsAt(generation: number): Readonly<Record<string, unknown>> {
    const rows = this.#all<{ annotations: string }>(
      `SELECT annotations FROM transactions WHERE generation <= ? ORDER BY generation DESC LIMIT 1`,
      generation,
    );
    const last = rows.at(-1);
    return last === undefined ? {} : (JSON.parse(last.annotations) as Record<string, unknown>);
  }

  get generation(): number {
    const rows = this.#all<{ last: number | null }>(
      "SELECT max(generation) AS last FROM transactions",
    );
    return Math.max(0, ...rows.map((row) => row.last ?? 0));
  }

  get pending(): PendingTransaction | null {
    const row = this.#all<TransactionRow>(
      "SELECT * FROM transactions WHERE state = 'open' OR cleanup = 1 ORDER BY id LIMIT 1",
    )[0];
    if (row === undefined) return null;
    return {
      id: row.id,
      command: row.command,
      started: formatTime(row.started_ms),
      steps_done: row.steps_done,
      steps_total: row.steps_total,
    };
  }

  /** Committed generations, newest first. */
  history(): Generation[] {
    const rows = this.#all<TransactionRow>(
      "SELECT * FROM transactions WHERE generation IS NOT NULL ORDER BY generation DESC",
    );
    return rows
      .sort((a, b) => (b.generation ?? 0) - (a.generation ?? 0))
      .map((row) => ({
        id: row.generation ?? 0,
        time: formatTime(row.ended_ms ?? row.started_ms),
        user: row.user,
        command: row.command,
        steps: row.steps_total,
      }));
  }

  /** The steps of one generation, in order. */
  stepsOf(generation: number): Step[] {
    const sql = `SELECT seq, op, path, data FROM steps JOIN transactions ON id = transaction_id
      WHERE generation = ? ORDER BY seq`;
    return this.#all<StepRow>(sql, generation).map(toStep);
  }

  /** Unfinished transactions of the main journal. @param fallbackPath the database that is not the main one */
  unfinishedInMain(fallbackPath: string): TransactionRow[] {
    const sql = "SELECT * FROM transactions WHERE state = 'open' OR cleanup = 1 ORDER BY id";
    return this.#main(fallbackPath).flatMap((main) => main.#all<TransactionRow>(sql));
  }

  #main(fallbackPath: string): JournalView[] {
    const main = this.databases.filter((database) => database.path !== fallbackPath);
    return main.map((database) => new JournalView([database], undefined));
  }

  /** The steps of a transaction of any state. */
  stepsOfTransaction(row: Pick<TransactionRow, "token">): Step[] {
    const sql = `SELECT seq, op, path, data FROM steps JOIN transactions ON id = transaction_id
      WHERE token = ? ORDER BY seq`;
    return this.#all<StepRow>(sql, row.token).map(toStep);
  }

  /** A content of the journal; undefined where it holds none with this digest. */
  content(sha256: string): Uint8Array | undefined {
    return this.#all<{ data: Uint8Array }>("SELECT data FROM contents WHERE sha256 = ?", sha256)[0]
      ?.data;
  }

  /** Where a damaged predecessor of this journal was put. */
  get setAside(): string | undefined {
    return this.#all<{ value: string }>("SELECT value FROM meta WHERE key = 'set_aside'")[0]?.value;
  }

  #owned(path: string, kind: OwnedKind): string[] {
    const sql = "SELECT value FROM owned WHERE path = ? AND kind = ?";
    return [...new Set(this.#all<{ value: string }>(sql, path, kind).map((row) => row.value))];
  }

  #all<Row>(sql: string, ...parameters: (string | number)[]): Row[] {
    return this.databases.flatMap((database) =>
      database.read("read the journal", () =>
        database.handle.query<Row, (string | number)[]>(sql).all(...parameters),
      ),
    );
  }
}

export const journalName = "journal.db";
export const fallbackName = "journal-fallback.db";

/** Opens both journals for reading; what cannot be read is told by `problem`, never thrown. */
export function openJournalView(paths: {
  readonly stateDir: AbsolutePath;
  readonly runtimeDir: AbsolutePath;
}): JournalView & Disposable {
  const databases: OpenDatabase[] = [];
  let problem: CitadelError | undefined;
  for (const [directory, name] of [
    [paths.stateDir, journalName],
    [paths.runtimeDir, fallbackName],
  ] as const) {
    try {
      const opened = openDatabaseForReading({
        path: joinPath(directory, name),
        name: name === journalName ? "journal" : "fallback journal",
        migrations: journalMigrations,
      });
      if (opened !== undefined) databases.push(opened);
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown;
      problem ??= thrown;
    }
  }
  return Object.assign(new JournalView(databases, problem), {
    [Symbol.dispose]: () => databases.forEach((database) => database.close()),
  });
}
