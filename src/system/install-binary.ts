// Puts a copy of a program in its place: temporary sibling, flushed, renamed, so that it works while the old one runs;
// the former one stays beside it as `.previous`. Also the hidden command that a transaction's step calls.

import * as fs from "node:fs";
import { parentOf } from "../core/index.ts";
import { syncDirectory, temporaryName } from "./atomic-write.ts";
import { withErrno } from "./errno.ts";
import { assertPrivateDirectory } from "./trusted-directory.ts";

/**
 * Copies `source` to `target` (0755, root where we are root).
 * @throws kind `permission`, code STATE_NOT_TRUSTED, where others can write the directory; kinds of `fromErrno`
 */
export function installBinary(source: string, target: string): void {
  const directory = parentOf(target);
  withErrno("mkdir", directory, () => fs.mkdirSync(directory, { recursive: true, mode: 0o755 }));
  assertPrivateDirectory(directory);
  const temporary = `${directory}/${temporaryName()}`;
  try {
    withErrno("copy", source, () => fs.copyFileSync(source, temporary, fs.constants.COPYFILE_EXCL));
    const fd = withErrno("open", temporary, () => fs.openSync(temporary, "r+"));
    try {
      withErrno("fchmod", temporary, () => fs.fchmodSync(fd, 0o755));
      if (process.geteuid?.() === 0) withErrno("fchown", temporary, () => fs.fchownSync(fd, 0, 0));
      withErrno("fsync", temporary, () => fs.fsyncSync(fd));
    } finally {
      fs.closeSync(fd);
    }
    keepPrevious(target);
    withErrno("rename", target, () => fs.renameSync(temporary, target));
  } catch (thrown) {
    fs.rmSync(temporary, { force: true });
    throw thrown;
  }
  syncDirectory(directory);
}

/** A second name for the present program, so that there is one at every instant. */
function keepPrevious(target: string): void {
  if (fs.lstatSync(target, { throwIfNoEntry: false }) === undefined) return;
  const temporary = `${parentOf(target)}/${temporaryName()}`;
  withErrno("link", target, () => fs.linkSync(target, temporary));
  withErrno("rename", temporary, () => fs.renameSync(temporary, `${target}.previous`));
}

/** Exchanges the program and its `.previous`. @throws kind `not-found` where there is none */
export function restorePrevious(target: string): void {
  const previous = `${target}.previous`;
  const temporary = `${parentOf(target)}/${temporaryName()}`;
  withErrno("link", previous, () => fs.linkSync(previous, temporary));
  keepPrevious(target);
  withErrno("rename", temporary, () => fs.renameSync(temporary, target));
  syncDirectory(parentOf(target));
}

/** Whether two files have the same bytes. False where one is missing. */
export function sameFile(a: string, b: string): boolean {
  const [left, right] = [a, b].map((path) => fs.statSync(path, { throwIfNoEntry: false }));
  if (left === undefined || right === undefined || left.size !== right.size) return false;
  if (left.ino === right.ino && left.dev === right.dev) return true;
  return digestOf(a) === digestOf(b);
}

const chunkBytes = 4 * 1024 * 1024;

function digestOf(path: string): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(chunkBytes);
  const fd = withErrno("open", path, () => fs.openSync(path, "r"));
  try {
    while (true) {
      const size = withErrno("read", path, () => fs.readSync(fd, buffer, 0, chunkBytes, null));
      if (size === 0) return hasher.digest("hex");
      hasher.update(buffer.subarray(0, size));
    }
  } finally {
    fs.closeSync(fd);
  }
}

/** `citadel-agent __child install-binary SOURCE TARGET`. */
export function run(args: readonly string[]): Promise<number> {
  const [source, target] = args;
  if (source === undefined || target === undefined) return Promise.resolve(2);
  try {
    installBinary(source, target);
    return Promise.resolve(0);
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : String(thrown));
    return Promise.resolve(1);
  }
}
