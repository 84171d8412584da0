// From what a walk saw to a manifest entry.

import type { ExactStat } from "../../system/native.ts";
import { readText, type System } from "../../system/index.ts";
import type { BytePath, FileEntry, ManifestEntry } from "../format/index.ts";
import type { CopiedContent } from "../copy/job.ts";

const typeMask = 0o170000;

/** What st_mode says a path is; undefined for what Linux does not know. */
export function typeOfMode(mode: number): ManifestEntry["type"] | undefined {
  switch (mode & typeMask) {
    case 0o100000:
      return "file";
    case 0o040000:
      return "directory";
    case 0o120000:
      return "symlink";
    case 0o010000:
      return "fifo";
    case 0o140000:
      return "socket";
    case 0o060000:
      return "block";
    case 0o020000:
      return "character";
    default:
      return undefined;
  }
}

/** Names of users and groups, from the host's own files; numbers without a name have none. */
export class OwnerNames {
  readonly #users: ReadonlyMap<number, string>;
  readonly #groups: ReadonlyMap<number, string>;

  constructor(system: Pick<System, "hostPaths">) {
    this.#users = readNames(`${system.hostPaths.etc}/passwd`);
    this.#groups = readNames(`${system.hostPaths.etc}/group`);
  }

  user(uid: number): string | undefined {
    return this.#users.get(uid);
  }

  group(gid: number): string | undefined {
    return this.#groups.get(gid);
  }
}

/** passwd(5) and group(5): name first, number third. */
function readNames(path: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of (readText(path) ?? "").split("\n")) {
    const [name, , number] = line.split(":");
    if (name === undefined || number === undefined || !/^\d+$/.test(number)) continue;
    if (!names.has(Number(number))) names.set(Number(number), name);
  }
  return names;
}

export type EntryBase = ReturnType<typeof baseOf>;

/** What every entry has, whatever its type. */
export function baseOf(path: BytePath, stat: ExactStat, names: OwnerNames) {
  return {
    path,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    user: names.user(stat.uid),
    group: names.group(stat.gid),
    mtimeNs: stat.mtimeNs,
    ino: stat.ino,
    ctimeNs: stat.ctimeNs,
  };
}

/** The entry of a file that a worker has read. */
export function copiedEntry(path: BytePath, content: CopiedContent, names: OwnerNames): FileEntry {
  const { stat, sha256, xxh3, digests, holes, xattrs, packed } = content;
  return {
    ...baseOf(path, stat, names),
    type: "file",
    size: stat.sizeBytes,
    sha256,
    xxh3,
    digests,
    holes,
    xattrs,
    packed,
  };
}

/** The same content as the parent's entry, under what the walk saw now. */
export function unchangedEntry(
  path: BytePath,
  stat: ExactStat,
  parent: FileEntry,
  names: OwnerNames,
): FileEntry {
  return { ...parent, ...baseOf(path, stat, names), hardlink: undefined };
}

/** What a hard link shares beside the content, as one text: equal texts may share an inode. */
export function sharedAttributes(entry: FileEntry): string {
  const owner = `${entry.mode}:${entry.uid}:${entry.gid}`;
  if (entry.xattrs === undefined || entry.xattrs.size === 0) return owner;
  const pairs = [...entry.xattrs].map(
    ([name, value]) => `${name}=${Buffer.from(value).toString("base64")}`,
  );
  return `${owner}:${pairs.sort().join(",")}`;
}
