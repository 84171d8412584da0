// What making a snapshot needs to know and what it reports. The engine states its own options; `app/backup.ts` fills
// them from the settings.

import type { AbsolutePath } from "../../core/index.ts";
import type { JsonPath } from "../format/byte-path.ts";
import type { SnapshotArea, SkippedPath } from "../format/index.ts";
import type { KnownDamage } from "../catalog/known-damage.ts";
import type { ExtraAlgorithm, PackMethod, SnapshotKind } from "../format/index.ts";

export interface CreateOptions {
  /** Real path, every link resolved. */
  readonly sourcePath: AbsolutePath;
  /** The same with one character per byte, where those are not UTF-8. */
  readonly sourceBytes?: string | undefined;
  /** The bytes of `sourceName`, then. */
  readonly sourceNameBytes?: Buffer | undefined;
  /** What the snapshot calls its source; default: its path. */
  readonly sourceName?: string | undefined;
  /** What a parent is chosen by; default: the file system and directory of the source. */
  readonly sourceIdentity?: string | undefined;
  /** Real path of the backup root. */
  readonly repositoryPath: AbsolutePath;
  readonly area: SnapshotArea;
  readonly type: SnapshotKind;
  /** `daily`, `weekly`, `monthly`. */
  readonly tags: readonly string[];
  /** 1 to 16 files at a time. */
  readonly jobs: number;
  /** Null: everything lies under `data/`. */
  readonly compression: { readonly method: PackMethod; readonly level: number } | null;
  readonly deduplicate: boolean;
  /** What was found damaged in the repository: none of it is shared. */
  readonly knownDamage?: KnownDamage | undefined;
  /** Beside sha256, which is always there. */
  readonly extraChecksums: readonly ExtraAlgorithm[];
  readonly crossFileSystems: boolean;
  readonly acceptShrink: boolean;
  /** These must lie on mounts other than `/`, or nothing is written (exit 7). */
  readonly mustBeMounted: readonly AbsolutePath[];
  /** Kept free on the backup disk, beyond what the snapshot needs. */
  readonly reserveBytes: number;
  /** Bytes read per second, all workers together; 0: no limit. */
  readonly limitBytesPerSecond: number;
  /** Runs in all when one fails with an I/O error or for a while (exit 75); each resumes the last. */
  readonly attempts: number;
  readonly retryDelayMs: number;
  /** Whether `latest` follows this snapshot: the source is the active models. */
  readonly updateLatest: boolean;
  /** What is written into snapshot.json as the settings that shaped it. */
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
  readonly tool: { readonly name: string; readonly version: string; readonly commit: string };
}

export interface CreateProgress {
  readonly activity: string;
  readonly doneBytes?: number | undefined;
  readonly totalBytes?: number | undefined;
  readonly doneItems?: number | undefined;
  readonly totalItems?: number | undefined;
  readonly current?: string | undefined;
}

/** `backup create` of spec/cli.md; names as in the document. */
export interface CreateReport {
  readonly snapshot: string;
  /** Real path of the finished snapshot. */
  readonly directory: AbsolutePath;
  readonly type: SnapshotKind;
  readonly parent: string | null;
  readonly manifest_sha256: string;
  readonly files: number;
  readonly entries: number;
  /** Content of the regular files, hard links once. */
  readonly bytes: number;
  /** Content that was copied, not linked. */
  readonly copied_bytes: number;
  readonly copied_files: number;
  /** Content that shares its blocks with the source (FICLONE): neither copied nor linked. */
  readonly cloned_bytes: number;
  readonly cloned_files: number;
  /** What of that was written: less where it was packed or shares blocks with the source, and without holes. */
  readonly written_bytes: number;
  readonly stored_bytes: number;
  readonly linked_files: number;
  /** Unchanged, and yet read again: what the parent holds of them was found damaged. */
  readonly renewed_files: number;
  /** The first 1,000 of those. */
  readonly renewed: readonly JsonPath[];
  /** Taken over from the partial of a killed run. */
  readonly resumed_files: number;
  readonly packed_files: number;
  readonly skipped: readonly SkippedPath[];
  readonly skipped_total: number;
  readonly outside_links: number;
  readonly duration_s: number;
  readonly bytes_per_s: number;
  readonly warnings: readonly string[];
}

/** What may stand in `skipped[].reason`. */
export type SkipReason =
  "changed" | "vanished" | "unreadable" | "mount_point" | "name_too_long" | "unknown_type";
