// What need not be stored again: files that the parent holds unchanged, files that a killed run copied, content that lies
// in the parent or in this snapshot under another name. Each is linked, where mode, owner and attributes agree.

import { isErrno } from "../../system/index.ts";
import { statExact, type ExactStat } from "../../system/native.ts";
import { removeFile } from "../../system/raw-file.ts";
import type { CopiedContent } from "../copy/job.ts";
import { smallFileBytes } from "../copy/job.ts";
import {
  type BytePath,
  type FileEntry,
  jsonPath,
  type JsonPath,
  type ManifestEntry,
  maxSkippedListed,
  storedBytesOf,
  storedPath,
} from "../format/index.ts";
import { noKnownDamage } from "../catalog/known-damage.ts";
import type { BuildContext } from "./builder.ts";
import { ContentIndex, type Shareable } from "./dedupe.ts";
import { sharedAttributes, typeOfMode, unchangedEntry } from "./entry.ts";
import { type LinkOutcome, makeParents, replaceByLink, shareStored } from "./linking.ts";
import { isKnownDamaged, trustedBeforeNs } from "./parent.ts";
import { toLatin1 } from "./partial.ts";

export class Sharing {
  readonly counts = {
    copiedFiles: 0,
    copiedBytes: 0,
    writtenBytes: 0,
    clonedFiles: 0,
    clonedBytes: 0,
    linkedFiles: 0,
    resumedFiles: 0,
    /** Of those, what no other name shares: the killed run stored it for this snapshot. */
    resumedBytes: 0,
    resumedWrittenBytes: 0,
    renewedFiles: 0,
  };
  /** The first of those that are unchanged and were not taken from the parent, as that is damaged there. */
  readonly renewed: JsonPath[] = [];
  /** Whether anything may be shared at all: never for a full backup. */
  readonly isAllowed: boolean;
  /** Files changed later may have changed again unseen while the parent's run read them. */
  readonly trustedBeforeNs: bigint;
  readonly #context: BuildContext;
  readonly #root: string;
  readonly #index: ContentIndex;
  #linkingForbidden = false;

  constructor(context: BuildContext) {
    const { options, partial, parent } = context;
    this.#context = context;
    this.#root = toLatin1(partial.directory);
    this.isAllowed = options.type === "incremental";
    this.trustedBeforeNs = trustedBeforeNs(parent);
    this.#index = new ContentIndex(partial.scratch, partial.directory, parent);
  }

  /** A file that lies in the parent, or in what a killed run left. @returns undefined: it has to be read */
  find(path: BytePath, stat: ExactStat, former: ManifestEntry | undefined): FileEntry | undefined {
    return this.#takeOver(path, stat, former) ?? this.#takeResumed(path, stat);
  }

