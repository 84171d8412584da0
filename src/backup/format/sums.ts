// SHA256SUMS as coreutils writes and checks it: `cd data && sha256sum -c ../SHA256SUMS`.

import { CitadelError } from "../../core/index.ts";
import type { BytePath } from "./byte-path.ts";

export const sumsName = "SHA256SUMS";
export const packedSumsName = "SHA256SUMS.packed";

/** The name of the list of another algorithm: `sha512` gives `SHA512SUMS`. */
export function sumsNameOf(algorithm: string): string {
  return `${algorithm.toUpperCase()}SUMS`;
}

/**
 * One line with its newline, as bytes in latin1. A name with newline, carriage return or backslash is escaped and
 * the line starts with a backslash.
 * @see https://www.gnu.org/software/coreutils/manual/html_node/md5sum-invocation.html
 */
export function formatSumsLine(digest: string, path: BytePath): string {
  if (!/[\n\r\\]/.test(path)) return `${digest}  ${path}\n`;
  const escaped = path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `\\${digest}  ${escaped}\n`;
}

const plainLine = /^(\\?)([0-9a-f]{32,128}) [ *]([^\0]+)$/;

/**
 * @param line one line without its newline, one character per byte
 * @throws kind `integrity`, code `SUMS_DAMAGED`
 */
export function parseSumsLine(line: string): { digest: string; path: BytePath } {
  const [, escape, digest, name] = plainLine.exec(line) ?? [];
  if (digest === undefined || name === undefined) throw damagedSums(line);
  if (escape === "") return { digest, path: name as BytePath };
  const path = name.replace(/\\(.?)/gs, (_all, mark: string) => {
    const plain = { n: "\n", r: "\r", "\\": "\\" }[mark];
    if (plain === undefined) throw damagedSums(line);
    return plain;
  });
  return { digest, path: path as BytePath };
}

function damagedSums(line: string): CitadelError {
  return new CitadelError({
    kind: "integrity",
    code: "SUMS_DAMAGED",
    message: `not a line of a checksum list: ${JSON.stringify(line.slice(0, 200))}`,
    hint: "the list is damaged; the manifest has the same sums",
  });
}
