// The files that verifications found damaged, in the catalogue: a row stays until its snapshot is proved whole, or the
// same stored content is read from the disk and matches.

import type { OpenDatabase } from "../../system/database.ts";
import { type ContentKey, contentText } from "./content-key.ts";
import { type BytePath, toBytes } from "../format/byte-path.ts";
import { damageOf, type KnownDamage, noKnownDamage } from "./known-damage.ts";
import type { VerifyReport } from "../verify/report.ts";

/** Rows in all: beyond them a disk is lost, and its snapshots count as damaged nobody knows where. */
const maxRows = 20_000;
/** The schema that has the table: an older catalogue that is only looked at knows no paths. */
const firstVersion = 2;

interface DamageRow {
  readonly snapshot: string;
  readonly path: Uint8Array;
  readonly inode: number | null;
  readonly content: number | null;
}

export class DamageTable {
  readonly #database: OpenDatabase;

  constructor(database: OpenDatabase) {
    this.#database = database;
  }

  /**
   * Takes over what a verification found; a whole one takes all that was known of its snapshot back. Inside of a
   * transaction of the caller.
   * @returns how many of its findings are not known by path
   */
  record(report: VerifyReport, atMs: number): number {
    const { handle } = this.#database;
    if (report.isWhole) handle.query("DELETE FROM damage WHERE snapshot = ?").run(report.snapshot);
    if (report.valid) return 0;
    const { files, unlisted } = damageOf(report);
    const held = handle.query<{ rows: number }, []>("SELECT count(*) AS rows FROM damage").get();
    const room = Math.max(0, maxRows - (held?.rows ?? 0));
    const insert = handle.query(
      `INSERT INTO damage (snapshot, path, reason, inode, content, at_ms) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (snapshot, path) DO UPDATE SET reason = excluded.reason, inode = excluded.inode,
       content = excluded.content, at_ms = excluded.at_ms`,
    );
    for (const { path, reason, key } of files.slice(0, room)) {
      const { inode = null, content = null } = key ?? {};
      insert.run(report.snapshot, toBytes(path), reason, inode, content, atMs);
    }
    return unlisted + Math.max(0, files.length - room);
  }

  /** What was read from the disk and matched is damaged no more. Inside of a transaction of the caller. */
  forgetContent(items: readonly ContentKey[]): void {
    const { handle } = this.#database;
    const any = handle.query("SELECT 1 FROM damage WHERE inode IS NOT NULL LIMIT 1").get();
    if (any === null) return;
    const forget = handle.query("DELETE FROM damage WHERE inode = ? AND content = ?");
    for (const { inode, content } of items) forget.run(inode, content);
  }

  /**
   * Forgets what was found in snapshots that are gone: content that others share was read since, and found damaged
   * there. Inside of a transaction of the caller.
   * @param existing ids of all snapshots there are; none: the disk is not there, and nothing is forgotten
   */
  prune(beforeMs: number, existing: ReadonlySet<string>): void {
    if (existing.size === 0) return;
    const { handle } = this.#database;
    const old = handle.query<{ snapshot: string }, [number]>(
      "SELECT DISTINCT snapshot FROM damage WHERE at_ms < ?",
    );
    const forget = handle.query("DELETE FROM damage WHERE snapshot = ? AND at_ms < ?");
    for (const { snapshot } of old.all(beforeMs)) {
      if (!existing.has(snapshot)) forget.run(snapshot, beforeMs);
    }
  }

  /** All that is known. */
  read(): KnownDamage {
    return this.#database.read("list the damaged files", () => {
      const { handle, userVersion } = this.#database;
      const damaged = `SELECT DISTINCT snapshot FROM verifications AS found WHERE valid = 0
        AND NOT EXISTS (SELECT 1 FROM verifications AS later
          WHERE later.snapshot = found.snapshot AND later.whole = 1 AND later.number > found.number)`;
      const isOld = userVersion < firstVersion;
      const unclear = handle
        .query<{ snapshot: string }, []>(isOld ? damaged : `${damaged} AND unlisted > 0`)
        .all()
        .map(({ snapshot }) => snapshot);
      if (isOld) return { ...noKnownDamage, unclear: new Set(unclear) };
      const rows = handle.query<DamageRow, []>("SELECT snapshot, path, inode, content FROM damage");
      const paths = new Map<string, Set<BytePath>>();
      const contents = new Set<string>();
      for (const { snapshot, path, inode, content } of rows.iterate()) {
        const known = paths.get(snapshot) ?? new Set<BytePath>();
        paths.set(snapshot, known.add(Buffer.from(path).toString("latin1") as BytePath));
        if (inode !== null && content !== null) contents.add(contentText({ inode, content }));
      }
      return { paths, contents, unclear: new Set(unclear) };
    });
  }
}
