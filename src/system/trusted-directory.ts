// Whether a directory is ours alone: root must not recover from a journal, or trust a lock, that another user
// could have written (spec/links.md, "Root never recovers from a journal that another user could write").

import * as fs from "node:fs";
import { CitadelError, parentOf } from "../core/index.ts";
import { withErrno } from "./errno.ts";

const sticky = 0o1000;
const othersMayWrite = 0o022;
const mayRun = 0o111;

/**
 * Checks every part of `path` from the root: owned by root or by us, and writable by nobody else. A sticky
 * directory of root's (/tmp) passes as a parent: others cannot rename what is ours in it.
 * @throws kind `permission`, code `STATE_NOT_TRUSTED`
 */
export function assertPrivateDirectory(path: string): void {
  assertPrivate(path, false);
}

/** As assertPrivateDirectory, for a directory in which only new names of ours are made: a sticky one will do. */
export function assertPrivateParent(path: string): void {
  assertPrivate(path, true);
}

function assertPrivate(path: string, mayBeSticky: boolean): void {
  const real = withErrno("realpath", path, () => fs.realpathSync(path));
  assertChain(real, mayBeSticky);
  if (real !== path) assertChain(path, mayBeSticky);
}

function assertChain(path: string, mayBeSticky: boolean): void {
  const own = process.geteuid?.() ?? -1;
  for (let part = path; ; part = parentOf(part)) {
    const stat = withErrno("lstat", part, () => fs.lstatSync(part));
    if (stat.isSymbolicLink() && (stat.uid === 0 || stat.uid === own)) continue; // its target is checked too
    const ownerTrusted = stat.uid === 0 || stat.uid === own;
    const writable = (stat.mode & othersMayWrite) !== 0;
    const parentOnly = (mayBeSticky || part !== path) && (stat.mode & sticky) !== 0;
    if (!stat.isDirectory() || !ownerTrusted || (writable && !parentOnly)) {
      throw notTrusted(part, stat);
    }
    if (part === "/") return;
  }
}

/** A file of ours: regular, ours, one name, writable by nobody else. Absent is fine. @throws as above */
export function assertPrivateFile(path: string): void {
  const own = process.geteuid?.() ?? -1;
  const stat = withErrno("lstat", path, () => fs.lstatSync(path, { throwIfNoEntry: false }));
  if (stat === undefined) return;
  const ours = (stat.uid === 0 || stat.uid === own) && (stat.mode & othersMayWrite) === 0;
  if (!stat.isFile() || !ours || stat.nlink > 1) throw notTrusted(path, stat);
}

/**
 * A program that root starts by itself from now on: it, and every directory above it, can be changed by root alone;
 * and its path is plain enough for a crontab and a unit.
 * @param isScript a file that the program before it reads: it need not be executable
 * @throws kind `permission`, code `PROGRAM_NOT_TRUSTED`
 */
export function assertTrustedProgram(path: string, isScript = false): void {
  const install =
    "install it first: `citadel-agent service install` puts it at /usr/local/bin/citadel-agent";
  const refuse = (why: string, cause?: unknown) =>
    new CitadelError({
      kind: "permission",
      code: "PROGRAM_NOT_TRUSTED",
      message: `root will not start ${path} on a schedule: ${why}`,
      path,
      hint: install,
      cause,
    });
  if (!/^\/[\w./+@-]+$/.test(path)) throw refuse("its path needs quoting");
  try {
    const real = fs.realpathSync(path);
    assertPrivateDirectory(parentOf(path));
    assertPrivateDirectory(parentOf(real));
    const stat = fs.lstatSync(real);
    const isOurs = stat.isFile() && stat.uid === 0 && (stat.mode & othersMayWrite) === 0;
    if (!isOurs) throw notTrusted(real, stat);
    if (!isScript && (stat.mode & mayRun) === 0) throw refuse("it is not executable");
  } catch (thrown) {
    if (thrown instanceof CitadelError && thrown.code === "PROGRAM_NOT_TRUSTED") throw thrown;
    throw refuse(thrown instanceof Error ? thrown.message : String(thrown), thrown);
  }
}

function notTrusted(path: string, stat: fs.Stats): CitadelError {
  return new CitadelError({
    kind: "permission",
    code: "STATE_NOT_TRUSTED",
    message: `${path} could be written by another user (owner ${stat.uid}, mode ${(stat.mode & 0o7777).toString(8)})`,
    path,
    hint: `make it yours alone: \`chown ${process.geteuid?.() ?? 0} ${path} && chmod go-w ${path}\``,
  });
}
