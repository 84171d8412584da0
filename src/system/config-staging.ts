// Copies of configuration and state files into a private directory, from which a snapshot is made: small files, with
// owner, mode and time, and databases as one consistent file each.

import { Database } from "bun:sqlite";
import * as fs from "node:fs";
import { parentOf } from "../core/index.ts";
import { setMtimeFd, statExact } from "./native.ts";
import { withErrno } from "./errno.ts";

/** Makes an empty directory that only we may enter; what was there is removed. */
export function resetPrivateDirectory(path: string): void {
  withErrno("rm", path, () => fs.rmSync(path, { recursive: true, force: true }));
  withErrno("mkdir", path, () => fs.mkdirSync(path, { recursive: true, mode: 0o700 }));
}

export function removeDirectory(path: string): void {
  fs.rmSync(path, { recursive: true, force: true });
}

/**
 * The content of a regular file, read without following a link in its last part.
 * @param limitBytes of a larger one nothing is read
 * @returns undefined where there is none, or something else of that name, or more than the limit
 */
export function readSmallFile(path: string, limitBytes: number): Buffer | undefined {
  const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = fs.openSync(path, flags);
  } catch {
    return undefined; // absent, a link, or not ours to read: the caller lists it
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile() || stat.size > limitBytes) return undefined;
    return fs.readFileSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Writes a copy with the owner and time of the original. @param mode instead of the original's */
export function stageContent(original: string, copy: string, content: Buffer, mode?: number): void {
  const stat = statExact(Buffer.from(original).toString("latin1"));
  withErrno("write", copy, () => {
    fs.mkdirSync(parentOf(copy), { recursive: true, mode: 0o755 });
    const fd = fs.openSync(copy, "wx", 0o600);
    try {
      fs.writeSync(fd, content);
      if (process.geteuid?.() === 0) fs.fchownSync(fd, stat.uid, stat.gid);
      fs.fchmodSync(fd, mode ?? stat.mode & 0o7777);
      setMtimeFd(fd, stat.mtimeNs);
    } finally {
      fs.closeSync(fd);
    }
  });
}

/** Writes a consistent copy of a SQLite database that others may be writing to. @see https://sqlite.org/lang_vacuum.html */
export function stageDatabase(original: string, copy: string): void {
  withErrno("copy database", original, () => {
    fs.mkdirSync(parentOf(copy), { recursive: true, mode: 0o755 });
    const database = new Database(original, { readwrite: true });
    try {
      database.run("PRAGMA busy_timeout = 5000");
      database.run("VACUUM INTO ?", [copy]);
    } finally {
      database.close();
    }
    fs.chmodSync(copy, 0o600);
  });
}
