// Moves logs out of the service user's directory to another file system, so that each is there whole, and flushed,
// before it is gone here. Both directories are held open: neither can be swapped for a link that leads elsewhere.

import * as fs from "node:fs";
import { CitadelError } from "../core/index.ts";
import { isErrno, withErrno } from "./errno.ts";
import { temporaryName } from "./atomic-write.ts";
import type { PinnedDirectory } from "./pinned-directory.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export interface OldFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

/** Regular files (one link) of a directory, by name; links and special files are left out. */
export function listRegularFiles(directory: PinnedDirectory): OldFile[] {
  const { through, path } = directory;
  return withErrno("readdir", path, () => fs.readdirSync(through).sort()).flatMap((name) => {
    const stat = fs.lstatSync(`${through}/${name}`, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || stat.nlink !== 1) return [];
    return [{ name, sizeBytes: stat.size, mtimeMs: stat.mtimeMs }];
  });
}

/** Whether there is something of this name. */
export function isTaken(directory: PinnedDirectory, name: string): boolean {
  return fs.lstatSync(`${directory.through}/${name}`, { throwIfNoEntry: false }) !== undefined;
}

/**
 * Copies (gzip) to a temporary sibling of the target, flushes, renames, then removes the original.
 * @param limitBytes what may be read into memory
 * @throws kinds of fromErrno; kind `conflict`, code `LOG_CHANGED`: it is no longer the plain file that was listed
 */
export function archiveFile(
  from: PinnedDirectory,
  name: string,
  to: PinnedDirectory,
  toName: string,
  limitBytes: number,
): void {
  const path = `${from.path}/${name}`;
  const source = openPlain(from, name, limitBytes);
  const temporary = `${to.through}/${temporaryName()}`;
  try {
    const stat = fs.fstatSync(source);
    const content = Buffer.alloc(stat.size);
    const count = withErrno("read", path, () => fs.readSync(source, content, 0, stat.size, 0));
    const packed = Bun.gzipSync(content.subarray(0, count));
    withErrno("write", `${to.path}/${toName}`, () => {
      const fd = fs.openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        fs.writeFileSync(fd, packed);
        fs.futimesSync(fd, stat.atimeMs / 1000, stat.mtimeMs / 1000);
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(temporary, `${to.through}/${toName}`);
    });
    withErrno("fsync", to.path, () => fs.fsyncSync(to.fd));
    withErrno("unlink", path, () => fs.unlinkSync(`${from.through}/${name}`));
  } finally {
    fs.closeSync(source);
    fs.rmSync(temporary, { force: true });
  }
}

function openPlain(from: PinnedDirectory, name: string, limitBytes: number): number {
  const path = `${from.path}/${name}`;
  let fd: number;
  try {
    fd = fs.openSync(`${from.through}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (thrown) {
    if (isErrno(thrown, "ELOOP")) throw changed(path);
    return withErrno("open", path, () => {
      throw thrown;
    });
  }
  const stat = fs.fstatSync(fd);
  if (stat.isFile() && stat.nlink === 1 && stat.size <= limitBytes) return fd;
  fs.closeSync(fd);
  throw changed(path);
}

function changed(path: string): CitadelError {
  return new CitadelError({
    kind: "conflict",
    code: "LOG_CHANGED",
    message: `${path} is not the plain file any more that was listed: left alone`,
    path,
    hint: `look at what it is: ls -li ${path}`,
  });
}
