// Names of snapshots: `20260102T030405.123Z-<source>-<full|incr>-<4 hex>`. They sort by the time of their start.

import { CitadelError } from "../../core/index.ts";

export type SnapshotKind = "full" | "incremental";

export interface SnapshotId {
  readonly id: string;
  readonly startedMs: number;
  readonly slug: string;
  readonly kind: SnapshotKind;
}

/** Ends the name of a snapshot that is being built (or whose builder died). */
export const partialSuffix = ".partial";

const maxSlugLength = 80;
const pattern =
  /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})\.(\d{3})Z-([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)-(full|incr)-([0-9a-f]{4})$/;

/**
 * A source as `[a-z0-9-]`: `/mnt/citadel-models/active` becomes `mnt-citadel-models-active`. Different sources may
 * share one, so it is a name for people, never an identity. Of long ones the end is kept.
 */
export function slugOf(source: string): string {
  const slug = source
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(-maxSlugLength)
    .replace(/^-+|-+$/g, "");
  return slug === "" ? "root" : slug;
}

/** @param random 16 random bits */
export function formatSnapshotId(
  startedMs: number,
  slug: string,
  kind: SnapshotKind,
  random: number,
): string {
  const time = new Date(startedMs).toISOString().replace(/[-:]/g, "");
  const short = kind === "full" ? "full" : "incr";
  return `${time}-${slug}-${short}-${(random & 0xffff).toString(16).padStart(4, "0")}`;
}

/** @returns undefined for a name that is not a snapshot's (a `.partial` included) */
export function parseSnapshotId(name: string): SnapshotId | undefined {
  const match = pattern.exec(name);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, milli, slug = "", kind] = match;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.${milli}Z`;
  const startedMs = Date.parse(iso);
  if (Number.isNaN(startedMs) || new Date(startedMs).toISOString() !== iso) return undefined;
  return { id: name, startedMs, slug, kind: kind === "full" ? "full" : "incremental" };
}

/** Like parseSnapshotId, for the name of a snapshot that is being built. */
export function parsePartialName(name: string): SnapshotId | undefined {
  if (!name.endsWith(partialSuffix)) return undefined;
  return parseSnapshotId(name.slice(0, -partialSuffix.length));
}

/** @throws kind `not-found`, code `SNAPSHOT_UNKNOWN` */
/** @param what `"nope"`, or `of /models at 2026-01-02` */
export function unknownSnapshot(what: string, where: string): CitadelError {
  return new CitadelError({
    kind: "not-found",
    code: "SNAPSHOT_UNKNOWN",
    message: `no snapshot ${what} in ${where}`,
    path: where,
    hint: "see `citadel-agent backup list` for what there is",
  });
}
