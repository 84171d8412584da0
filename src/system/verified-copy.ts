// Copies one file between directories held open: copied and hashed in one pass, flushed, read again and compared,
// and only then given its name, which replaces nothing.

import * as fs from "node:fs";
import { CitadelError } from "../core/index.ts";
import { writeAll } from "./atomic-write.ts";
import { DirectoryHandle, type EntryName } from "./directory-handle.ts";
import { withErrno } from "./errno.ts";

const blockBytes = 4 * 1024 * 1024;

export interface CopyOptions {
  /** The name under which it is made; the caller knows it and removes what a kill leaves. */
  readonly temporary: string;
  /** Called after each block: lets signals in, throws to stop. */
  readonly onBytes: (bytes: number) => Promise<void>;
}

/**
 * Copies `name` from `from` to `to`, with mode, owner and modification time.
 * @throws code COPY_DIFFERS if what was written does not read back the same; nothing has the name then
 */
export async function copyVerified(
  from: DirectoryHandle,
  name: EntryName,
  to: DirectoryHandle,
  options: CopyOptions,
): Promise<void> {
  const source = from.openFile(name);
  try {
    const digest = await writeCopy(source, to, name, options);
    const again = await hashFile(to, options.temporary, options.onBytes);
    if (again !== digest) throw copyDiffers(to.pathOf(name));
    to.setTimes(options.temporary, source.stat.mtimeMs);
    to.renameNoReplace(options.temporary, name);
  } finally {
    fs.closeSync(source.fd);
  }
}

async function writeCopy(
  source: ReturnType<DirectoryHandle["openFile"]>,
  to: DirectoryHandle,
  name: EntryName,
  options: CopyOptions,
): Promise<string> {
  const { temporary } = options;
  const fd = to.createFd(temporary);
  const path = to.pathOf(name);
  try {
    const hash = new Bun.CryptoHasher("sha256");
    for await (const block of blocksOf(source.fd, path)) {
      writeAll(fd, block, path);
      hash.update(block);
      await options.onBytes(block.length);
    }
    const { uid, gid, mode } = source.stat;
    withErrno("fchown", path, () => fs.fchownSync(fd, uid, gid));
    withErrno("fchmod", path, () => fs.fchmodSync(fd, mode));
    withErrno("fsync", path, () => fs.fsyncSync(fd));
    return hash.digest("hex");
  } finally {
    fs.closeSync(fd);
  }
}

/** SHA-256 of a regular file of any size, lower-case hex. */
export async function hashFile(
  directory: DirectoryHandle,
  name: EntryName,
  onBytes: (bytes: number) => Promise<void>,
): Promise<string> {
  const { fd } = directory.openFile(name);
  try {
    const hash = new Bun.CryptoHasher("sha256");
    for await (const block of blocksOf(fd, directory.pathOf(name))) {
      hash.update(block);
      await onBytes(0);
    }
    return hash.digest("hex");
  } finally {
    fs.closeSync(fd);
  }
}

async function* blocksOf(fd: number, path: string): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(blockBytes);
  while (true) {
    const bytes = withErrno("read", path, () => fs.readSync(fd, buffer));
    if (bytes === 0) return;
    yield buffer.subarray(0, bytes);
  }
}

/** Whether two files hold the same bytes; reads both only while they may still be equal. */
export function sameFileContent(
  a: DirectoryHandle,
  aName: EntryName,
  b: DirectoryHandle,
  bName: EntryName,
): boolean {
  const left = a.openFile(aName);
  try {
    const right = b.openFile(bName);
    try {
      if (left.stat.dev === right.stat.dev && left.stat.ino === right.stat.ino) return true;
      if (left.stat.sizeBytes !== right.stat.sizeBytes) return false;
      return sameBytes(left.fd, right.fd, a.pathOf(aName));
    } finally {
      fs.closeSync(right.fd);
    }
  } finally {
    fs.closeSync(left.fd);
  }
}

function sameBytes(left: number, right: number, path: string): boolean {
  const one = Buffer.allocUnsafe(blockBytes);
  const two = Buffer.allocUnsafe(blockBytes);
  return withErrno("read", path, () => {
    for (let at = 0; ;) {
      const n = fs.readSync(left, one, 0, blockBytes, at);
      let m = 0;
      while (m < n) {
        const more = fs.readSync(right, two, m, n - m, at + m);
        if (more === 0) return false;
        m += more;
      }
      if (n === 0) return true;
      if (!one.subarray(0, n).equals(two.subarray(0, n))) return false;
      at += n;
    }
  });
}

function copyDiffers(path: string): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "COPY_DIFFERS",
    message: `the copy of ${path} does not read back as it was written`,
    path,
    hint: "the disk or the memory of this host is not sound: see `dmesg` and `smartctl -a`",
  });
}
