// snapshot.json: what a snapshot is, and the hashes that everything else hangs on. It carries the SHA-256 of its
// own bytes too (`self_sha256`, computed with 64 zeros in its place), so that a damaged one is seen as such.

import { CitadelError } from "../../core/index.ts";
import { parseSnapshotId, type SnapshotKind } from "./ids.ts";
import type { PackMethod } from "./manifest.ts";

export const snapshotJsonName = "snapshot.json";
export const formatVersion = 1;
/** A thousand skipped paths of 4 KiB, told twice, fit in; a larger one is not ours. */
export const maxSnapshotJsonBytes = 16 * 1024 * 1024;

/** More skipped paths than these are only counted. */
export const maxSkippedListed = 1000;

/** A path that is not in the snapshot although the source had it. */
export interface SkippedPath {
  readonly path: string;
  readonly path_b64?: string | undefined;
  /** `changed`, `unreadable`, `mount_point`, … */
  readonly reason: string;
}

export interface SnapshotCounts {
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  /** FIFOs, sockets, devices: recorded, not stored. */
  readonly others: number;
  /** Content of the regular files, each name of a hard-linked file counted once only. */
  readonly bytes: number;
  /** Content that this snapshot stored anew (copied, a killed run before included; not linked to another snapshot). */
  readonly new_bytes: number;
  /** What that takes as stored: packed, without holes; what shares blocks with the source takes none. Not in older ones. */
  readonly new_stored_bytes?: number;
  /** What its files take as stored (packed ones compressed, holes left out), hard links counted once. */
  readonly stored_bytes: number;
  /** Blocks that its files took on the disk of the source: the next one needs what has come since. Not in older ones. */
  readonly source_blocks_bytes?: number;
  /** Files taken over from another snapshot by a hard link. */
  readonly linked_files: number;
  readonly packed_files: number;
  readonly skipped: number;
  readonly outside_links: number;
}

/** The document, field by field as it is stored; times are RFC 3339 UTC. */
export interface SnapshotRecord {
  readonly format: 1;
  readonly id: string;
  readonly host: string;
  /** Absolute path of the source on its host, as it was given. */
  readonly source: string;
  readonly source_b64?: string | undefined;
  /** What the source really is (file system and directory), by which a parent is chosen: never by its name. */
  readonly source_identity: string;
  readonly type: SnapshotKind;
  /** `models`, `configs` or `system`: the part of the repository it lies in. */
  readonly area: SnapshotArea;
  /** `daily`, `weekly`, `monthly`: the schedules that asked for it; empty for a plain backup. */
  readonly tags: readonly string[];
  readonly parent: string | null;
  readonly started: string;
  readonly finished: string;
  readonly counts: SnapshotCounts;
  readonly skipped: readonly SkippedPath[];
  /** The source had lost more than half against the parent, and --accept-shrink was given. */
  readonly shrunk: boolean;
  /** Whether `data/` alone holds the content of every file. */
  readonly plain: boolean;
  readonly compression: PackMethod | null;
  readonly chunk_size: number;
  /** Always `sha256` first. */
  readonly checksums: readonly string[];
  readonly manifest_sha256: string;
  readonly manifest_bytes: number;
  /** SHA-256 of `SHA256SUMS`, `SHA256SUMS.packed` and further lists, by file name. */
  readonly sums_sha256: Readonly<Record<string, string>>;
  /** The settings that shaped it. */
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
  readonly tool: { readonly name: string; readonly version: string; readonly commit: string };
}

export type SnapshotArea = "models" | "configs" | "system";

/** Where each area's snapshots lie below the backup root. */
export const areaDirectories: Record<SnapshotArea, string> = {
  models: "models",
  configs: "configs",
  system: "system/snapshots",
};

const zeros = "0".repeat(64);
const selfField = /^ {2}"self_sha256": "([0-9a-f]{64})"$/m;

/** The file's text, indented, `self_sha256` last. */
export function formatSnapshotJson(record: SnapshotRecord): string {
  const text = `${JSON.stringify({ ...record, self_sha256: zeros }, null, 2)}\n`;
  const digest = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  const cut = text.lastIndexOf(zeros);
  return text.slice(0, cut) + digest + text.slice(cut + zeros.length);
}

function damaged(why: string): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "SNAPSHOT_JSON_DAMAGED",
    message: `${snapshotJsonName}: ${why}`,
    hint: "this snapshot cannot be trusted as it is; see `citadel-agent backup list` for another one",
  });
}

const text = (value: unknown) => typeof value === "string";
const number = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;
const object = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const textOrNull = (value: unknown) => value === null || text(value);
const hash = (value: unknown) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const time = (value: unknown) => typeof value === "string" && !Number.isNaN(Date.parse(value));

const checks: Record<string, (value: unknown) => boolean> = {
  format: (value) => value === formatVersion,
  id: (value) => typeof value === "string" && parseSnapshotId(value) !== undefined,
  host: text,
  source: text,
  source_b64: (value) => value === undefined || text(value),
  source_identity: text,
  type: (value) => value === "full" || value === "incremental",
  area: (value) => typeof value === "string" && Object.hasOwn(areaDirectories, value),
  tags: (value) => Array.isArray(value) && value.every(text),
  parent: textOrNull,
  started: time,
  finished: time,
  counts: (value) => object(value) && Object.values(value as object).every(number),
  skipped: (value) => Array.isArray(value) && value.every(object),
  shrunk: (value) => typeof value === "boolean",
  plain: (value) => typeof value === "boolean",
  compression: textOrNull,
  chunk_size: (value) => number(value) && Number(value) > 0,
  checksums: (value) => Array.isArray(value) && value.every(text) && value[0] === "sha256",
  manifest_sha256: hash,
  manifest_bytes: number,
  sums_sha256: (value) => object(value) && Object.values(value as object).every(hash),
  settings: object,
  tool: object,
};

/**
 * Reads the file's bytes; every bit counts.
 * @throws kind `integrity`, code `SNAPSHOT_JSON_DAMAGED`; code `SNAPSHOT_FORMAT_NEWER` (kind `unsupported`) for a
 *   sound document of a later format
 */
export function parseSnapshotJson(bytes: Uint8Array): SnapshotRecord {
  const content = Buffer.from(bytes).toString("latin1");
  const digest = selfField.exec(content);
  if (digest?.[1] === undefined) throw damaged("no self_sha256");
  const at = digest.index + digest[0].length - 65;
  const blanked = content.slice(0, at) + zeros + content.slice(at + 64);
  const found = new Bun.CryptoHasher("sha256").update(Buffer.from(blanked, "latin1")).digest("hex");
  if (found !== digest[1]) throw damaged("its bytes do not match self_sha256");
  const value = JSON.parse(Buffer.from(bytes).toString("utf8")) as Record<string, unknown>;
  if (typeof value["format"] === "number" && value["format"] > formatVersion) {
    throw new CitadelError({
      kind: "unsupported",
      code: "SNAPSHOT_FORMAT_NEWER",
      message: `${snapshotJsonName} has format ${value["format"]}, this agent reads ${formatVersion}`,
      hint: "use the release of citadel-agent that wrote it, or a later one",
    });
  }
  for (const [field, check] of Object.entries(checks)) {
    if (!check(value[field])) throw damaged(`field ${field} is missing or wrong`);
  }
  const { self_sha256: _self, ...record } = value;
  return record as unknown as SnapshotRecord;
}
