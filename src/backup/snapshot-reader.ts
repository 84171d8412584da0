// The metadata of one snapshot, each file checked against the hash that hangs above it: snapshot.json by its own
// bytes, the manifest and the checksum lists by snapshot.json.

import { CitadelError, joinPath } from "../core/index.ts";
import { isErrno } from "../system/errno.ts";
import { readBlocks } from "../system/stored-files.ts";
import { type ManifestEntry, manifestName } from "./format/manifest.ts";
import { parseManifest } from "./format/manifest-parser.ts";
import type { SnapshotRecord } from "./format/snapshot-json.ts";

/** SHA-256 of a file, read through the cache. @returns undefined where there is none @throws kinds of fromErrno */
export function sha256Of(path: string): string | undefined {
  const hasher = new Bun.CryptoHasher("sha256");
  try {
    for (const block of readBlocks(path)) hasher.update(block);
  } catch (thrown) {
    if (thrown instanceof CitadelError && isErrno(thrown.cause, "ENOENT")) return undefined;
    throw thrown;
  }
  return hasher.digest("hex");
}

export interface MetadataFailure {
  /** `manifest.jsonl`, `SHA256SUMS`, … */
  readonly name: string;
  readonly reason: "missing" | "damaged" | "unreadable";
}

/** Checks the manifest and the checksum lists against snapshot.json. */
export function checkMetadata(directory: string, record: SnapshotRecord): MetadataFailure[] {
  const failures: MetadataFailure[] = [];
  const expected = { [manifestName]: record.manifest_sha256, ...record.sums_sha256 };
  for (const [name, digest] of Object.entries(expected)) {
    const reason = checkOne(joinPath(directory, name), digest);
    if (reason !== undefined) failures.push({ name, reason });
  }
  return failures;
}

function checkOne(path: string, digest: string): MetadataFailure["reason"] | undefined {
  try {
    const found = sha256Of(path);
    if (found === undefined) return "missing";
    return found === digest ? undefined : "damaged";
  } catch (thrown) {
    if (!(thrown instanceof CitadelError)) throw thrown;
    return "unreadable";
  }
}

/** The manifest's entries in order, read as they are asked for. @throws kind `integrity` at the first wrong line */
export function readManifest(directory: string): Generator<ManifestEntry> {
  return parseManifest(readBlocks(joinPath(directory, manifestName)));
}
