// Heals damaged files of a snapshot: each wrong range is taken from the source or from another snapshot that holds the
// same content, proved by the hash of the manifest before anything is written, and the whole file proved after.
// A healed file is a new one beside the damaged one, renamed over it; whoever shared the damaged one gets the new one too.

import { CitadelError, messageOf, nameOf, parentOf } from "../../core/index.ts";
import { fromErrno, isErrno } from "../../system/errno.ts";
import { pinOwn } from "../../system/pinned-directory.ts";
import { allocateAligned } from "../../system/stored-files.ts";
import { type BytePath, fromText } from "../format/byte-path.ts";
import {
  chunkSizeBytes,
  type FileEntry,
  type ManifestEntry,
  storedPath,
} from "../format/manifest.ts";
import type { SnapshotRecord } from "../format/snapshot-json.ts";
import type { FoundSnapshot } from "../repository.ts";
import { readManifest } from "../snapshot-reader.ts";
import type { VerifyReport } from "../verify/report.ts";
import { type Donors, findDonors } from "./donors.ts";
import { healList } from "./heal-list.ts";
import { NotWritten, healFile } from "./heal-file.ts";
import { type HoldSnapshot, type Sharer, Replacements, mendSharers } from "./sharers.ts";
import { SnapshotTree } from "./snapshot-tree.ts";

export interface RepairFinding {
  readonly path: BytePath;
  readonly reason: string;
  /** It was never backed up: nothing is lost, and nothing here removes what may be somebody's. */
  readonly isExtra?: boolean;
}

export interface RepairReport {
  readonly snapshot: string;
  /** Paths that are as they should be again. */
  readonly healed: readonly RepairFinding[];
  /** Paths that could not be healed, with why. */
  readonly lost: readonly RepairFinding[];
  /** Names in other snapshots that shared what was damaged: they share the healed file now, or `failure` says why not. */
  readonly shared: readonly Sharer[];
  /** Names of damaged files that lie where nothing could be mended: in snapshots that are partial, damaged, not ours. */
  readonly namesLeft: number;
  readonly bytesWritten: number;
}

export interface RepairOptions {
  /** Where the source lies now, one character per byte; default: what the snapshot says. */
  readonly source?: string | undefined;
  /** The other complete snapshots of the repository, newest first. */
  readonly others: readonly FoundSnapshot[];
  /** Keeps one of those from being removed while it is written to; default: nobody removes any. */
  readonly hold?: HoldSnapshot | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
}

export interface RepairProgress {
  /** Of the stored bytes of the damaged files. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly current: BytePath;
}

/**
 * Heals what a verification found. The manifest has to be sound: it is what everything is judged by.
 * @throws kind `integrity`, code `SNAPSHOT_DAMAGED`, where manifest or snapshot.json is damaged
 */
export async function repairSnapshot(
  snapshot: FoundSnapshot,
  found: VerifyReport,
  options: RepairOptions,
): Promise<RepairReport> {
  const { record } = snapshot;
  const wrong = new Map(found.failures.map((failure) => [failure.path, failure]));
  const isUnjudged = ["manifest.jsonl", "snapshot.json"].some((name) => wrong.has(fromText(name)));
  if (record === undefined || isUnjudged) throw cannotJudge(snapshot);
  // Written into as root: only what nobody else could have prepared, and held open while we are at it.
  using pin = pinOwn(parentOf(snapshot.directory), nameOf(snapshot.directory));
  if (pin === undefined) throw notOurs(snapshot);
  using tree = new SnapshotTree(pin);
  tree.dropLeftovers();
  const damaged: ManifestEntry[] = [];
  for (const entry of readManifest(pin.through)) {
    if (wrong.has(storedPath(entry))) damaged.push(entry);
  }
  const source = options.source ?? fromText(record.source);
  const own = { id: snapshot.id, directory: pin.through };
  const level = record.settings["compression_level"];
  const healer = new Healer(
    tree,
    snapshot.directory,
    findDonors(damaged, source, own, options.others),
    typeof level === "number" ? level : defaultLevel,
    options,
  );
  healer.totalBytes = damaged.reduce((sum, entry) => sum + storedSize(entry), 0);
  let shared: readonly Sharer[] = [];
  try {
    for (const entry of damaged) {
      options.signal?.throwIfAborted();
      wrong.delete(storedPath(entry));
      await healer.heal(entry);
    }
    healer.retryLost(damaged);
  } finally {
    shared = await mendSharers(healer.replacements, options.others, options.hold ?? noHold);
  }
  const { healed, lost, bytesWritten, replacements } = healer;
  for (const [path, { reason }] of wrong) {
    if (reason !== "extra" && healer.makeList(record, pin.through, path)) continue;
    if (reason !== "extra") lost.push({ path, reason: `${reason}: for a person to judge` });
    else lost.push({ path, reason: "was never backed up: see what it is", isExtra: true });
  }
  const { namesLeft } = replacements;
  return { snapshot: snapshot.id, healed, lost, shared, namesLeft, bytesWritten };
}

const noHold: HoldSnapshot = () => Promise.resolve(undefined);

/** Of zstd: what BACKUP_COMPRESSION_LEVEL is where nobody sets it. */
const defaultLevel = 3;

function storedSize(entry: ManifestEntry): number {
  return entry.type === "file" ? (entry.packed?.size ?? entry.size) : 0;
}

class Healer {
  readonly healed: RepairFinding[] = [];
  lost: RepairFinding[] = [];
  readonly replacements: Replacements;
  bytesWritten = 0;
  totalBytes = 0;
  #doneBytes = 0;
  readonly #buffer = allocateAligned(chunkSizeBytes);

