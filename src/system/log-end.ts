// The end of a log that lies in somebody else's directory, for an incident bundle.

import * as fs from "node:fs";
import { CitadelError, type AbsolutePath } from "../core/index.ts";
import { isErrno, withErrno } from "./errno.ts";
import { pinDirectory } from "./pinned-directory.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/**
 * The last `limitBytes` of a log. No part of the path may be a link, and the file must be a regular one with one name.
 * @returns undefined where it is not there
 * @throws kinds of fromErrno; kind `permission`, code `LOG_NOT_PLAIN`
 */
export function readLogEnd(
  directory: AbsolutePath,
  name: string,
  limitBytes: number,
): string | undefined {
  const shown = `${directory}/${name}`;
  let fd: number;
  try {
    using pin = pinDirectory(directory);
    fd = fs.openSync(`${pin.through}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (thrown) {
    if (isErrno(thrown, "ENOENT", "ENOTDIR")) return undefined;
    if (thrown instanceof CitadelError && thrown.code === "NOT_FOUND") return undefined;
    if (isErrno(thrown, "ELOOP")) throw notPlain(shown);
    return withErrno("open", shown, () => {
      throw thrown;
    });
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile() || stat.nlink !== 1) throw notPlain(shown);
    const from = Math.max(0, stat.size - limitBytes);
    const buffer = Buffer.alloc(stat.size - from);
    const count = withErrno("read", shown, () => fs.readSync(fd, buffer, 0, buffer.length, from));
    const left = from === 0 ? "" : `[the first ${from} bytes are left out]\n`;
    return left + buffer.toString("utf8", 0, count);
  } finally {
    fs.closeSync(fd);
  }
}

function notPlain(path: string): CitadelError {
  return new CitadelError({
    kind: "permission",
    code: "LOG_NOT_PLAIN",
    message: `${path} is not a regular file with one name: not read`,
    path,
    hint: `look at what it is: ls -li ${path}`,
  });
}
