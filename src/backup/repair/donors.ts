// Where the content of a damaged file may be had: the source, other snapshots, other files of the same snapshot. Nothing
// here is trusted: every byte is proved by hash before it is used.

import { CitadelError } from "../../core/index.ts";
import {
  allocateAligned,
  closeStored,
  openStored,
  readBlock,
  type OpenedFile,
} from "../../system/stored-files.ts";
import { type BytePath, fromText, toBytes } from "../format/byte-path.ts";
import {
  type FileEntry,
  type ManifestEntry,
  type PackedContent,
  storedPath,
} from "../format/manifest.ts";
import { readManifest } from "../snapshot-reader.ts";
import { unpack } from "../copy/unpack.ts";
import { type Inode, inodeOf } from "./snapshot-tree.ts";

export interface Donor {
  /** Absolute, one character per byte. */
  readonly path: string;
  /** For people: an id, `the source`, another file. */
  readonly what: string;
  /** How it lies there; undefined: as the original. */
  readonly packed: PackedContent | undefined;
}

/** A snapshot that may hold what another one lost. */
export interface DonorSnapshot {
  readonly id: string;
  readonly directory: string;
}

/** So many for one content: more that all are damaged would be a disk beyond help. */
const maxDonors = 256;

/** Donors by the SHA-256 of the original content. */
export type Donors = ReadonlyMap<string, readonly Donor[]>;

/**
 * Looks the damaged content up in the source, by path, and in the manifests, by hash.
 * @param own the snapshot itself: other names of the same content
 */
export function findDonors(
  damaged: readonly ManifestEntry[],
  source: string,
  own: DonorSnapshot,
  others: readonly DonorSnapshot[],
): Donors {
  const donors = new Map<string, Donor[]>();
  const damagedPaths = new Set(damaged.map(({ path }) => path));
  for (const entry of damaged) {
    if (entry.type !== "file" || entry.size === 0) continue;
    const known = donors.get(entry.sha256) ?? [];
    if (known.length < maxDonors / 2)
      known.push({ path: `${source}/${entry.path}`, what: "the source", packed: undefined });
    donors.set(entry.sha256, known);
  }
  for (const snapshot of [own, ...others]) {
    const isOwn = snapshot === own;
    for (const entry of entriesOf(snapshot.directory)) {
      if (entry.type !== "file" || (isOwn && damagedPaths.has(entry.path))) continue;
      const known = donors.get(entry.sha256);
      if (known === undefined || known.length >= maxDonors) continue;
      const path = `${fromText(snapshot.directory)}/${storedPath(entry)}`;
      const what = isOwn ? "another file of it" : snapshot.id;
      known.push({ path, what, packed: entry.packed });
    }
  }
  return donors;
}

function* entriesOf(directory: string): Generator<ManifestEntry> {
  try {
    yield* readManifest(directory);
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown; // a damaged manifest names no donor
  }
}

export function isSameInode(left: Inode | undefined, right: Inode | undefined): boolean {
  return left !== undefined && left.dev === right?.dev && left.ino === right.ino;
}

/** Opens a donor unless it is of another size, or the damaged inode itself. */
export function openDonor(
  donor: Pick<Donor, "path">,
  sizeBytes: number,
  damaged: Inode | undefined,
): OpenedFile | undefined {
  try {
    if (isSameInode(inodeOf(donor.path), damaged)) return undefined;
    const file = openStored(toBytes(donor.path as BytePath), "device");
    if (file === undefined || file.sizeBytes === sizeBytes) return file;
    closeStored(file);
    return undefined;
  } catch {
    return undefined; // not there any more: the next one
  }
}

/**
 * The original content that a donor holds, in pieces that are valid until the next is asked for.
 * @throws CitadelError where it cannot be read or unpacked
 */
export async function* originalOf(
  donor: Donor,
  entry: FileEntry,
  damaged: Inode | undefined,
  pieceBytes: number,
): AsyncGenerator<Buffer> {
  const file = openDonor(donor, donor.packed?.size ?? entry.size, damaged);
  if (file === undefined) return;
  try {
    const pieces = piecesOf(file, pieceBytes, donor.what);
    if (donor.packed === undefined) yield* pieces;
    else yield* unpack(copied(pieces), donor.packed.method, entry.size);
  } finally {
    closeStored(file);
  }
}

function* piecesOf(file: OpenedFile, pieceBytes: number, shown: string): Generator<Buffer> {
  const buffer = allocateAligned(pieceBytes);
  for (let at = 0; at < file.sizeBytes; at += pieceBytes) {
    const length = Math.min(pieceBytes, file.sizeBytes - at);
    const got = readBlock(file, buffer, at, length, shown);
    yield buffer.subarray(0, got);
    if (got < length) return;
  }
}

/** A decoder keeps its input for a while. */
function* copied(pieces: Iterable<Buffer>): Generator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}
