// The end of a snapshot: attributes of the directories, leftovers of a killed run removed, everything flushed, then
// snapshot.json and the rename that makes it complete, then the links that point to it.

import { CitadelError, joinPath, type AbsolutePath } from "../../core/index.ts";
import {
  listDirectory,
  lstat,
  readlink,
  syncDirectory,
  temporaryName,
  writeFileAtomic,
} from "../../system/index.ts";
import {
  makeSymlink,
  removeFile,
  removeTree,
  renamePath,
  setMode,
  setOwner,
} from "../../system/raw-file.ts";
import { temporaryPrefix } from "../../system/atomic-write.ts";
import { isProcessAlive, ownPid } from "../../system/process-state.ts";
import { setMtime, setXattr } from "../../system/native.ts";
import { isPinnedAt, pinBelow, type PinnedDirectory } from "../../system/pinned-directory.ts";
import { readBlocks } from "../../system/stored-files.ts";
import { walkTree } from "../../system/tree-walk.ts";
import {
  type SnapshotRecord,
  formatSnapshotJson,
  manifestName,
  parseManifestLine,
  partialSuffix,
  snapshotJsonName,
} from "../format/index.ts";
import { parseSnapshotId } from "../format/ids.ts";
import { type Partial, assertInPlace, orphanPath, toLatin1, workName } from "./partial.ts";

/** Gives the directories their owner, attributes, mode and time, after everything in them is there. */
export function finishDirectories(directory: AbsolutePath, isRoot: boolean): void {
  const data = toLatin1(joinPath(directory, "data"));
  const closed: [string, number][] = [];
  let line = 0;
  for (const text of directoryLines(readBlocks(joinPath(directory, manifestName)))) {
    line += 1;
    const entry = parseManifestLine(text, line);
    if (entry.type !== "directory") continue;
    const path = entry.path === "." ? data : `${data}/${entry.path}`;
    setOwner(path, entry.uid, entry.gid);
    for (const [name, value] of entry.xattrs ?? []) setXattr(path, name, value);
    // Without privilege a directory that we may not enter would shut us out of what lies below it: those come last.
    if (isRoot || (entry.mode & 0o300) === 0o300) setMode(path, entry.mode);
    else closed.push([path, entry.mode]);
    setMtime(path, entry.mtimeNs);
  }
  for (const [path, mode] of closed.reverse()) setMode(path, mode);
}

const directoryMark = '"type":"directory"'; // never inside a JSON text, where quotes are escaped

/**
 * The lines of directories; most manifests have a hundred others for each. Blocks are never put together: of a long
 * manifest that would leave a multiple of it for the collector.
 */
export function* directoryLines(blocks: Iterable<Buffer>): Generator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for (const block of blocks) {
    const first = block.indexOf(10) + 1;
    if (first === 0) {
      rest = Buffer.concat([rest, block]);
      continue;
    }
    yield* markedLines(Buffer.concat([rest, block.subarray(0, first)]));
    yield* markedLines(block.subarray(first));
    rest = Buffer.from(block.subarray(block.lastIndexOf(10) + 1));
  }
}

/** What of whole lines is of directories. */
function* markedLines(bytes: Buffer): Generator<string> {
  for (let at = 0; ;) {
    const found = bytes.indexOf(directoryMark, at);
    const end = found === -1 ? -1 : bytes.indexOf(10, found);
    if (end === -1) return;
    yield bytes.toString("utf8", bytes.lastIndexOf(10, found) + 1, end);
    at = end + 1;
  }
}

/** Removes what a killed run stored and this one did not take over. */
export function removeLeftovers(partial: Partial): void {
  // killed while it wrote snapshot.json: the temporary would be in a snapshot that then says it does not belong there
  for (const name of listDirectory(partial.directory) ?? []) {
    if (name.startsWith(temporaryPrefix)) removeTree(`${toLatin1(partial.directory)}/${name}`);
  }
  for (const part of ["data", "packed"]) {
    const root = joinPath(partial.directory, part);
    if (lstat(root) === undefined) continue;
    const isNeeded = new Set<string>(["."]);
    for (const { path, stat } of walkTree(toLatin1(root), { crossFileSystems: true })) {
      const isDirectory = (stat.mode & 0o170000) === 0o040000;
      if (part === "packed" && isDirectory) continue;
      if (isNeeded.has(path) || partial.scratch.isKept(`${part}/${path}`)) continue;
      removeTree(`${toLatin1(root)}/${path}`);
    }
  }
}

