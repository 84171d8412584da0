// Moves a file to another file system so that it is there whole, and flushed, before it is gone here.

import * as fs from "node:fs";
import { withErrno } from "./errno.ts";
import { syncDirectory, temporaryName } from "./atomic-write.ts";
import { parentOf } from "../core/index.ts";

export interface OldFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

/** Regular files (one link) of a directory, by name; links and special files are left out. */
export function listRegularFiles(directory: string): OldFile[] {
  return withErrno("readdir", directory, () => fs.readdirSync(directory).sort()).flatMap((name) => {
    const stat = fs.lstatSync(`${directory}/${name}`, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || stat.nlink !== 1) return [];
    return [{ name, sizeBytes: stat.size, mtimeMs: stat.mtimeMs }];
  });
}

/**
 * Copies (gzip) to a temporary sibling of `target`, flushes, renames, then removes the original.
 * A link in the place of the original is refused (O_NOFOLLOW).
 */
export function archiveFile(path: string, target: string): void {
  const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  const source = withErrno("open", path, () => fs.openSync(path, flags));
  const temporary = `${parentOf(target)}/${temporaryName()}`;
  try {
    const stat = fs.fstatSync(source);
    const packed = Bun.gzipSync(fs.readFileSync(source));
    withErrno("write", temporary, () => {
      const fd = fs.openSync(temporary, "wx", 0o600);
      try {
        fs.writeFileSync(fd, packed);
        fs.futimesSync(fd, stat.atimeMs / 1000, stat.mtimeMs / 1000);
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(temporary, target);
    });
    syncDirectory(parentOf(target));
    withErrno("unlink", path, () => fs.unlinkSync(path));
  } finally {
    fs.closeSync(source);
    fs.rmSync(temporary, { force: true });
  }
}
