// Attributes below /sys and /proc: one small text, written in one call, never created.

import * as fs from "node:fs";
import { withErrno } from "./errno.ts";

/**
 * The value of an attribute: its trimmed text, or of a choice such as `none [mq-deadline] kyber` the chosen one.
 * @returns undefined where there is no such attribute
 */
export function readKernelValue(path: string): string | undefined {
  return withErrno("read", path, () => {
    let text: string;
    try {
      text = fs.readFileSync(path, "utf8").trim();
    } catch (thrown) {
      if ((thrown as { code?: string }).code === "ENOENT") return undefined;
      throw thrown;
    }
    return /\[([^\]]+)\]/.exec(text)?.[1] ?? text;
  });
}

/** Writes an attribute that exists. @throws kinds of fromErrno; the kernel answers EINVAL to what it does not take */
export function writeKernelValue(path: string, value: string): void {
  withErrno("write", path, () => {
    const fd = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_TRUNC);
    try {
      fs.writeSync(fd, value);
    } finally {
      fs.closeSync(fd);
    }
  });
}
