// What a restored entry gets of what the manifest says: rights that could harm only with `--privileged`.

import type { FileAttributes } from "../../system/raw-file.ts";
import { displayPath } from "../format/byte-path.ts";
import type { ManifestEntry } from "../format/manifest.ts";
import type { RestoreOptions } from "./restore.ts";

/** What an entry's file gets, as far as we may give it. */
export function attributesOf(entry: ManifestEntry, options: RestoreOptions): FileAttributes {
  const { privileged } = options;
  const kept = entry.type === "directory" ? 0o7777 : 0o1777;
  const xattrs = new Map<string, Uint8Array>();
  for (const [name, value] of entry.xattrs ?? []) {
    if (privileged || /^(?:user\.|system\.posix_acl_)/.test(name)) xattrs.set(name, value);
  }
  const mode = privileged ? entry.mode : entry.mode & kept;
  return { mode, uid: entry.uid, gid: entry.gid, mtimeNs: entry.mtimeNs, xattrs };
}

/** Names of files whose setuid or setgid bit stays away: each is said, so that nobody wonders. */
export class StrippedBits {
  readonly #paths: string[] = [];
  #count = 0;

  constructor(private readonly options: Pick<RestoreOptions, "privileged">) {}

  /** Takes note of a file that was written. */
  note(entry: ManifestEntry): void {
    if (this.options.privileged || entry.type !== "file" || (entry.mode & 0o6000) === 0) return;
    this.#count += 1;
    if (this.#paths.length < 5) this.#paths.push(displayPath(entry.path));
  }

  /** For the report. */
  remarks(): string[] {
    if (this.#count === 0) return [];
    const more = this.#count > this.#paths.length ? ", …" : "";
    const what = this.#count === 1 ? "1 file is" : `${this.#count} files are`;
    return [
      `${what} without the setuid or setgid bit of the snapshot (--privileged brings it back): ${this.#paths.join(", ")}${more}`,
    ];
  }
}
