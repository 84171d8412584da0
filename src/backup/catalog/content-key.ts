// What stored content is known by beyond its names: snapshots share inodes, so what is proved or found damaged under one
// name holds for all.

/** The inode that holds it and the first bits of its SHA-256. */
export interface ContentKey {
  readonly inode: number;
  readonly content: number;
}

/** @param sha256 of the bytes as they are stored: of a packed file those that are packed */
export function contentKey(ino: bigint, sha256: string): ContentKey {
  return { inode: Number(ino), content: Number.parseInt(sha256.slice(0, 12), 16) };
}

/** The same as one text, for sets. */
export function contentText({ inode, content }: ContentKey): string {
  return `${inode} ${content}`;
}