/** Removes what was made of a snapshot that is refused after all; no worker is at work in it any more. */
export function discardPartial(partial: Partial, area: PinnedDirectory, id: string): void {
  partial.closeWork();
  const path = `${area.through}/${id}${partialSuffix}`;
  if (isPinnedAt(partial.pin, path)) removeTree(toLatin1(path));
}

/**
 * Writes snapshot.json and gives the snapshot its final name: from here on it is complete.
 * @param partial everything else in it is flushed already
 * @throws kind `conflict`, code SNAPSHOT_REPLACED, where somebody put another directory in its place
 */
export function commitSnapshot(
  partial: Partial,
  area: PinnedDirectory,
  record: SnapshotRecord,
): AbsolutePath {
  const json = joinPath(partial.directory, snapshotJsonName);
  writeFileAtomic(json, formatSnapshotJson(record), { mode: 0o600 });
  const building = `${area.through}/${record.id}${partialSuffix}`;
  const directory = joinPath(area.path, record.id);
  assertInPlace(partial, building, directory);
  const orphan = toLatin1(orphanPath(area, record.id));
  renamePath(toLatin1(joinPath(partial.directory, workName)), orphan);
  renamePath(toLatin1(building), toLatin1(`${area.through}/${record.id}`));
  assertInPlace(partial, `${area.through}/${record.id}`, directory);
  syncDirectory(area.through);
  try {
    removeTree(orphan);
  } catch {
    // the snapshot is complete; the next run of this area removes what is left (removeOrphans)
  }
  return directory;
}

/** Points `latest` of an area to a snapshot, in one step; something else of that name is left alone. */
export function updateLatest(area: PinnedDirectory, id: string): string | undefined {
  const path = joinPath(area.through, "latest");
  const found = lstat(path);
  if (found !== undefined && found.type !== "link") {
    return `${area.path}/latest is not a link: left as it is`;
  }
  const former = found === undefined ? undefined : readlink(path);
  if (former === id) return undefined;
  // ids sort by time: one of the future, from a clock that was wrong, is the newest to everything that reads them
  const isLater = former !== undefined && former > id && parseSnapshotId(former) !== undefined;
  if (isLater && lstat(joinPath(area.through, former)) !== undefined) {
    return `the clock is behind the newest snapshot: \`latest\` stays with ${former}, name this one by its id`;
  }
  replaceLink(area.through, "latest", id);
  return undefined;
}

/**
 * Puts `daily/<id>` and the like beside the snapshot: retention keeps it for that reason.
 * @returns what could not be done, in words
 */
export function tagSnapshot(area: PinnedDirectory, id: string, tags: readonly string[]): string[] {
  const warnings: string[] = [];
  for (const tag of tags) {
    try {
      using directory = pinBelow(area, [tag], true);
      if (directory === undefined) continue;
      syncDirectory(area.through);
      replaceLink(directory.through, id, `../${id}`);
    } catch (thrown) {
      if (!(thrown instanceof CitadelError)) throw thrown;
      warnings.push(`${tag}/${id} was not made: ${thrown.message}`);
    }
  }
  return warnings;
}

const linkTemporary = /^\.citadel-agent\.link-(\d+)-[0-9a-f]{24}\.tmp$/;

function replaceLink(directory: AbsolutePath, name: string, target: string): void {
  for (const left of listDirectory(directory) ?? []) {
    const maker = Number(linkTemporary.exec(left)?.[1] ?? 0);
    // of a run that was killed before it renamed it
    if (maker > 0 && !isProcessAlive(maker)) removeFile(toLatin1(joinPath(directory, left)));
  }
  const unique = temporaryName().slice(temporaryPrefix.length);
  const temporary = toLatin1(joinPath(directory, `${temporaryPrefix}link-${ownPid()}-${unique}`));
  makeSymlink(target, temporary);
  try {
    renamePath(temporary, toLatin1(joinPath(directory, name)));
  } catch (thrown) {
    removeFile(temporary);
    throw thrown;
  }
  syncDirectory(directory);
}
