// Makes a checksum list of a snapshot again: the manifest has every sum, and snapshot.json says what the list hashed to.

import { removeFile, SequentialWriter } from "../../system/raw-file.ts";
import { type BytePath, fromText } from "../format/byte-path.ts";
import { extraAlgorithms, type FileEntry, storedPath } from "../format/manifest.ts";
import type { SnapshotRecord } from "../format/snapshot-json.ts";
import { formatSumsLine, packedSumsName, sumsName, sumsNameOf } from "../format/sums.ts";
import { readManifest } from "../snapshot-reader.ts";
import type { SnapshotTree } from "./snapshot-tree.ts";

type LineOf = (entry: FileEntry) => string;

const plain =
  (digestOf: (entry: FileEntry) => string | undefined): LineOf =>
  (entry) => {
    const digest = entry.packed === undefined ? digestOf(entry) : undefined;
    return digest === undefined ? "" : formatSumsLine(digest, entry.path);
  };

/** The only names that are ever written: a record may have been made to do harm. */
const lists = new Map<string, LineOf>([
  [sumsName, plain(({ sha256 }) => sha256)],
  [
    packedSumsName,
    (entry) =>
      entry.packed === undefined
        ? ""
        : formatSumsLine(
            entry.packed.sha256,
            storedPath(entry).slice("packed/".length) as BytePath,
          ),
  ],
  ...extraAlgorithms.map((algorithm): [string, LineOf] => [
    sumsNameOf(algorithm),
    plain(({ digests }) => digests?.[algorithm]),
  ]),
]);

/**
 * @param directory the snapshot's, held open
 * @returns whether `name` is a list that is what it was again @throws the system's error
 */
export function healList(
  tree: SnapshotTree,
  directory: string,
  record: SnapshotRecord,
  name: string,
): boolean {
  const lineOf = lists.get(name);
  const wanted = record.sums_sha256[name];
  if (lineOf === undefined || wanted === undefined) return false;
  const hasher = new Bun.CryptoHasher("sha256");
  const temporary = tree.temporary();
  let isDone = false;
  try {
    const writer = new SequentialWriter(temporary, false, (block) => {
      hasher.update(block as Buffer<ArrayBuffer>);
    });
    try {
      for (const entry of readManifest(directory)) {
        if (entry.type === "file") writer.write(lineOf(entry));
      }
    } catch (thrown) {
      writer.abandon();
      throw thrown;
    }
    writer.close(true);
    if (hasher.digest("hex") !== wanted) return false;
    tree.move(temporary, fromText(name));
    isDone = true;
    return true;
  } finally {
    if (!isDone) removeFile(temporary);
  }
}
