// SQLite's errors as ours: full disk, read-only, damaged, busy. SQLite hides the errno of most failures, so a
// read-only file system is told by its own code or by asking the file system.

import { accessSync, constants, readFileSync } from "node:fs";
import { CitadelError, parentOf, type ErrorKind } from "../core/index.ts";
import { isErrno } from "./errno.ts";
import { lastErrno } from "./libc.ts";
import { mountOf, parseMountinfo } from "./mountinfo.ts";

/** Whether an error says that the file is no sound database. */
export function isDamage(thrown: unknown): boolean {
  if (thrown instanceof CitadelError) return thrown.code === "DATABASE_DAMAGED";
  return isErrno(thrown) && /^SQLITE_(CORRUPT|NOTADB)/.test(thrown.code);
}

/** Whether the database cannot be written now although nothing is wrong with the request. */
export function isUnwritable(thrown: unknown): boolean {
  return (
    thrown instanceof CitadelError &&
    ["DATABASE_FULL", "DATABASE_READ_ONLY", "DATABASE_IO"].includes(thrown.code)
  );
}

interface Meaning {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly text: string;
  readonly hint: string;
}

const meanings: readonly (readonly [RegExp, Meaning])[] = [
  [
    /^(SQLITE_FULL|ENOSPC|EDQUOT)/,
    {
      kind: "no-space",
      code: "DATABASE_FULL",
      text: "No space left on device (ENOSPC)",
      hint: "free space on the file system of the state directory (`df -h`, `df -i`)",
    },
  ],
  [
    /^(SQLITE_READONLY|EROFS)/,
    {
      kind: "read-only",
      code: "DATABASE_READ_ONLY",
      text: "Read-only file system (EROFS)",
      hint: "see `dmesg`; mount the file system of the state directory read-write again",
    },
  ],
  [
    /^(SQLITE_CORRUPT|SQLITE_NOTADB)/,
    {
      kind: "integrity",
      code: "DATABASE_DAMAGED",
      text: "the file is damaged",
      hint: "`citadel-agent repair` sets a damaged journal aside and goes on from what is on disk",
    },
  ],
  [
    /^(SQLITE_BUSY|SQLITE_LOCKED)/,
    {
      kind: "locked",
      code: "DATABASE_BUSY",
      text: "another process writes it",
      hint: "try again when the other command is done",
    },
  ],
  [
    /^(SQLITE_PERM|SQLITE_AUTH|EACCES|EPERM)/,
    {
      kind: "permission",
      code: "PERMISSION",
      text: "Permission denied (EACCES)",
      hint: "run the command as root, or as the owner of the state directory",
    },
  ],
  [
    /^(SQLITE_IOERR|SQLITE_CANTOPEN|SQLITE_PROTOCOL|EIO)/,
    {
      kind: "io",
      code: "DATABASE_IO",
      text: "Input/output error",
      hint: "the device of the state directory reports a failure: see `dmesg` and `smartctl -a`",
    },
  ],
];

/** Wraps a thrown value of bun:sqlite (or of preparing its files). A CitadelError passes through. */
export function fromSqlite(thrown: unknown, operation: string, path: string): CitadelError {
  if (thrown instanceof CitadelError) return thrown;
  let code = isErrno(thrown) ? thrown.code : "";
  // os_unix.c, unixOpen: EACCES where a file beside the database was to be made
  if (/^SQLITE_READONLY_DIRECTORY$/.test(code)) code = deniedBy(parentOf(path)) ?? "EACCES";
  // os_unix.c, unixOpen: where a database may not be written, it is opened for reading and refused at the first change
  if (code === "SQLITE_READONLY" && deniedBy(path) === "EACCES") code = "EACCES";
  // CANTOPEN and IOERR hide the errno: the thread still knows it, or the file system says it again.
  if (/^SQLITE_(CANTOPEN|IOERR)/.test(code)) {
    const errno = lastErrno();
    const telling = errno !== undefined && /^(ENOSPC|EDQUOT|EROFS|EACCES|EPERM|EIO)$/.test(errno);
    code = (telling ? errno : deniedBy(parentOf(path))) ?? code;
  }
  const meaning = meanings.find(([pattern]) => pattern.test(code))?.[1];
  const text = meaning?.text ?? (thrown instanceof Error ? thrown.message : String(thrown));
  const shown = code === "" || text.endsWith(`(${code})`) ? text : `${text} (${code})`;
  return new CitadelError({
    kind: meaning?.kind ?? "internal",
    code: meaning?.code ?? "DATABASE_FAILED",
    message: `${operation} failed on ${path}: ${shown}`,
    path,
    operation,
    errno: code === "" ? undefined : code,
    hint: meaning?.hint ?? "see the system's message",
    cause: thrown,
  });
}

/** Why a directory, or a file, cannot be written. */
function deniedBy(directory: string): string | undefined {
  try {
    accessSync(directory, constants.W_OK); // for root this fails only on a read-only file system
    const mount = mountOf(parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8")), directory);
    return mount?.superOptions.includes("ro") === true ? "EROFS" : undefined;
  } catch (denied) {
    return isErrno(denied) ? denied.code : undefined;
  }
}
