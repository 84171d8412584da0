// Which names a directory lacks, for plans that make thousands of entries in one: after a run of looks that found
// nothing it is listed once, which is cheaper than an lstat(2) for each name and says the same.

const missesBeforeListing = 32;

interface Folder {
  misses: number;
  names: ReadonlySet<string> | undefined;
}

/** What one survey or one plan learned; not to be kept longer: a listing is the state of its moment. */
export class MissingNames {
  readonly #folders = new Map<string, Folder>();

  /** Whether the listing of `directory` lacks `name`. False where it was not listed: look. */
  lacks(directory: string, name: string): boolean {
    const names = this.#folders.get(directory)?.names;
    return names !== undefined && !names.has(name);
  }

  /**
   * Notes that a look found nothing.
   * @param list the names in the directory as text; one that is not UTF-8 cannot hide one that is
   */
  note(directory: string, list: () => readonly string[]): void {
    let folder = this.#folders.get(directory);
    if (folder === undefined)
      this.#folders.set(directory, (folder = { misses: 0, names: undefined }));
    folder.misses += 1;
    if (folder.misses !== missesBeforeListing) return;
    try {
      folder.names = new Set(list());
    } catch {
      // no right to list it: each name is looked at
    }
  }
}