  constructor(
    private readonly tree: SnapshotTree,
    /** The snapshot's directory, for messages. */
    private readonly shown: string,
    private readonly donors: Donors,
    private readonly level: number,
    private readonly options: Pick<RepairOptions, "signal" | "onProgress">,
  ) {
    this.replacements = new Replacements(tree);
  }

  async heal(entry: ManifestEntry): Promise<void> {
    const path = storedPath(entry);
    try {
      const reason = entry.type === "file" ? await this.#healFile(entry) : this.#healOther(entry);
      this.healed.push({ path, reason });
    } catch (thrown) {
      this.options.signal?.throwIfAborted();
      const cause = thrown instanceof NotWritten ? thrown.cause : thrown;
      // there is no room for any of them
      if (isErrno(cause, "ENOSPC", "EDQUOT", "EROFS")) throw fromErrno(cause, "write", this.shown);
      this.lost.push({ path, reason: messageOf(thrown) });
    }
    this.#doneBytes += storedSize(entry);
  }

  async #healFile(entry: FileEntry): Promise<string> {
    const path = storedPath(entry);
    const { tree, level, totalBytes } = this;
    const { signal } = this.options;
    const onProgress = (bytes: number) => {
      const doneBytes = this.#doneBytes + bytes;
      this.options.onProgress?.({ doneBytes, totalBytes, current: entry.path });
    };
    if (this.replacements.mend(tree, path, entry.sha256)) return "its other name";
    const donors = this.donors.get(entry.sha256) ?? [];
    const context = { tree, donors, buffer: this.#buffer, level, onProgress, signal };
    const result = await healFile(entry, context);
    this.bytesWritten += result.bytesWritten;
    if (result.shared !== undefined) this.replacements.add(result.shared, path, entry.sha256);
    return result.from;
  }

  /** Lists of sums come from the manifest. @returns whether `path` is one and is as it was */
  makeList(record: SnapshotRecord, directory: string, path: BytePath): boolean {
    try {
      if (!healList(this.tree, directory, record, path)) return false;
    } catch (thrown) {
      if (isErrno(thrown, "ENOSPC", "EDQUOT", "EROFS"))
        throw fromErrno(thrown, "write", this.shown);
      return false;
    }
    this.healed.push({ path, reason: "the manifest" });
    return true;
  }

  #healOther(entry: Exclude<ManifestEntry, FileEntry>): string {
    const path = storedPath(entry);
    if (entry.type === "directory") this.tree.makeDirectory(path, entry.mode);
    else if (entry.type === "symlink") this.tree.makeSymlink(path, entry.target);
    else
      throw new Error(`a ${entry.type} is recorded, not stored: something else lies in its place`);
    return "the manifest";
  }

  /** Names whose inode was healed under a later name, after they were given up. */
  retryLost(damaged: readonly ManifestEntry[]): void {
    const given = new Set(this.lost.map(({ path }) => path));
    for (const entry of damaged) {
      const path = storedPath(entry);
      if (entry.type !== "file" || !given.has(path)) continue;
      try {
        if (!this.replacements.mend(this.tree, path, entry.sha256)) continue;
      } catch {
        continue; // lost it was, and lost it is
      }
      this.lost = this.lost.filter((each) => each.path !== path);
      this.healed.push({ path, reason: "its other name" });
    }
  }
}

function notOurs(snapshot: FoundSnapshot): CitadelError {
  return new CitadelError({
    kind: "permission",
    code: "SNAPSHOT_NOT_OURS",
    message: `cannot repair ${snapshot.id}: its directory belongs to another user, or is open to others`,
    path: snapshot.directory,
    hint: "run the command as the user who made it; `ls -ld` shows owner and mode (0700)",
  });
}

function cannotJudge(snapshot: FoundSnapshot): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "SNAPSHOT_DAMAGED",
    message: `cannot repair ${snapshot.id}: its manifest or snapshot.json is damaged, so nothing says what is right`,
    path: snapshot.directory,
    hint: "use another snapshot; `cd data && sha256sum -c ../SHA256SUMS` still proves single files",
  });
}
