// The backup catalogue: what was done, by whom, with what outcome, visible from every process and after a restart.
// The repository does not need it; where it is missing, damaged or cannot be written, work goes on and that is said.

import { CitadelError, joinPath, type AbsolutePath } from "../../core/index.ts";
import type { Clock } from "../../system/index.ts";
import { openDatabase, openDatabaseForReading, type OpenDatabase } from "../../system/database.ts";
import { isProcessAlive } from "../../system/process-state.ts";
import { catalogMigrations, type JobKind, type JobRow, type VerificationRow } from "./schema.ts";
import type { ContentKey } from "./content-key.ts";
import { DamageTable } from "./damage-table.ts";
import { type FoundSnapshot, listSnapshots } from "../repository.ts";
import type { VerifyReport } from "../verify/report.ts";
import { randomBytes } from "../../system/random.ts";

export interface CatalogOptions {
  readonly stateDir: AbsolutePath;
  /** From which a new or damaged catalogue is rebuilt. */
  readonly backupRoot: AbsolutePath;
  readonly clock: Pick<Clock, "nowMs">;
  readonly user: string;
  readonly pid: number;
}

export interface NewJob {
  readonly kind: JobKind;
  readonly source?: string | undefined;
  readonly destination?: string | undefined;
  readonly type?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** The one that is read; what is made is known in the end. */
  readonly about?: KnownSnapshot | undefined;
}

/** A snapshot as jobs name it. */
export interface KnownSnapshot {
  readonly snapshot: string;
  /** SHA-256 of its manifest, as snapshot.json says; undefined where that cannot be read. */
  readonly checksum: string | undefined;
}

export function knownSnapshot({ id, record }: FoundSnapshot): KnownSnapshot {
  return { snapshot: id, checksum: record?.manifest_sha256 };
}

export interface JobOutcome {
  readonly snapshot?: string | undefined;
  readonly files?: number | undefined;
  readonly bytes?: number | undefined;
  readonly newBytes?: number | undefined;
  readonly checksum?: string | undefined;
}

/** Rows kept; older finished ones go. */
const maxJobs = 10_000;
const maxVerifications = 20_000;

const catalogPath = (stateDir: AbsolutePath) => joinPath(stateDir, "catalog.db");

export class Catalog implements Disposable {
  readonly #database: OpenDatabase;
  readonly #options: CatalogOptions;
  /** Which files were found damaged. */
  readonly damage: DamageTable;

  constructor(database: OpenDatabase, options: CatalogOptions) {
    this.#database = database;
    this.#options = options;
    this.damage = new DamageTable(database);
  }

  /** Where a damaged predecessor was put. */
  get setAside(): string | undefined {
    return this.#database.setAside;
  }

