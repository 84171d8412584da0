// Heals damaged files of a snapshot: each wrong range is taken from the source or from another snapshot that holds the
// same content, proved by the hash of the manifest before anything is written, and the whole file proved after.
// A healed file is a new one beside the damaged one, renamed over it: what other snapshots share is left as it is.

import { CitadelError, messageOf, nameOf, parentOf } from "../core/index.ts";
import { temporaryName } from "../system/index.ts";
import { statExact } from "../system/native.ts";
import { pinOwn } from "../system/pinned-directory.ts";
import {
  createForWriting,
  closeFile,
  flushFile,
  makeDirectory,
  makeSymlink,
  openDirectory,
  removeFile,
  renamePath,
  setAttributes,
  setMode,
  truncateFile,
  writeFullySync,
} from "../system/raw-file.ts";
import {
  allocateAligned,
  closeStored,
  openStored,
  readBlock,
  type OpenedFile,
} from "../system/stored-files.ts";
import { type BytePath, fromText, toBytes } from "./format/byte-path.ts";
import {
  chunkSizeBytes,
  type FileEntry,
  type ManifestEntry,
  storedPath,
} from "./format/manifest.ts";
import type { FoundSnapshot } from "./repository.ts";
import { readManifest } from "./snapshot-reader.ts";
import type { VerifyReport } from "./verify-report.ts";

export interface RepairFinding {
  readonly path: BytePath;
  readonly reason: string;
}

export interface RepairReport {
  readonly snapshot: string;
  /** Paths that are as they should be again. */
  readonly healed: readonly RepairFinding[];
  /** Paths that could not be healed, with why. */
  readonly lost: readonly RepairFinding[];
  readonly bytesWritten: number;
}

export interface RepairOptions {
  /** The other complete snapshots of the repository, newest first. */
  /** Where the source lies now; default: what the snapshot says. */
  readonly sourcePath?: string | undefined;
  readonly others: readonly FoundSnapshot[];
  readonly signal?: AbortSignal | undefined;
}

