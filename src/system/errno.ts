// Turns the errors of system calls into CitadelErrors, here at the edge, so that nobody above reads message texts.

import { readlinkSync } from "node:fs";
import { CitadelError, type ErrorKind, type Retry } from "../core/index.ts";

interface SystemError extends Error {
  readonly code: string;
  readonly syscall?: string;
  readonly path?: string;
}

/** Whether `thrown` is an error of a system call (or one of the given codes: `isErrno(e, "ENOENT")`). */
export function isErrno(thrown: unknown, ...codes: string[]): thrown is SystemError {
  if (!(thrown instanceof Error)) return false;
  const code = (thrown as Partial<SystemError>).code;
  return typeof code === "string" && (codes.length === 0 || codes.includes(code));
}

interface Meaning {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly text: string;
  readonly hint: string;
  readonly retry?: Retry;
}

// errno(3); the text is what strerror(3) says, so that an operator finds it in a search.
const meanings: Record<string, Meaning> = {
  ENOSPC: {
    kind: "no-space",
    code: "NO_SPACE",
    text: "No space left on device",
    hint: "free space or inodes on this file system (`df -h`, `df -i`), then run the command again",
  },
  // sqlite3's word for ENOSPC
  SQLITE_FULL: {
    kind: "no-space",
    code: "NO_SPACE",
    text: "database or disk is full",
    hint: "free space or inodes on this file system (`df -h`, `df -i`), then run the command again",
  },
  EDQUOT: {
    kind: "no-space",
    code: "QUOTA_EXCEEDED",
    text: "Disk quota exceeded",
    hint: "raise the quota or free space, then run the command again",
  },
  EROFS: {
    kind: "read-only",
    code: "READ_ONLY",
    text: "Read-only file system",
    hint: "see `dmesg` for the reason; mount it read-write again before you retry",
  },
  EACCES: {
    kind: "permission",
    code: "PERMISSION",
    text: "Permission denied",
    hint: "run the command as root (sudo) or as the owner of this path",
  },
  EPERM: {
    kind: "permission",
    code: "PERMISSION",
    text: "Operation not permitted",
    hint: "run the command as root; if you are root, see `lsattr` for an immutable flag",
  },
  ENOENT: {
    kind: "not-found",
    code: "NOT_FOUND",
    text: "No such file or directory",
    hint: "check the path and its parents",
  },
  ENOTDIR: {
    kind: "conflict",
    code: "NOT_A_DIRECTORY",
    text: "Not a directory",
    hint: "a part of this path is not a directory; move it aside or change the setting",
  },
  ELOOP: {
    kind: "conflict",
    code: "SYMLINK_IN_PATH",
    text: "Too many levels of symbolic links",
    hint: "a part of this path is a symbolic link; set the path to what it resolves to (`realpath`)",
  },
  EEXIST: {
    kind: "conflict",
    code: "ALREADY_EXISTS",
    text: "File exists",
    hint: "something appeared there meanwhile; run the command again to plan anew",
  },
  ENOTEMPTY: {
    kind: "conflict",
    code: "NOT_EMPTY",
    text: "Directory not empty",
    hint: "something appeared in the directory meanwhile; run the command again to plan anew",
  },
  EIO: {
    kind: "io",
    code: "IO_ERROR",
    text: "Input/output error",
    hint: "the device reports a failure: see `dmesg` and `smartctl -a` before you write there again",
  },
  ENOTCONN: {
    kind: "io",
    code: "MOUNT_DEAD",
    text: "Transport endpoint is not connected",
    hint: "the daemon behind this mount died: unmount and mount it again",
  },
  ESTALE: {
    kind: "io",
    code: "MOUNT_STALE",
    text: "Stale file handle",
    hint: "the server behind this mount changed: unmount and mount it again",
  },
  EBUSY: {
    kind: "conflict",
    code: "BUSY",
    text: "Device or resource busy",
    hint: "find the user with `fuser -vm` and try again when it is done",
    retry: "later",
  },
  ENAMETOOLONG: {
    kind: "usage",
    code: "NAME_TOO_LONG",
    text: "File name too long",
    hint: "a name may have 255 bytes and a path 4095",
  },
  EMFILE: {
    kind: "io",
    code: "TOO_MANY_OPEN_FILES",
    text: "Too many open files",
    hint: "raise the limit (`ulimit -n`, LimitNOFILE=)",
  },
};

/**
 * Wraps the error of a system call with the call and the path it was about. A CitadelError passes through.
 * @param operation the system call or step, as it should appear in the message: `rename`
 * @param named the path; one through a descriptor is told as what it leads to
 */
export function fromErrno(thrown: unknown, operation: string, named: string): CitadelError {
  if (thrown instanceof CitadelError) return thrown;
  const path = shownPath(named);
  const errno = isErrno(thrown) ? thrown.code : undefined;
  const meaning = errno === undefined ? undefined : meanings[errno];
  const text = meaning?.text ?? (thrown instanceof Error ? thrown.message : String(thrown));
  return new CitadelError({
    kind: meaning?.kind ?? "io",
    code: meaning?.code ?? "SYSTEM_CALL_FAILED",
    message: `${operation} failed on ${path}: ${text}${errno === undefined ? "" : ` (${errno})`}`,
    path,
    operation,
    errno,
    hint: meaning?.hint ?? "see the system's error code in errno(3)",
    retry: meaning?.retry,
    cause: thrown,
  });
}

/** `/proc/self/fd/N/name` as people see it. */
function shownPath(path: string): string {
  const through = /^\/proc\/self\/fd\/\d+(?=\/|$)/.exec(path)?.[0];
  if (through === undefined) return path;
  try {
    return readlinkSync(through) + path.slice(through.length);
  } catch {
    return path; // closed meanwhile
  }
}

/** Runs `call`; a system error leaves it as a CitadelError that names `operation` and `path`. */
export function withErrno<T>(operation: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw fromErrno(thrown, operation, path);
  }
}