  /** Records that a job waits (`pending`) or runs. @returns its id */
  startJob(job: NewJob, state: "pending" | "running" = "running"): string {
    const { clock, pid } = this.#options;
    const nowMs = clock.nowMs();
    const id = `${new Date(nowMs).toISOString().replace(/[-:]/g, "")}-${job.kind}-${randomBytes(3).toString("hex")}`;
    this.#database.write("record a job", () => {
      this.#run(
        `INSERT INTO jobs (id, kind, source, destination, type, tags, state, pid, queued_ms, started_ms, snapshot,
         checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        [
          id,
          job.kind,
          job.source ?? null,
          job.destination ?? null,
          job.type ?? null,
          (job.tags ?? []).join(","),
          state,
          pid,
          nowMs,
          state === "running" ? nowMs : null,
          job.about?.snapshot ?? null,
          job.about?.checksum ?? null,
        ],
      );
      this.#run(
        `DELETE FROM jobs WHERE state IN ('completed', 'failed') AND id NOT IN
         (SELECT id FROM jobs ORDER BY queued_ms DESC LIMIT ${maxJobs})`,
      );
    });
    return id;
  }

  /** A waiting job begins. */
  beginJob(id: string): void {
    this.#database.write("record a job", () =>
      this.#run("UPDATE jobs SET state = 'running', started_ms = ? WHERE id = ?", [
        this.#options.clock.nowMs(),
        id,
      ]),
    );
  }

  /** A job that was not to be after all: somebody was asked, and said no. */
  forgetJob(id: string): void {
    this.#database.write("forget a job", () => this.#run("DELETE FROM jobs WHERE id = ?", [id]));
  }

  /** @param failure what ended it; undefined: it completed */
  finishJob(id: string, outcome: JobOutcome, failure?: { code: string; message: string }): void {
    this.#database.write("record the outcome of a job", () =>
      this.#run(
        `UPDATE jobs SET state = ?, finished_ms = ?, snapshot = coalesce(?, snapshot), files = ?, bytes = ?,
         new_bytes = ?, checksum = coalesce(?, checksum), error_code = ?, error = ? WHERE id = ?`,
        [
          failure === undefined ? "completed" : "failed",
          this.#options.clock.nowMs(),
          outcome.snapshot ?? null,
          outcome.files ?? 0,
          outcome.bytes ?? 0,
          outcome.newBytes ?? 0,
          outcome.checksum ?? null,
          failure?.code ?? null,
          failure?.message ?? null,
          id,
        ],
      ),
    );
  }

  /** Records who verified what, when and how well, and which files were found damaged. */
  recordVerification(report: VerifyReport): void {
    const { clock, user } = this.#options;
    this.#database.write("record a verification", () => {
      const unlisted = this.damage.record(report, clock.nowMs());
      this.#run(
        `INSERT INTO verifications (snapshot, at_ms, user, mode, cached, sample_rate, valid, whole,
         files_checked, files_failed, unlisted, bytes_checked, duration_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        [
          report.snapshot,
          clock.nowMs(),
          user,
          report.mode,
          Number(report.cached),
          report.sampleRate,
          Number(report.valid),
          Number(report.isWhole),
          report.filesChecked,
          report.filesFailed,
          unlisted,
          report.bytesChecked,
          Math.round(report.durationMs),
        ],
      );
      this.#run(
        `DELETE FROM verifications WHERE number <= (SELECT max(number) FROM verifications) - ${maxVerifications}`,
      );
    });
  }

  /** Records that stored content was read from the device and matched. */
  recordContent(items: readonly ContentKey[], atMs: number): void {
    this.#database.write("record verified content", () => {
      for (const { inode, content } of items) {
        this.#run(
          `INSERT INTO content (inode, content, at_ms) VALUES (?, ?, ?)
           ON CONFLICT (inode, content) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)`,
          [inode, content, atMs],
        );
      }
      this.damage.forgetContent(items);
    });
  }

  /** When stored content was last read and matched, in ms; 0 for never. */
  verifiedAt({ inode, content }: ContentKey): number {
    return this.#database.read("look up content", () => {
      const row = this.#database.handle
        .query<{ at_ms: number }, [number, number]>(
          "SELECT at_ms FROM content WHERE inode = ? AND content = ?",
        )
        .get(inode, content);
      return row?.at_ms ?? 0;
    });
  }

  /**
   * Forgets content, and damage, that was last seen before a moment and not since: of removed snapshots.
   * @param existing ids of those there are
   */
  pruneContent(beforeMs: number, existing: ReadonlySet<string>): void {
    this.#database.write("forget content", () => {
      this.#run("DELETE FROM content WHERE at_ms < ?", [beforeMs]);
      this.damage.prune(beforeMs, existing);
    });
  }

  /** Newest first. A running job whose process is gone is a failed one. */
  jobs(limit = 100): JobRow[] {
    return this.#database.read("list the jobs", () =>
      this.#database.handle
        .query<JobRow, [number]>("SELECT * FROM jobs ORDER BY queued_ms DESC, id DESC LIMIT ?")
        .all(limit)
        .map(withoutDead),
    );
  }

  /** The last verification of each snapshot that was whole and sound. */
  verifiedSnapshots(): Map<string, { atMs: number; mode: string }> {
    const rows = this.#database.read("list the verifications", () =>
      this.#database.handle
        .query<{ snapshot: string; at_ms: number; mode: string }, []>(
          `SELECT snapshot, mode, max(at_ms) AS at_ms FROM verifications WHERE whole = 1 GROUP BY snapshot`,
        )
        .all(),
    );
    return new Map(rows.map(({ snapshot, at_ms, mode }) => [snapshot, { atMs: at_ms, mode }]));
  }

  /**
   * The last verification of each snapshot that found damage, where no later one was whole and sound: a sample that
   * passed since, or pages of the cache, prove nothing of what was found.
   */
  knownDamage(): Map<string, VerificationRow> {
    const rows = this.#database.read("list the verifications", () =>
      this.#database.handle
        .query<VerificationRow, []>(
          `SELECT * FROM verifications AS found
           WHERE number IN (SELECT max(number) FROM verifications WHERE valid = 0 GROUP BY snapshot)
           AND NOT EXISTS (SELECT 1 FROM verifications AS later
             WHERE later.snapshot = found.snapshot AND later.whole = 1 AND later.number > found.number)`,
        )
        .all(),
    );
    return new Map(rows.map((row) => [row.snapshot, row]));
  }

  fact(name: string): string | undefined {
    return this.#database.read("read a fact", () => {
      const query = this.#database.handle.query<{ value: string }, [string]>(
        "SELECT value FROM facts WHERE name = ?",
      );
      return query.get(name)?.value;
    });
  }

  setFact(name: string, value: string): void {
    this.#database.write("record a fact", () =>
      this.#run(
        "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
      ),
    );
  }

  /** Fills an empty catalogue with the snapshots on disk. @returns how many */
  rebuild(): number {
    const snapshots = listSnapshots(this.#options.backupRoot);
    this.#database.write("rebuild the catalogue", () => {
      for (const { record, directory } of snapshots) {
        if (record === undefined) continue;
        this.#run(
          `INSERT OR IGNORE INTO jobs (id, kind, source, destination, type, tags, state, pid, queued_ms,
           started_ms, finished_ms, snapshot, files, bytes, new_bytes, checksum)
           VALUES (?, 'create', ?, ?, ?, ?, 'completed', 0, ?, ?, ?, ?, ?, ?, ?, ?)`,
          [
            `${record.id}-create`,
            record.source,
            directory,
            record.type,
            record.tags.join(","),
            Date.parse(record.started),
            Date.parse(record.started),
            Date.parse(record.finished),
            record.id,
            record.counts.files,
            record.counts.bytes,
            record.counts.new_bytes,
            record.manifest_sha256,
          ],
        );
      }
    });
    return snapshots.length;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #run(sql: string, values: (string | number | null)[] = []): void {
    this.#database.handle.query(sql).run(...values);
  }
}