/** Where the content of a file may be had. */
interface Donor {
  readonly path: string;
  readonly what: string;
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
  const healed: RepairFinding[] = [];
  const lost: RepairFinding[] = [];
  let bytesWritten = 0;
  const base = fromText(pin.through);
  const damaged: ManifestEntry[] = [];
  for (const entry of readManifest(pin.through)) {
    if (wrong.has(storedPath(entry))) damaged.push(entry);
  }
  const donors = findDonors(damaged, fromText(options.sourcePath ?? record.source), options.others);
  const buffer = allocateAligned(chunkSizeBytes);
  for (const entry of damaged) {
    options.signal?.throwIfAborted();
    const path = storedPath(entry);
    wrong.delete(path);
    try {
      if (entry.type === "file") {
        const result = await healFile(base, entry, donors.get(entry.sha256) ?? [], buffer);
        bytesWritten += result.bytesWritten;
        healed.push({ path, reason: result.from });
      } else {
        healOther(base, entry);
        healed.push({ path, reason: "the manifest" });
      }
    } catch (thrown) {
      lost.push({ path, reason: messageOf(thrown) });
    }
  }
  for (const [path, { reason }] of wrong)
    lost.push({ path, reason: `${reason}: for a person to judge` });
  return { snapshot: snapshot.id, healed, lost, bytesWritten };
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

/** Looks the damaged content up in the source, by path, and in the manifests of the other snapshots, by hash. */
function findDonors(
  damaged: readonly ManifestEntry[],
  source: string,
  others: readonly FoundSnapshot[],
): Map<string, Donor[]> {
  const donors = new Map<string, Donor[]>();
  for (const entry of damaged) {
    if (entry.type !== "file") continue;
    donors.set(entry.sha256, [{ path: `${source}/${entry.path}`, what: "the source" }]);
  }
  for (const other of others) {
    try {
      for (const entry of readManifest(other.directory)) {
        if (entry.type !== "file" || entry.packed !== undefined) continue;
        const path = `${fromText(other.directory)}/${storedPath(entry)}`;
        donors.get(entry.sha256)?.push({ path, what: other.id });
      }
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown; // a damaged manifest names no donor
    }
  }
  return donors;
}

/** Opens a donor unless it is of another size, or the damaged inode itself. */
function openDonor(
  donor: Donor,
  size: number,
  damagedIno: bigint | undefined,
): OpenedFile | undefined {
  try {
    if (statExact(donor.path).ino === damagedIno) return undefined;
    const file = openStored(toBytes(donor.path as BytePath), "device");
    if (file === undefined || file.sizeBytes === size) return file;
    closeStored(file);
    return undefined;
  } catch {
    return undefined; // not there any more: the next one
  }
}

function readChunk(
  file: OpenedFile,
  buffer: Buffer,
  index: number,
  size: number,
  hash: string | undefined,
): Buffer | undefined {
  const offset = index * chunkSizeBytes;
  const length = Math.min(chunkSizeBytes, size - offset);
  try {
    if (readBlock(file, buffer, offset, length, "donor") !== length) return undefined;
  } catch {
    return undefined; // a bad sector here too
  }
  const bytes = buffer.subarray(0, length);
  return Bun.hash.xxHash3(bytes).toString(16).padStart(16, "0") === hash ? bytes : undefined;
}

/** Puts the file together chunk by chunk from whoever has it right, the damaged file itself first. */
async function healFile(
  base: string,
  entry: FileEntry,
  others: readonly Donor[],
  buffer: Buffer,
): Promise<{ from: string; bytesWritten: number }> {
  if (entry.packed !== undefined)
    throw new Error("stored packed: restore it from another snapshot");
  const path = `${base}/${storedPath(entry)}`;
  const parent = path.slice(0, path.lastIndexOf("/"));
  const temporary = `${parent}/${temporaryName()}`;
  const own = openDonor({ path, what: "itself" }, entry.size, undefined);
  const ownIno = own === undefined ? undefined : statExact(path).ino;
  const donors = others
    .flatMap((donor) => {
      const file = openDonor(donor, entry.size, ownIno);
      return file === undefined ? [] : [{ ...donor, file }];
    })
    .slice(0, 16);
  makeParents(base, entry.path);
  const output = createForWriting(temporary, false);
  const used = new Set<string>();
  let isDone = false;
  try {
    const hasher = new Bun.CryptoHasher("sha256");
    for (const [index, hash] of entry.xxh3.entries()) {
      let bytes = own && readChunk(own, buffer, index, entry.size, hash);
      for (const donor of bytes === undefined ? donors : []) {
        bytes = readChunk(donor.file, buffer, index, entry.size, hash);
        if (bytes !== undefined) {
          used.add(donor.what);
          break;
        }
      }
      if (bytes === undefined) {
        const start = index * chunkSizeBytes;
        throw new Error(
          `nobody has bytes ${start}-${Math.min(start + chunkSizeBytes, entry.size)}`,
        );
      }
      hasher.update(bytes);
      writeFullySync(output.fd, bytes, index * chunkSizeBytes);
    }
    if (hasher.digest("hex") !== entry.sha256)
      throw new Error("what was put together is not the original");
    truncateFile(output.fd, entry.size);
    setAttributes(output.fd, entry);
    await flushFile(output.fd);
    renamePath(temporary, path);
    const directory = openDirectory(parent);
    await flushFile(directory).finally(() => closeFile(directory));
    isDone = true;
    return { from: [...used].join(", ") || "itself", bytesWritten: entry.size };
  } finally {
    closeFile(output.fd);
    if (!isDone) removeFile(temporary);
    if (own !== undefined) closeStored(own);
    for (const { file } of donors) closeStored(file);
  }
}

function makeParents(base: string, path: BytePath): void {
  const root = `${base}/data`;
  for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
    makeDirectory(`${root}/${path.slice(0, end)}`, 0o700);
  }
}

/** What needs no content: modes, links, directories. */
function healOther(base: string, entry: Exclude<ManifestEntry, FileEntry>): void {
  const path = `${base}/${storedPath(entry)}`;
  makeParents(base, entry.path);
  if (entry.type === "directory") {
    makeDirectory(path, entry.mode);
    setMode(path, entry.mode);
  } else if (entry.type === "symlink") {
    const temporary = `${path.slice(0, path.lastIndexOf("/"))}/${temporaryName()}`;
    makeSymlink(entry.target, temporary);
    renamePath(temporary, path);
  } else {
    throw new Error(`a ${entry.type} is recorded, not stored: something else lies in its place`);
  }
}
