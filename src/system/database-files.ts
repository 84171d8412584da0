// The files around a database: the WAL grown beforehand, the ballast of copy-on-write file systems, a damaged
// database set aside, read-only opening, and the file systems SQLite must not be used on.

import { Database, constants as sqlite } from "bun:sqlite";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { CitadelError, formatTime, parentOf } from "../core/index.ts";
import { syncDirectory } from "./atomic-write.ts";
import { isErrno } from "./errno.ts";
import { mountOf, readMounts } from "./mountinfo.ts";
import { randomBytes } from "./random.ts";

/** statfs(2), "Filesystem types": where an overwrite takes new space. */
const copyOnWriteTypes = new Set([0x9123683e /* btrfs */, 0x2fc12fc1 /* zfs */, 0xca451a4e]);
/** statfs(2): shared between hosts, or without the locks and mappings that WAL needs. */
const networkTypes = new Map([
  [0x6969, "nfs"],
  [0x517b, "smb"],
  [0xff534d42, "cifs"],
  [0xfe534d42, "smb2"],
  [0x00c36400, "ceph"],
  [0x5346414f, "afs"],
  [0x01021997, "9p"],
  [0x0bd00bd0, "lustre"],
  [0x47504653, "gpfs"],
  [0x19830326, "beegfs"],
  [0x7461636f, "ocfs2"],
  [0x01161970, "gfs2"],
]);
const fuseType = 0x65735546;
const ballastBytes = 4 * 1024 * 1024;

/** @throws kind `unsupported`, code `STATE_ON_NETWORK` */
export function assertLocalFileSystem(directory: string): void {
  const type = fs.statfsSync(directory).type;
  let name = networkTypes.get(type);
  if (type === fuseType) {
    // FUSE is a local disk (ntfs-3g, fuse-overlayfs) or a network (sshfs, s3fs): the sub-type tells.
    const fstype = mountOf(readMounts(), fs.realpathSync(directory))?.fstype ?? "fuse";
    if (/sshfs|s3|gcs|rclone|gluster|ceph|nfs|smb|davfs|curlftp|goofys/.test(fstype)) name = fstype;
  }
  if (name === undefined) return;
  throw new CitadelError({
    kind: "unsupported",
    code: "STATE_ON_NETWORK",
    message: `the state directory ${directory} is on a network file system (${name})`,
    path: directory,
    hint: "set CITADEL_STATE_DIR to a directory on a disk of this host",
  });
}

/**
 * Grows the WAL with zeros, flushed. SQLite takes what follows its last valid frame for the end, writes over it in
 * place, and (PERSIST_WAL, no journal_size_limit) never gives it back. Appending is atomic, so a frame that another
 * connection writes at the same moment is not hit. Best effort: a full disk shows at the write that needs it.
 */
export function growWal(path: string, sizeBytes: number): void {
  const wal = `${path}-wal`;
  let fd: number | undefined;
  try {
    const size = fs.statSync(wal).size;
    if (size >= sizeBytes) return;
    fd = fs.openSync(wal, fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_NOFOLLOW);
    const zeros = Buffer.alloc(Math.min(sizeBytes - size, 1024 * 1024));
    for (let left = sizeBytes - size; left > 0;) {
      left -= fs.writeSync(fd, zeros, 0, Math.min(left, zeros.length));
    }
    fs.fsyncSync(fd);
  } catch {
    // no space to reserve: nothing is lost yet
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** Keeps 4 MiB beside the database on a copy-on-write file system, incompressible. Best effort. */
export function keepBallast(path: string): void {
  const ballast = `${path}.ballast`;
  try {
    const { type, bavail, bsize } = fs.statfsSync(parentOf(path));
    if (!copyOnWriteTypes.has(type) || bavail * bsize < 4 * ballastBytes) return;
    if ((fs.statSync(ballast, { throwIfNoEntry: false })?.size ?? 0) >= ballastBytes) return;
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
    const fd = fs.openSync(ballast, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    try {
      fs.writeSync(fd, randomBytes(ballastBytes));
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // no space for it: the fallback journal remains
  }
}

/** Gives the ballast up after a write failed for lack of space. @returns whether trying again makes sense */
export function freeBallast(path: string, thrown: unknown): boolean {
  const full = thrown instanceof CitadelError && thrown.code === "DATABASE_FULL";
  if (!full && !isErrno(thrown, "SQLITE_FULL")) return false;
  try {
    fs.unlinkSync(`${path}.ballast`);
    syncDirectory(parentOf(path)); // btrfs frees the extents with its transaction commit
    return true;
  } catch {
    return false; // there was none
  }
}

/** Renames a damaged database and its side files. @returns the new path of the database */
export function setAsideFiles(path: string, nowMs: number): string {
  const stamp = formatTime(nowMs).replaceAll(/[-:]/g, "").replace(/\.\d+/, "");
  const aside = `${path}.damaged-${stamp}`;
  // The database first: without it, SQLite takes the side files of a later one for stale and drops them.
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      fs.renameSync(path + suffix, aside + suffix);
    } catch (thrown) {
      if (!isErrno(thrown, "ENOENT")) throw thrown;
    }
  }
  syncDirectory(parentOf(path));
  return aside;
}

/**
 * Opens for reading. With its -wal and -shm in place that works on a read-only file system too; without a WAL the
 * file is complete (`immutable`); with a WAL but no -shm, the pair is read from a private copy.
 */
export function openReadOnly(path: string): Database {
  try {
    const handle = new Database(path, { readonly: true, strict: true });
    try {
      handle.run("PRAGMA busy_timeout = 1000");
      handle.query("PRAGMA user_version").get();
      return handle;
    } catch (thrown) {
      handle.close();
      throw thrown;
    }
  } catch (thrown) {
    // IOERR_SHM…: the index of the WAL lies in a file too, and a full copy-on-write disk has no room for it.
    const code = isErrno(thrown) ? thrown.code : "";
    if (!/^SQLITE_(CANTOPEN|READONLY|IOERR_SHM)/.test(code)) throw thrown;
    fs.accessSync(path, fs.constants.R_OK);
    const walBytes = fs.statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    return walBytes === 0 ? openImmutable(path) : openCopy(path);
  }
}

function openImmutable(path: string): Database {
  const uri = `file:${encodeURI(path).replaceAll("?", "%3f").replaceAll("#", "%23")}?immutable=1`;
  return new Database(uri, sqlite.SQLITE_OPEN_READONLY | sqlite.SQLITE_OPEN_URI);
}

function openCopy(path: string): Database {
  // root's copy goes where nobody else can rename it: TMPDIR is whatever the caller's environment says
  const place = process.geteuid?.() === 0 ? "/tmp" : tmpdir();
  const directory = fs.mkdtempSync(`${place}/citadel-agent-read-`); // 0700
  try {
    fs.copyFileSync(path, `${directory}/copy.db`);
    fs.copyFileSync(`${path}-wal`, `${directory}/copy.db-wal`);
    const handle = new Database(`${directory}/copy.db`, { readwrite: true, strict: true });
    handle.query("PRAGMA user_version").get();
    return handle;
  } finally {
    fs.rmSync(directory, { recursive: true, force: true }); // the open descriptors keep what is needed
  }
}

/** Removes a database with its side files, the database first: a kill leaves nothing that could be opened. */
export function removeDatabase(path: string): void {
  for (const suffix of ["", "-wal", "-shm", ".ballast"]) fs.rmSync(path + suffix, { force: true });
  syncDirectory(parentOf(path));
}

/** Whether there is a database file. */
export function databaseExists(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
