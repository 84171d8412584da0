// Writes to stdout at once, for children that answer line by line and may hang in the next call.

import { writeAll } from "./atomic-write.ts";

/** Writes `text` to file descriptor 1. @throws kind `io` when nobody reads any more */
export function writeOut(text: string): void {
  writeAll(1, text, "/dev/stdout");
}