function withoutDead(job: JobRow): JobRow {
  if (job.state === "completed" || job.state === "failed" || isProcessAlive(job.pid)) return job;
  return {
    ...job,
    state: "failed",
    error_code: "JOB_DIED",
    error: "its process ended before it did",
  };
}

/**
 * Opens the catalogue for recording. A damaged one is put aside and a new one filled from the snapshots on disk.
 * @throws codes of openDatabase: a state directory that cannot be written
 */
export function openCatalog(options: CatalogOptions): Catalog {
  const database = openDatabase({
    path: catalogPath(options.stateDir),
    name: "backup catalogue",
    synchronous: "normal",
    migrations: catalogMigrations,
    clock: options.clock,
    damage: "set-aside",
  });
  const catalog = new Catalog(database, options);
  if (catalog.fact("rebuilt") === undefined) {
    catalog.rebuild();
    catalog.setFact("rebuilt", String(options.clock.nowMs()));
  }
  return catalog;
}

/** Opens it to look. @returns no `catalog` where none can be read, and `why`; `isMissing` where there is none at all */
export function readCatalog(options: CatalogOptions): {
  catalog?: Catalog;
  why?: string;
  isMissing?: boolean;
} {
  try {
    const database = openDatabaseForReading({
      path: catalogPath(options.stateDir),
      name: "backup catalogue",
      migrations: catalogMigrations,
    });
    if (database === undefined) return { why: "there is no catalogue", isMissing: true };
    return { catalog: new Catalog(database, options) };
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    return { why: thrown.message };
  }
}
