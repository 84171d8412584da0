// What a restore in place that was killed leaves in the tree: unfinished temporaries, and former files that it had set
// aside. The names tell whose they are, so that the next restore of the same snapshot takes up where it ended.

import { sha256Hex } from "../../system/index.ts";
import { temporaryName, temporaryPrefix } from "../../system/atomic-write.ts";
import type { DirectoryCache } from "../../system/directory-cache.ts";
import type { BytePath } from "../format/byte-path.ts";

/** Directories remembered as seen; beyond that they are looked at again, which costs time only. */
const maxSeen = 10_000;
/** More former versions of one file than this many killed runs make: somebody else is at work. */
const maxFormer = 1000;
/** What ext4, xfs, btrfs and tmpfs take as a name. */
const maxNameBytes = 255;

export class RestoreLeftovers {
  readonly #temporaryPrefix: string;
  readonly #suffix: string;
  readonly #seen = new Set<string>();
  readonly #temporaries: BytePath[] = [];
  /** Former files, found or made, by the path of the file that each was. */
  readonly #former: { readonly of: BytePath; readonly path: BytePath }[] = [];

  constructor(
    snapshotId: string,
    private readonly directories: DirectoryCache,
  ) {
    this.#temporaryPrefix = `${temporaryPrefix}restore-${sha256Hex(snapshotId).slice(0, 12)}-`;
    this.#suffix = `.before-${snapshotId}`;
  }

  /** How many former files there are. */
  get formerCount(): number {
    return this.#former.length;
  }

  /** How former files are named, for people. */
  get pattern(): string {
    return `*${this.#suffix}`;
  }

  /** A name in `folder` (empty, or with its final slash) that nobody can guess and the next run knows for ours. */
  temporaryIn(folder: string): BytePath {
    return `${folder}${this.#temporaryPrefix}${temporaryName().slice(temporaryPrefix.length)}` as BytePath;
  }

  /** Looks for what was left in the directory of `path`. */
  look(path: BytePath): void {
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    if (this.#seen.has(folder)) return;
    if (this.#seen.size === maxSeen) this.#seen.clear();
    this.#seen.add(folder);
    for (const name of this.directories.names(folder.slice(0, -1))) {
      const place = `${folder}${name}` as BytePath;
      if (name.startsWith(this.#temporaryPrefix)) this.#temporaries.push(place);
      const end = name.indexOf(this.#suffix);
      if (end <= 0 || !/^(\.\d{1,4})?$/.test(name.slice(end + this.#suffix.length))) continue;
      this.#former.push({ of: `${folder}${name.slice(0, end)}` as BytePath, path: place });
    }
  }

  /** Removes the temporaries of killed runs. */
  dropTemporaries(remove: (path: BytePath) => void): void {
    for (const path of this.#temporaries) remove(path);
    this.#temporaries.length = 0;
  }

  /**
   * Sets the file at `path` aside under a further name.
   * @param link makes the second name; throws EEXIST where there is one
   * @param isSame whether two names are one file
   */
  keep(
    path: BytePath,
    link: (former: BytePath) => boolean,
    isSame: (former: BytePath) => boolean,
  ): void {
    for (let at = 1; at <= maxFormer; at += 1) {
      const former = this.#formerName(path, at);
      if (link(former)) {
        this.#former.push({ of: path, path: former });
        return;
      }
      // a run that was killed between setting aside and replacing had come this far
      if (isSame(former)) return;
    }
    throw new Error(`${maxFormer} former files of one path`);
  }

  /** A name that would be too long is cut, with a hash of the whole so that two of them stay two. */
  #formerName(path: BytePath, at: number): BytePath {
    const end = `${this.#suffix}${at === 1 ? "" : `.${at}`}`;
    const cut = path.lastIndexOf("/") + 1;
    const name = path.slice(cut);
    if (name.length + end.length <= maxNameBytes) return `${path}${end}` as BytePath;
    const mark = `~${sha256Hex(Buffer.from(name, "latin1")).slice(0, 16)}`;
    const kept = name.slice(0, maxNameBytes - mark.length - end.length);
    return `${path.slice(0, cut)}${kept}${mark}${end}` as BytePath;
  }

  /** Removes the former files of what `isWanted`. */
  forgetFormer(isWanted: (path: BytePath) => boolean, remove: (path: BytePath) => void): void {
    for (const { of, path } of this.#former) if (isWanted(of)) remove(path);
    this.#former.length = 0;
  }
}