  /** The parent's stored file, linked, where nothing changed since. */
  #takeOver(
    path: BytePath,
    stat: ExactStat,
    former: ManifestEntry | undefined,
  ): FileEntry | undefined {
    const { options, parent, names } = this.#context;
    if (former?.type !== "file" || parent === undefined || this.#linkingForbidden) return undefined;
    const isSame =
      former.size === stat.sizeBytes &&
      former.mtimeNs === stat.mtimeNs &&
      former.ctimeNs === stat.ctimeNs &&
      former.ino === stat.ino &&
      stat.ctimeNs < this.trustedBeforeNs;
    if (!isSame || (former.packed !== undefined && options.compression === null)) return undefined;
    if (options.extraChecksums.some((name) => former.digests?.[name] === undefined))
      return undefined;
    if (parent.damaged.paths.has(former.path)) {
      this.counts.renewedFiles += 1;
      if (this.renewed.length < maxSkippedListed) this.renewed.push(jsonPath(path));
      return undefined;
    }
    const entry = unchangedEntry(path, stat, former, names);
    const existing = `${toLatin1(parent.directory)}/${storedPath(former)}`;
    if (this.#share(existing, entry) !== "linked") return undefined;
    this.counts.linkedFiles += 1;
    return entry;
  }

  /** What a killed run copied, where the source is still the same. */
  #takeResumed(path: BytePath, stat: ExactStat): FileEntry | undefined {
    const found = this.#context.partial.findCopied(path);
    if (found?.type !== "file" || found.size !== stat.sizeBytes) return undefined;
    if (
      found.mtimeNs !== stat.mtimeNs ||
      found.ctimeNs !== stat.ctimeNs ||
      found.ino !== stat.ino
    ) {
      return undefined;
    }
    const { knownDamage = noKnownDamage } = this.#context.options;
    const place = `${this.#root}/${storedPath(found)}`;
    // it may be a link to content of the parent that was found damaged since, or of one that is so nobody knows where
    if (isKnownDamaged(knownDamage, place, (found.packed ?? found).sha256)) return undefined;
    let isOwn = false;
    try {
      const stored = statExact(place);
      isOwn = stored.linkCount === 1;
      if (!isOwn && knownDamage.unclear.size > 0) return undefined;
      if (typeOfMode(stored.mode) !== "file") return undefined;
      if (stored.sizeBytes !== (found.packed?.size ?? found.size)) return undefined;
    } catch (thrown) {
      if (isErrno(thrown, "ENOENT", "ENOTDIR")) return undefined;
      throw thrown;
    }
    this.counts.resumedFiles += 1;
    if (isOwn) {
      this.counts.resumedBytes += found.size;
      this.counts.resumedWrittenBytes += found.packed?.size ?? storedBytesOf(found);
    }
    this.#context.partial.record(found, false);
    if (this.isAllowed && this.#context.options.deduplicate) this.#index.add(found);
    return unchangedEntry(path, stat, found, this.#context.names);
  }

  /** Links stored bytes to where `entry` stores its own. */
  #share(existing: string, entry: FileEntry): LinkOutcome {
    if (!this.#makePackedParents(entry)) return "unfit";
    const size = entry.packed?.size ?? entry.size;
    const outcome = shareStored(existing, `${this.#root}/${storedPath(entry)}`, size);
    if (outcome === "forbidden" && !this.#linkingForbidden) {
      this.#linkingForbidden = true;
      this.#context.warn(
        "hard links to the former snapshot are not allowed here (fs.protected_hardlinks, or its owner): files are copied",
      );
    }
    return outcome;
  }

  /** @returns false where a packed file lies in the place of a directory: `a.zst` of `a`, and a directory `a.zst` */
  #makePackedParents({ packed, path }: FileEntry): boolean {
    if (packed === undefined) return true;
    try {
      makeParents(`${this.#root}/packed`, path);
      return true;
    } catch (thrown) {
      if (!isErrno(thrown, "ENOTDIR", "EEXIST", "ENAMETOOLONG")) throw thrown;
      return false;
    }
  }

  get #mayDeduplicate(): boolean {
    return this.isAllowed && this.#context.options.deduplicate && !this.#linkingForbidden;
  }

  /** A stored file that a large one about to be read may equal. */
  guess(path: BytePath, stat: ExactStat): Shareable | undefined {
    const { options } = this.#context;
    const isWorthwhile = stat.sizeBytes > smallFileBytes && options.extraChecksums.length === 0;
    if (!isWorthwhile || !this.#mayDeduplicate) return undefined;
    const attributes = `${stat.mode & 0o7777}:${stat.uid}:${stat.gid}`;
    const allowPacked = options.compression !== null;
    return this.#index.guess(path, stat.sizeBytes, attributes, stat.mtimeNs, allowPacked);
  }

  /** A file that was read and found to be the candidate. @returns undefined where it cannot be linked */
  linkMatched(entry: FileEntry, guess: Shareable): FileEntry | undefined {
    const shared: FileEntry = { ...entry, packed: guess.packed };
    const equal = this.#index.findEqual(shared, true).some(({ stored }) => stored === guess.stored);
    if (!equal || this.#share(guess.stored, shared) !== "linked") return undefined;
    this.counts.linkedFiles += 1;
    return shared;
  }

  /** A file that was copied: its copy gives way to equal content, where there is some. */
  deduplicate(entry: FileEntry, content: CopiedContent): FileEntry {
    const shared = this.#mayDeduplicate ? this.#replaceByEqual(entry) : undefined;
    if (shared !== undefined) {
      this.counts.linkedFiles += 1;
      return shared;
    }
    this.#countCopied(entry, content);
    if (this.#mayDeduplicate && entry.size > 0) this.#index.add(entry);
    return entry;
  }

  #replaceByEqual(entry: FileEntry): FileEntry | undefined {
    const own = `${this.#root}/${storedPath(entry)}`;
    for (const found of this.#index.findEqual(entry, this.#context.options.compression !== null)) {
      const shared: FileEntry = { ...entry, packed: found.packed };
      const target = `${this.#root}/${storedPath(shared)}`;
      if (!this.#makePackedParents(shared)) continue;
      if (replaceByLink(found.stored, target, found.storedBytes) !== "linked") continue;
      if (target !== own) removeFile(own);
      return shared;
    }
    return undefined;
  }

  /** Another name of a file that is stored already. @returns undefined where it cannot be linked */
  linkFurtherName(path: BytePath, first: FileEntry): FileEntry | undefined {
    const entry: FileEntry = { ...first, path, hardlink: first.path };
    const outcome = this.#share(`${this.#root}/${storedPath(first)}`, entry);
    return outcome === "linked" ? entry : undefined;
  }

  /** The same, where the parent had to store that name for itself already. @param former its entry there */
  takeOverFurtherName(
    path: BytePath,
    first: FileEntry,
    former: FileEntry | undefined,
  ): FileEntry | undefined {
    const { options, parent } = this.#context;
    if (former === undefined || parent === undefined || this.#linkingForbidden) return undefined;
    if (former.sha256 !== first.sha256 || former.size !== first.size) return undefined;
    if (sharedAttributes(former) !== sharedAttributes(first)) return undefined;
    if (former.packed !== undefined && options.compression === null) return undefined;
    if (parent.damaged.paths.has(former.path)) return undefined;
    const { packed } = former;
    const entry: FileEntry = { ...first, path, hardlink: first.path, packed };
    const existing = `${toLatin1(parent.directory)}/${storedPath(former)}`;
    if (this.#share(existing, entry) !== "linked") return undefined;
    this.counts.linkedFiles += 1;
    return entry;
  }

  /** The same, where that name was read and stored for itself. */
  storeSeparate(entry: FileEntry, content: CopiedContent, first: FileEntry): FileEntry {
    this.#countCopied(entry, content);
    const isSame =
      entry.ino === first.ino &&
      entry.mtimeNs === first.mtimeNs &&
      entry.sha256 === first.sha256 &&
      sharedAttributes(entry) === sharedAttributes(first);
    // changed or replaced since the first name was read: a file of its own, as it is now
    return isSame ? { ...entry, hardlink: first.path } : entry;
  }

  #countCopied(entry: FileEntry, content: CopiedContent): void {
    const { counts } = this;
    if (content.reflinked) {
      counts.clonedFiles += 1;
      counts.clonedBytes += entry.size;
    } else {
      counts.copiedFiles += 1;
      counts.copiedBytes += entry.size;
      counts.writtenBytes += content.writtenBytes;
    }
  }
}
