// What verifications found damaged, path by path, as the catalogue keeps it: no new snapshot may share such a file. What
// is not known by path makes its whole snapshot unfit to build on.

import { type ContentKey, contentKey } from "./content-key.ts";
import type { BytePath } from "../format/byte-path.ts";
import { manifestName } from "../format/manifest.ts";
import { snapshotJsonName } from "../format/snapshot-json.ts";
import type { VerifyFailure, VerifyReport } from "../verify/report.ts";

export interface KnownDamage {
  /** Stored files (`data/…`, `packed/…`) that were found damaged, by the id of the snapshot. */
  readonly paths: ReadonlyMap<string, ReadonlySet<BytePath>>;
  /** The content of those, by contentText: under other names, in other snapshots, it is as damaged. */
  readonly contents: ReadonlySet<string>;
  /** Snapshots that are damaged nobody knows where, or in what says what they hold. */
  readonly unclear: ReadonlySet<string>;
}

export const noKnownDamage: KnownDamage = {
  paths: new Map(),
  contents: new Set(),
  unclear: new Set(),
};

export interface DamagedFile {
  readonly path: BytePath;
  readonly reason: string;
  /** Undefined where nothing lies there, or something that is no file. */
  readonly key: ContentKey | undefined;
}

const isStoredFile = ({ path }: VerifyFailure) =>
  path.startsWith("data/") || path.startsWith("packed/");

/** Lists of sums, and what lies beside the snapshot's own: none of its files is in doubt for that. */
const isHarmless = ({ path, reason }: VerifyFailure) =>
  reason === "extra" || !["data", manifestName, snapshotJsonName].includes(path);

/**
 * What of a verification's findings is kept.
 * @returns the damaged files, and how many findings are not known by path (0: all are)
 */
export function damageOf({ failures, filesFailed }: VerifyReport): {
  readonly files: readonly DamagedFile[];
  readonly unlisted: number;
} {
  const files: DamagedFile[] = [];
  let harmless = 0;
  for (const failure of failures) {
    const { path, reason, stored } = failure;
    if (reason !== "extra" && isStoredFile(failure)) {
      const key = stored && contentKey(stored.ino, stored.sha256);
      files.push({ path, reason, key });
    } else if (isHarmless(failure)) harmless += 1;
  }
  return { files, unlisted: filesFailed - files.length - harmless };
}
