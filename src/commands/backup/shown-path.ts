// A path of a snapshot as one safe piece of a line. `scripts/check.ts` sees to it that commands show paths this way.

import { displayPath, type BytePath } from "../../backup/format/byte-path.ts";
import { printable } from "../../output/index.ts";

/** For text output: control characters as escapes, so that no name breaks a line, colours it or forges one. */
export function shownPath(path: BytePath): string {
  return printable(displayPath(path));
}
