// Reads a file that steers us (configuration, env, secrets): one open, everything else asked of the open file, so
// that nobody can swap it between the check and the reading.

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { isUtf8 } from "node:buffer";
import { fromErrno, isErrno } from "./errno.ts";
import type { CitadelError } from "../core/index.ts";

export type TrustedRead =
  | { readonly state: "absent" }
  /** It is there and must not be believed. */
  | { readonly state: "refused"; readonly reason: string }
  | { readonly state: "unreadable"; readonly error: CitadelError }
  | {
      readonly state: "read";
      readonly text: string;
      /** Others than the owner and the group may read it. */
      readonly worldReadable: boolean;
    };

export interface TrustOptions {
  /** Only an owner in this list, no other writer, one link, no symbolic link. Undefined: any regular file. */
  readonly owners: readonly number[] | undefined;
  /** Larger files are refused. */
  readonly maxBytes: number;
}

/** Reads the whole of `path` as UTF-8 if `options` allow it. Never throws for what is on the disk. */
export function readTrustedFile(path: string, options: TrustOptions): TrustedRead {
  const strict = options.owners !== undefined;
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (strict ? constants.O_NOFOLLOW : 0);
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT", "ENOTDIR")) return { state: "absent" };
    if (strict && isErrno(thrown, "ELOOP")) {
      return { state: "refused", reason: "it is a symbolic link" };
    }
    return { state: "unreadable", error: fromErrno(thrown, "open", path) };
  }
  try {
    const stat = fstatSync(fd);
    const reason = reasonToRefuse(stat, options);
    if (reason !== undefined) return { state: "refused", reason };
    const bytes = readAll(fd, options.maxBytes + 1);
    if (bytes.length > options.maxBytes) {
      return { state: "refused", reason: `it is larger than ${options.maxBytes} bytes` };
    }
    if (!isUtf8(bytes)) return { state: "refused", reason: "it is not UTF-8 text" };
    return {
      state: "read",
      text: bytes.toString("utf8"),
      worldReadable: (stat.mode & 0o004) !== 0,
    };
  } catch (thrown) {
    return { state: "unreadable", error: fromErrno(thrown, "read", path) };
  } finally {
    closeSync(fd);
  }
}

function reasonToRefuse(stat: Stats, { owners, maxBytes }: TrustOptions): string | undefined {
  if (!stat.isFile()) return "it is not a regular file";
  if (stat.size > maxBytes) return `it is larger than ${maxBytes} bytes`;
  if (owners === undefined) return undefined;
  if (!owners.includes(stat.uid)) return `it belongs to user ${stat.uid}`;
  // With an access control list the group bits are its mask: a writer named there shows in them.
  if ((stat.mode & 0o022) !== 0) {
    return `others may write it (mode ${(stat.mode & 0o7777).toString(8).padStart(4, "0")})`;
  }
  if (stat.nlink !== 1) return `it has ${stat.nlink} hard links`;
  return undefined;
}

/** Reads up to `limit` bytes from an open file, whatever its size is said to be. */
function readAll(fd: number, limit: number): Buffer {
  const buffer = Buffer.allocUnsafe(limit);
  let filled = 0;
  while (filled < limit) {
    const count = readSync(fd, buffer, filled, limit - filled, null);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}
