// The short way for a file of which nothing changed: its line in the parent's manifest begins as the line of what the
// walk saw now would, so the line is taken over as it is, and the stored file is linked (link-runs.ts). Whatever is not
// that plain (hard links, packed files, holes, odd names, more checksums) goes the long way through SnapshotBuilder.

import type { WalkedEntry } from "../../system/tree-walk.ts";
import { type BytePath, formatMode } from "../format/index.ts";
import type { OwnerNames } from "./entry.ts";
import type { ParentCursor } from "./parent.ts";

/** A file whose line in the parent holds for this snapshot too. */
export interface UnchangedFile {
  readonly path: BytePath;
  /** With its newline; ASCII, as its name is. */
  readonly line: string;
  readonly sha256: string;
  readonly size: number;
}

/** ASCII that JSON and SHA256SUMS write as it is. */
const plainName = /^[ !#-[\]-~]*$/;
const digestMark = '"sha256":"';
const digestLength = 64;
const afterDigest = '","xxh3":[';
const typeMask = 0o170000;
const regularType = 0o100000;

export class UnchangedFiles {
  readonly #cursor: ParentCursor;
  readonly #names: OwnerNames;
  readonly #trustedSeconds: number;
  readonly #damaged: ReadonlySet<BytePath>;
  #ownerKey = -1;
  #ownerMode = -1;
  #ownerGid = -1;
  #owner = "";

  /** @param trustedBeforeNs files changed later than this go the long way @param damaged files of the parent */
  constructor(
    cursor: ParentCursor,
    names: OwnerNames,
    trustedBeforeNs: bigint,
    damaged: ReadonlySet<BytePath>,
  ) {
    this.#damaged = damaged;
    this.#cursor = cursor;
    this.#names = names;
    this.#trustedSeconds = Number(trustedBeforeNs / 1_000_000_000n);
  }

  /** Looks a regular file up in the parent. @returns undefined where it has to go the long way */
  match(walked: WalkedEntry): UnchangedFile | undefined {
    const { stat, path } = walked;
    if (stat.linkCount !== 1 || (stat.mode & typeMask) !== regularType) return undefined;
    const times = stat.timesText;
    if (times === undefined || walked.nameAddress === 0 || walked.isForeignMount) return undefined;
    if (times.ctimeSeconds >= this.#trustedSeconds || !plainName.test(path)) return undefined;
    if (this.#damaged.size > 0 && this.#damaged.has(path as BytePath)) return undefined;
    const start =
      `{"path":"${path}","type":"file","size":${stat.sizeBytes},${this.#ownerOf(stat)}` +
      `,"mtime_ns":"${times.mtimeNs}","ino":"${times.ino}","ctime_ns":"${times.ctimeNs}",${digestMark}`;
    const line = this.#cursor.lineStartingWith(path as BytePath, start);
    if (line === undefined) return undefined;
    const end = start.length + digestLength;
    if (!line.startsWith(afterDigest, end)) return undefined;
    return {
      path: path as BytePath,
      line,
      sha256: line.slice(start.length, end),
      size: stat.sizeBytes,
    };
  }

  /** The members between size and time: the same for most files. */
  #ownerOf(stat: WalkedEntry["stat"]): string {
    const { uid, gid } = stat;
    const mode = stat.mode & 0o7777;
    if (uid !== this.#ownerKey || gid !== this.#ownerGid || mode !== this.#ownerMode) {
      [this.#ownerKey, this.#ownerGid, this.#ownerMode] = [uid, gid, mode];
      const names = { user: this.#names.user(uid), group: this.#names.group(gid) };
      const text = JSON.stringify({ mode: formatMode(mode), uid, gid, ...names });
      this.#owner = text.slice(1, -1);
    }
    return this.#owner;
  }
}
